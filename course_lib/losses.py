"""What training minimises. A loss here takes embeddings, not texts: who makes them is no concern of its own.

    u, v = encoder(premises), encoder(hypotheses)
    loss = SoftmaxLoss(encoder.get_embedding_dimension())(u, v, labels)

Which loss for which data: a class for each pair, SoftmaxLoss; a score, CoSENTLoss or CosineSimilarityLoss; same or not,
ContrastiveLoss; triplets, TripletLoss; only pairs that belong together, MultipleNegativesRankingLoss. Names, defaults
and results are those of sentence_transformers' losses, which are given model and texts.

Each returns a scalar and raises ValueError where shapes, labels or settings do not fit. All compute in float32 at least,
of half precision embeddings and under autocast too: bfloat16 rounds a score of 18 to eighths. Embeddings that are NaN
are the model's doing, not the caller's: they make the loss NaN, which the training loop looks for.

Left out on purpose: losses that pick triplets among single sentences with classes, and similarities that you bring.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.similarity import cos_sim, pairwise_cos_sim, pairwise_euclidean_sim, pairwise_manhattan_sim
from course_lib.support.checks import at_least_float32, checked, checked_targets, one_of, positive

PARTS = ("u", "v", "|u-v|", "u*v")
CONCATENATIONS = (  # the seven of Table 6 of Reimers & Gurevych 2019, in its order
    ("u", "v"),
    ("|u-v|",),
    ("u*v",),
    ("|u-v|", "u*v"),
    ("u", "v", "u*v"),
    ("u", "v", "|u-v|"),
    PARTS,
)
DISTANCES = {
    "euclidean": lambda u, v: -pairwise_euclidean_sim(u, v),
    "cosine": lambda u, v: 1 - pairwise_cos_sim(u, v),
    "manhattan": lambda u, v: -pairwise_manhattan_sim(u, v),
}
SHIFTED_DISTANCES = {  # contrastive losses use torch's, which add 1e-6 to each difference: no division by 0 where u is v
    "euclidean": F.pairwise_distance,
    "cosine": lambda u, v: 1 - F.cosine_similarity(u, v),
    "manhattan": lambda u, v: F.pairwise_distance(u, v, p=1.0),
}


class SoftmaxLoss(nn.Module):
    """Classify a pair of sentences by its two embeddings: cross-entropy of softmax(W (u, v, |u - v|) + b).

    Reimers & Gurevych 2019 (arXiv 1908.10084), section 3, classification objective. `concatenation` names what the
    classifier sees: any of PARTS, in their order. `classifier` maps (batch, parts * dim) to (batch, num_labels): one
    linear layer unless you give a module. It learns with the encoder, so give its parameters to the optimiser too. It
    is thrown away afterwards: what is wanted is the encoder that made the pair separable.
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
            raise ValueError(
                f"{parts} of {dim} numbers each are {width} features, but the classifier's first layer "
                f"takes {first.in_features}: make it nn.Linear({width}, ...)"
            )

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
            raise ValueError(
                f"expected logits of shape {(len(u), self.num_labels)}, one a label, but the classifier "
                f"gave {tuple(logits.shape)}: let num_labels and its last layer agree"
            )
        return logits

    def forward(self, u: Tensor, v: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy in nats: ln(num_labels) for a head that knows nothing.

        u, v: (batch, dim). labels: (batch,) integers in 0..num_labels - 1. ValueError for others, or no pairs.
        """
        logits = self.logits(u, v)  # (batch, num_labels)
        if labels.is_floating_point() or labels.shape != u.shape[:1]:
            raise ValueError(
                f"expected one integer label for each of the {len(u)} pairs, got {labels.dtype} of shape "
                f"{tuple(labels.shape)}"
            )
        if labels.min() < 0 or labels.max() >= self.num_labels:  # cross_entropy silently skips a label of -100
            raise ValueError(f"labels are 0..{self.num_labels - 1}, got {sorted(set(labels.tolist()))}")
        return F.cross_entropy(at_least_float32(logits), labels.long())


class CosineSimilarityLoss(nn.Module):
    """The cosine of a pair shall be its score: mean squared difference of the two.

    Reimers & Gurevych 2019, section 3, regression objective. Scores must lie where cosines do.
    """

    def forward(self, u: Tensor, v: Tensor, scores: Tensor) -> Tensor:
        """u, v: (batch, dim). scores: (batch,) numbers in -1..1."""
        u, v = checked(u, v)
        largest = checked_targets(scores, len(u), "score").abs().max().item()
        if largest > 1.001:  # a cosine of float32 may be 1.0000001
            raise ValueError(
                f"scores are -1..1, as cosines are, got one of size {largest:g}: divide by the top of the "
                "scale (5 for STS data), or take CoSENTLoss, which asks only for their order"
            )
        return F.mse_loss(F.cosine_similarity(u, v), scores.float().to(u.dtype))  # the reference rounds scores so


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
        scores = checked_targets(scores, len(u), "score")
        cosines = self.scale * pairwise_cos_sim(u, v)  # (batch,)
        excess = (cosines[None] - cosines[:, None])[scores[:, None] > scores[None]]  # (wrong way round if positive,)
        return torch.cat([0 * cosines.sum(dim=0, keepdim=True), excess]).logsumexp(dim=0)  # exp(0) is the 1, unless NaN


class ContrastiveLoss(nn.Module):
    """Pull pairs of label 1 together; push pairs of label 0 apart, until their distance is `margin`.

    Hadsell et al. 2006 (CVPR), equation 4: half the mean of distance^2 (label 1) and max(0, margin - distance)^2
    (label 0). distance: "cosine" (1 - cosine, 0..2), "euclidean" or "manhattan".
    """

    def __init__(self, distance: str = "cosine", margin: float = 0.5):
        super().__init__()
        self.distance, self.margin = one_of(DISTANCES, distance, "distance"), positive(margin, "margin")

    def distances(self, u: Tensor, v: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Distances of the pairs with label 1, (positives,), and of those with label 0, (negatives,)."""
        u, v = checked(u, v)
        labels = checked_targets(labels, len(u), "label")
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
    false_negative_margin: leave out candidates whose cosine exceeds the positive's less this margin, as the anchor's
        unnamed positives (Solatorio 2024, arXiv 2402.16829; GISTEmbedLoss's absolute margin without its comparisons
        among anchors and among positives). 0.01 also catches copies of the positive, 0 only what exceeds it.
    gather: for several processes: takes this process's rows of a column, (batch, dim), returns the column's rows in
        all processes, (all, dim), with gradients, and the index of this process's first.
    """

    def __init__(
        self,
        scale: float = 20.0,
        symmetric: bool = False,
        false_negative_margin: float | None = None,
        gather: Callable[[Tensor], tuple[Tensor, int]] | None = None,
    ):
        super().__init__()
        if false_negative_margin is not None and not abs(false_negative_margin) <= 2:
            raise ValueError(
                f"false_negative_margin is None or within -2..2, as cosines are, got {false_negative_margin}"
            )
        self.scale, self.symmetric = positive(scale, "scale"), symmetric
        self.false_negative_margin, self.gather = false_negative_margin, gather

    def forward(
        self, anchors: Tensor, positives: Tensor, *negatives: Tensor, guide: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Mean cross-entropy in nats: about ln(candidates) for an encoder that knows nothing.

        anchors, positives: (batch, dim); row i of one belongs to row i of the other. negatives: (any number, dim) each.
        An anchor chooses among all rows of positives and negatives. A batch of one without negatives leaves nothing to
        choose, and has loss 0. guide: embeddings of all these texts, in this order, by a model that is to judge which
        candidates are false negatives; without it, the embeddings themselves judge.
        """
        if guide is not None and self.false_negative_margin is None:
            raise ValueError("without a false_negative_margin there is nothing for a guide to judge: give one, 0 say")
        columns = checked(anchors, positives, *negatives, paired=2)
        judges = None if guide is None else checked(*guide, paired=2)
        counts = [[len(x) for x in some] for some in (judges or columns, columns)]
        if counts[0] != counts[1]:
            raise ValueError(f"expected guide vectors of the same texts, {counts[1]} in each column, got {counts[0]}")
        loss = self._choose(columns, judges)
        return (loss + self._choose(columns[1::-1], judges and judges[1::-1])) / 2 if self.symmetric else loss

    def _choose(self, columns: list[Tensor], judges: list[Tensor] | None) -> Tensor:
        """Cross-entropy of row i of the first column choosing row i of the second among all rows of the others."""
        cosines, first = self._cosines(columns)  # (batch, candidates)
        own = torch.arange(first, first + len(cosines), device=cosines.device)  # (batch,)
        if self.false_negative_margin is not None:
            judged = cosines.detach() if judges is None else self._cosines(judges)[0].detach()  # (batch, candidates)
            false = judged > judged.gather(1, own[:, None]) - self.false_negative_margin
            cosines = cosines.masked_fill(false.scatter(1, own[:, None], False), -torch.inf)
        return F.cross_entropy(self.scale * cosines, own)

    def _cosines(self, columns: list[Tensor]) -> tuple[Tensor, int]:
        """Of the first column with all others, of all processes, (batch, candidates); the index of this process's first."""
        everywhere = [self.gather(x) if self.gather else (x, 0) for x in columns[1:]]
        with torch.autocast(columns[0].device.type, enabled=False):
            return cos_sim(columns[0], torch.cat([x for x, _ in everywhere])), everywhere[0][1]
