"""Contrastive losses: pairs that belong together and pairs that do not, each pair by itself.

    loss = ContrastiveLoss()(u, v, labels)          # labels: 1 or 0

As in `losses`: names, defaults and results are those of sentence_transformers' losses; each takes embeddings, returns a
scalar, computes in float32 at least and raises ValueError where its input does not fit.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.support.loss_inputs import checked, checked_targets, one_of, positive

SHIFTED_DISTANCES = {  # torch's, which add 1e-6 to each difference: no division by 0 where u is v
    "euclidean": F.pairwise_distance,
    "cosine": lambda u, v: 1 - F.cosine_similarity(u, v),
    "manhattan": lambda u, v: F.pairwise_distance(u, v, p=1.0),
}


class ContrastiveLoss(nn.Module):
    """Pull pairs of label 1 together; push pairs of label 0 apart, until their distance is `margin`.

    Hadsell et al. 2006 (CVPR), equation 4: half the mean of distance^2 (label 1) and max(0, margin - distance)^2
    (label 0). distance: "cosine" (1 - cosine, 0..2), "euclidean" or "manhattan".
    """

    def __init__(self, distance: str = "cosine", margin: float = 0.5):
        super().__init__()
        self.distance, self.margin = one_of(SHIFTED_DISTANCES, distance, "distance"), positive(margin, "margin")

    def distances(self, u: Tensor, v: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Distances of the pairs with label 1, (positives,), and of those with label 0, (negatives,)."""
        u, v = checked(u, v)
        labels = checked_targets(labels, u, "label")
        if not ((labels == 0) | (labels == 1)).all():
            raise ValueError(
                f"labels are 1 (belong together) and 0 (do not), got {sorted(set(labels.tolist()))}: for "
                "graded scores take CoSENTLoss, for classes SoftmaxLoss"
            )
        distances = SHIFTED_DISTANCES[self.distance](u, v)  # (batch,)
        return distances[labels == 1], distances[labels == 0]

    def forward(self, u: Tensor, v: Tensor, labels: Tensor) -> Tensor:
        """u, v: (batch, dim). labels: (batch,) of 0 and 1."""
        positives, negatives = self.distances(u, v, labels)
        return 0.5 * torch.cat([positives.square(), F.relu(self.margin - negatives).square()]).mean()


class OnlineContrastiveLoss(ContrastiveLoss):
    """ContrastiveLoss of the hard pairs of a batch: those of label 1 farther apart than the closest of label 0, and
    those of label 0 closer than the farthest of label 1. In a batch of one label, its mean is the limit.

    An invention of sentence_transformers. It is a sum, not half a mean, so it grows with the batch.
    """

    def forward(self, u: Tensor, v: Tensor, labels: Tensor) -> Tensor:
        """u, v: (batch, dim). labels: (batch,) of 0 and 1."""
        positives, negatives = self.distances(u, v, labels)
        farthest = positives.max() if len(positives) else negatives.mean()
        closest = negatives.min() if len(negatives) else positives.mean()
        positives = positives[~(positives <= closest)]  # not `> closest`: a NaN is to stay in, and to show
        negatives = negatives[~(negatives >= farthest)]
        return positives.square().sum() + F.relu(self.margin - negatives).square().sum()
