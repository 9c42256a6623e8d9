"""What training minimises. A loss here takes embeddings, not texts: who makes them is no concern of its own.

    u, v = encoder(premises), encoder(hypotheses)
    loss = SoftmaxLoss(encoder.get_embedding_dimension())(u, v, labels)

Which loss for which data: a class for each pair, SoftmaxLoss; a score, CosineSimilarityLoss; triplets, TripletLoss;
only pairs that belong together, MultipleNegativesRankingLoss; others are in finetuning/. Names, defaults and results
are those of sentence_transformers' losses, which are given model and texts.

Embeddings are tensors, labels may be lists. Each returns a scalar, raises ValueError where shapes, labels or settings
do not fit. All compute in float32 at least, under autocast too: bfloat16 rounds a score of 18 to eighths. NaN makes the
loss NaN, which training looks for. Left out on purpose: losses that pick triplets among single sentences with classes.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.similarity import cos_sim, pairwise_cos_sim, pairwise_euclidean_sim, pairwise_manhattan_sim
from course_lib.support.loss_inputs import at_least_float32, checked, checked_classes, checked_targets, one_of, positive

PARTS = ("u", "v", "|u-v|", "u*v")
DISTANCES = {
    "euclidean": lambda u, v: -pairwise_euclidean_sim(u, v),
    "cosine": lambda u, v: 1 - pairwise_cos_sim(u, v),
    "manhattan": lambda u, v: -pairwise_manhattan_sim(u, v),
}


class SoftmaxLoss(nn.Module):
    """Classify a pair of sentences by its two embeddings: cross-entropy of softmax(W (u, v, |u - v|) + b).

    Reimers & Gurevych 2019 (arXiv 1908.10084), section 3, classification objective. `concatenation` names what the
    classifier sees: any of PARTS, in their order. `classifier` maps (batch, parts * dim) to (batch, num_labels): one
    linear layer unless you give a module. It learns with the encoder, and is thrown away afterwards.
    """

    def __init__(
        self,
        dim: int,
        num_labels: int = 3,
        concatenation: Sequence[str] = ("u", "v", "|u-v|"),
        classifier: nn.Module | None = None,
    ):
        super().__init__()
        parts = tuple(part for part in PARTS if part in concatenation)
        if isinstance(concatenation, str) or not parts or tuple(concatenation) != parts:
            raise ValueError(f"concatenation is a tuple of some of {PARTS} in this order, got {concatenation!r}")
        self.dim, self.num_labels, self.concatenation, width = dim, num_labels, parts, len(parts) * dim
        self.classifier = nn.Linear(width, num_labels) if classifier is None else classifier
        first = next((m for m in self.classifier.modules() if isinstance(m, nn.Linear)), None)
        if first is not None and first.in_features not in (0, width):  # 0: a LazyLinear that has seen nothing yet
            takes = f"the classifier's first layer takes {first.in_features}: make it nn.Linear({width}, ...)"
            raise ValueError(f"{parts} of {dim} numbers each are {width} features, but {takes}")

    def features(self, u: Tensor, v: Tensor) -> Tensor:
        """The parts side by side: (batch, dim), (batch, dim) -> (batch, parts * dim). ValueError for other shapes."""
        u, v = checked(u, v, dim=self.dim)
        parts = {"u": u, "v": v, "|u-v|": (u - v).abs(), "u*v": u * v}  # each (batch, dim)
        return torch.cat([parts[name] for name in self.concatenation], dim=1)  # (batch, parts * dim)

    def logits(self, u: Tensor, v: Tensor) -> Tensor:
        """Scores before the softmax: (batch, dim), (batch, dim) -> (batch, num_labels)."""
        features = self.features(u, v)
        weights = next(self.classifier.parameters(), features)
        with torch.autocast(features.device.type, enabled=False):
            logits = self.classifier(features.to(weights.dtype))
        if logits.shape != (len(u), self.num_labels):
            gave = f"the classifier gave {tuple(logits.shape)}: let num_labels and its last layer agree"
            raise ValueError(f"expected logits of shape {(len(u), self.num_labels)}, one a label, but {gave}")
        return logits

    def forward(self, u: Tensor, v: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy in nats: ln(num_labels) for a head that knows nothing.

        u, v: (batch, dim). labels: (batch,) integers in 0..num_labels - 1. ValueError for others, or no pairs.
        """
        logits = self.logits(u, v)  # (batch, num_labels)
        return F.cross_entropy(at_least_float32(logits), checked_classes(labels, u, self.num_labels))


class CosineSimilarityLoss(nn.Module):
    """The cosine of a pair shall be its score: mean squared difference of the two.

    Reimers & Gurevych 2019, section 3, regression objective. Scores must lie where cosines do.
    """

    def forward(self, u: Tensor, v: Tensor, scores: Tensor) -> Tensor:
        """u, v: (batch, dim). scores: (batch,) numbers in -1..1."""
        u, v = checked(u, v)
        scores = checked_targets(scores, u, "score")
        largest = scores.abs().max().item()
        if largest > 1.001:  # a cosine of float32 may be 1.0000001
            mend = "divide by the top of the scale (5 for STS), or take CoSENTLoss, which asks only for their order"
            raise ValueError(f"scores are -1..1, as cosines are, got one of size {largest:g}: {mend}")
        return F.mse_loss(F.cosine_similarity(u, v), scores.float().to(u.dtype))  # the reference rounds scores so


class TripletLoss(nn.Module):
    """A negative shall be farther from its anchor than the positive, by `margin`: the mean of
    max(0, d(anchor, positive) - d(anchor, negative) + margin).

    Reimers & Gurevych 2019, section 3, triplet objective (Euclidean, margin 1). distance as in ContrastiveLoss; a
    margin of 5 suits vectors of free length. Cosine distances differ by 2 at most: give a smaller one there.
    """

    def __init__(self, distance: str = "euclidean", margin: float = 5.0):
        super().__init__()
        self.distance, self.margin = one_of(DISTANCES, distance, "distance"), positive(margin, "margin")

    def forward(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        """anchors, positives, negatives: (batch, dim); row i of each makes one triplet."""
        anchors, positives, negatives = checked(anchors, positives, negatives)
        distance = DISTANCES[self.distance]
        return F.relu(distance(anchors, positives) - distance(anchors, negatives) + self.margin).mean()


class MultipleNegativesRankingLoss(nn.Module):
    """Pick an anchor's positive out of all positives of the batch: cross-entropy over scaled cosines.

    Henderson et al. 2017 (arXiv 1705.00652), section 4.4, with the cosine for a score; also called InfoNCE (van den
    Oord et al. 2018, arXiv 1807.03748, equation 4). The other anchors' positives are the negatives, so a batch should
    not hold two texts of the same meaning, and a larger batch is a harder task. `scale` is one over the temperature:
    without it, cosines lie too close together for a softmax to tell them apart.

    symmetric: each positive picks its anchor among all anchors as well; the mean of both.
    gather: for several processes (`support.distributed.gather`): takes this process's rows of a column, (batch, dim),
        returns those of all processes, (all, dim), with gradients, and the index of this process's first.
    """

    def __init__(self, scale: float = 20.0, symmetric: bool = False, gather: Callable | None = None):
        super().__init__()
        self.scale, self.symmetric, self.gather = positive(scale, "scale"), symmetric, gather

    def forward(self, anchors: Tensor, positives: Tensor, *negatives: Tensor) -> Tensor:
        """Mean cross-entropy in nats: about ln(candidates) for an encoder that knows nothing, 0 for a single pair.

        anchors, positives: (batch, dim); row i of one belongs to row i of the other. negatives: (any number, dim) each.
        An anchor chooses among all rows of positives and negatives.
        """
        anchors, positives, *negatives = checked(anchors, positives, *negatives, paired=2)
        loss = self._choose(anchors, positives, *negatives)
        return (loss + self._choose(positives, anchors)) / 2 if self.symmetric else loss

    def _choose(self, rows: Tensor, *columns: Tensor) -> Tensor:
        """Cross-entropy of row i choosing row i of the first column among all rows of all columns."""
        (own, first), *rest = [self.gather(column) if self.gather else (column, 0) for column in columns]
        with torch.autocast(rows.device.type, enabled=False):
            cosines = cos_sim(rows, torch.cat([own, *(column for column, _ in rest)]))  # (batch, candidates)
        return F.cross_entropy(self.scale * cosines, torch.arange(first, first + len(rows), device=rows.device))
