"""What training minimises. A loss here takes embeddings, not texts: who makes them is no concern of its own.

    vectors = encoder(premises), encoder(hypotheses)
    loss = SoftmaxLoss(encoder.get_embedding_dimension())(*vectors, labels)

Names and results are those of sentence_transformers' losses, which are given model and texts.

Left out on purpose: other concatenations than (u, v, |u - v|), the best of the paper's Table 6; similarities
other than cosine; gathering the batch from several devices.
"""
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.similarity import cos_sim


class SoftmaxLoss(nn.Module):
    """Classify a pair of sentences by its two embeddings: cross-entropy of softmax(W (u, v, |u - v|) + b).

    Reimers & Gurevych 2019 (arXiv 1908.10084), section 3, classification objective. `classifier`, one linear
    layer (3 * dim -> num_labels), learns together with the encoder, so give its parameters to the optimiser
    too. It is thrown away afterwards: what is wanted is the encoder that made the pair separable.
    """

    def __init__(self, dim: int, num_labels: int = 3):
        super().__init__()
        self.classifier = nn.Linear(3 * dim, num_labels)

    def features(self, u: Tensor, v: Tensor) -> Tensor:
        """(u, v, |u - v|): (batch, dim), (batch, dim) -> (batch, 3 * dim). ValueError for other shapes."""
        dim = self.classifier.in_features // 3
        if u.ndim != 2 or u.shape != v.shape or u.shape[1] != dim:
            raise ValueError(f"expected two batches of embeddings (batch, {dim}), got {tuple(u.shape)} and "
                             f"{tuple(v.shape)}")
        return torch.cat([u, v, (u - v).abs()], dim=1)  # (batch, 3 * dim)

    def logits(self, u: Tensor, v: Tensor) -> Tensor:
        """Scores before the softmax: (batch, dim), (batch, dim) -> (batch, num_labels)."""
        return self.classifier(self.features(u, v).to(self.classifier.weight.dtype))

    def forward(self, u: Tensor, v: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy in nats, a scalar: ln(num_labels) for a head that knows nothing.

        labels: (batch,) integers in 0..num_labels - 1. ValueError for other labels or shapes, or no pairs.
        """
        logits, classes = self.logits(u, v), self.classifier.out_features  # (batch, num_labels)
        if labels.is_floating_point() or labels.shape != u.shape[:1] or not len(labels):
            raise ValueError(f"expected one integer label for each of the {len(u)} pairs, at least one, got "
                             f"{labels.dtype} of shape {tuple(labels.shape)}")
        if labels.min() < 0 or labels.max() >= classes:  # cross_entropy silently skips a label of -100
            raise ValueError(f"labels are 0..{classes - 1}, got {sorted(set(labels.tolist()))}")
        return F.cross_entropy(logits, labels.long())


class MultipleNegativesRankingLoss(nn.Module):
    """Pick an anchor's positive out of all positives of the batch: cross-entropy over scaled cosines.

    Henderson et al. 2017 (arXiv 1705.00652), section 4.4, with the cosine for a score; also called InfoNCE
    (van den Oord et al. 2018, arXiv 1807.03748, equation 4). The other anchors' positives are the negatives,
    so a batch must not hold two texts of the same meaning, and a larger batch is a harder task. `scale` is
    one over the temperature: without it, cosines lie too close together for a softmax to tell them apart.
    """

    def __init__(self, scale: float = 20.0):
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale must be positive, got {scale}")
        self.scale = scale

    def forward(self, anchors: Tensor, positives: Tensor, *negatives: Tensor) -> Tensor:
        """Mean cross-entropy in nats, a scalar: about ln(candidates) for an encoder that knows nothing.

        anchors, positives: (batch, dim); row i of one belongs to row i of the other. negatives: (any number,
        dim) each. An anchor chooses among all rows of positives and negatives. A batch of one without
        negatives leaves nothing to choose, and has loss 0. Computed in float32 at least, also under autocast.
        ValueError where shapes do not fit or the batch is empty.
        """
        shapes = [tuple(x.shape) for x in (anchors, positives, *negatives)]
        fit = all(len(shape) == 2 and shape[1:] == shapes[0][1:] for shape in shapes)
        if not fit or shapes[0] != shapes[1] or not len(anchors):
            raise ValueError("anchors and positives need one shape (batch, dim), and negatives its dim; "
                             f"got {shapes}")
        candidates = torch.cat([positives, *negatives])  # (batch + all negatives, dim)
        with torch.autocast(anchors.device.type, enabled=False):  # bfloat16 rounds a score of 18 to eighths
            scores = self.scale * cos_sim(anchors, candidates)  # (batch, candidates)
        answers = torch.arange(len(anchors), device=anchors.device)  # (batch,): i belongs to i
        return F.cross_entropy(scores, answers)
