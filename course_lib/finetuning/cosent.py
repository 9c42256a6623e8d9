"""Pairs with scores, of which only the order counts.

    loss = CoSENTLoss()(u, v, scores)

As in `losses`: name, default and result are those of sentence_transformers' loss; it takes embeddings, returns a
scalar, computes in float32 at least and raises ValueError where its input does not fit.
"""

import torch
from torch import Tensor, nn

from course_lib.similarity import pairwise_cos_sim
from course_lib.support.loss_inputs import checked, checked_targets, positive


class CoSENTLoss(nn.Module):
    """A pair with a higher score shall have a higher cosine: log(1 + sum of exp(scale * (cos_j - cos_i))), summed over
    all i, j of the batch where pair i has a higher score than pair j.

    Huang et al. 2024 (doi 10.1109/TASLP.2024.3402087). Only the order of the scores counts, as in Spearman's
    correlation. A batch in which all scores are equal has loss 0: there is nothing to put in order.
    """

    def __init__(self, scale: float = 20.0):
        super().__init__()
        self.scale = positive(scale, "scale")

    def forward(self, u: Tensor, v: Tensor, scores: Tensor) -> Tensor:
        """u, v: (batch, dim). scores: (batch,) numbers of any range."""
        u, v = checked(u, v)
        scores = checked_targets(scores, u, "score")
        cosines = self.scale * pairwise_cos_sim(u, v)  # (batch,)
        excess = (cosines[None] - cosines[:, None])[scores[:, None] > scores[None]]  # (wrong way round if positive,)
        return torch.cat([0 * cosines.sum(dim=0, keepdim=True), excess]).logsumexp(dim=0)  # exp(0) is the 1, unless NaN
