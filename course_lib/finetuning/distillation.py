"""Learning from another model instead of from labels, and vectors of several sizes at once.

    loss = MSELoss()(student(texts), teacher_vectors)                 # imitate the teacher's vectors
    loss = RelationalLoss()(student(texts), teacher_vectors)          # imitate its similarities: any dimension will do
    loss = MarginMSELoss()(queries, positives, negatives, margins)    # imitate its scores: it needs no vectors at all
    loss = MatryoshkaLoss(MultipleNegativesRankingLoss(), dims=[256, 64, 16])(anchors, positives)

Names and results are those of sentence_transformers' losses, which has no RelationalLoss. As in `losses`, each takes
embeddings, returns a scalar, computes in float32 at least and raises ValueError where its input does not fit. What a
teacher gave gets no gradient.

Left out on purpose: a teacher's scores of many candidates (Kullback-Leibler divergence), and its hidden layers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.losses import SoftmaxLoss
from course_lib.similarity import cos_sim, pairwise_dot_score
from course_lib.support.checks import at_least_float32, checked, checked_targets, positive


class MSELoss(nn.Module):
    """The student's vector shall be the teacher's: mean squared difference of all their numbers.

    Reimers & Gurevych 2020 (arXiv 2004.09813), section 2, where the student also reads a second language.
    """

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """student, teacher: (batch, dim)."""
        if student.shape[1:] != teacher.shape[1:]:
            raise ValueError(
                f"the student's vectors are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}: give "
                "the student a Dense module of the teacher's dim, cut the teacher's by PCA, or take "
                "RelationalLoss"
            )
        student, teacher = checked(student, _taught(teacher))
        return F.mse_loss(student, teacher.to(student.dtype))


class RelationalLoss(nn.Module):
    """What is alike for the teacher shall be alike for the student: mean squared difference of the cosines of every
    text of the batch with every text.

    After Tung & Mori 2019 (arXiv 1907.09682) and Park et al. 2019 (arXiv 1904.05068); their relations are others than
    cosines.
    """

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """student: (batch, dim). teacher: (batch, any dim), of the same texts."""
        (student,), (teacher,) = checked(student), checked(_taught(teacher))
        if len(student) != len(teacher):
            raise ValueError(
                f"expected vectors of the same texts, got {len(student)} of the student and {len(teacher)} of "
                "the teacher"
            )
        with torch.autocast(student.device.type, enabled=False):
            relations, wanted = cos_sim(student, student), cos_sim(teacher, teacher)  # (batch, batch) each
        return F.mse_loss(relations, wanted.to(relations.dtype))


class MarginMSELoss(nn.Module):
    """A positive shall outscore a negative by as much as it does for the teacher: mean squared difference of margins.

    Hofstätter et al. 2020 (arXiv 2010.02666), section 3. Scores are dot products, unbounded like those of the
    cross-encoders that teach: cosines cannot differ by more than 2.
    """

    def forward(self, queries: Tensor, positives: Tensor, negatives: Tensor, margins: Tensor) -> Tensor:
        """queries, positives, negatives: (batch, dim). margins: (batch,), the teacher's score of a query with its
        positive less that with its negative."""
        queries, positives, negatives = checked(queries, positives, negatives)
        margins = checked_targets(margins.detach(), len(queries), "margin")
        ours = pairwise_dot_score(queries, positives) - pairwise_dot_score(queries, negatives)  # (batch,)
        return F.mse_loss(ours, margins.to(ours.dtype))


class MatryoshkaLoss(nn.Module):
    """Any loss of the course on the first numbers of each vector too: the sum over `dims` of weight * loss.

    Kusupati et al. 2022 (arXiv 2205.13147), equation 1. A vector trained so can be cut to any of `dims`. Name the full
    dimension as well: what is beyond the largest is not trained. Vectors cut are brought to length 1, whatever `loss`
    does with lengths. Three losses have a special case:

    - MSELoss: the teacher's vectors are cut too, but not brought to length 1, as in sentence_transformers.
    - RelationalLoss: the teacher's stay whole.
    - SoftmaxLoss: the numbers cut off are zeros to its classifier, which so uses a part of its weights for each dim
      (section 3 of the paper calls this MRL-E). sentence_transformers fails there.
    """

    def __init__(self, loss: nn.Module, dims: Sequence[int], weights: Sequence[float] | None = None):
        super().__init__()
        dims = list(dims)
        if not dims or min(dims) < 1 or len(set(dims)) != len(dims):
            raise ValueError(
                f"dims are one or more different whole numbers, from 1 to the embeddings' dimension, got {dims}"
            )
        weights = [1.0] * len(dims) if weights is None else [positive(weight, "a weight") for weight in weights]
        if len(weights) != len(dims):
            raise ValueError(f"expected one weight for each of the {len(dims)} dims, got {len(weights)}")
        self.loss, self.dims, self.weights = loss, dims, weights

    def forward(self, *columns: Tensor, **options) -> Tensor:
        """What `loss` takes, in the same order. Of its tensors, those of two axes are embeddings."""
        dim = columns[0].shape[-1]
        if max(self.dims) > dim:
            raise ValueError(
                f"the embeddings have {dim} dimensions, but dims names {max(self.dims)}: name none above {dim}"
            )
        return sum(weight * self.loss(*self._cut(columns, k), **options) for k, weight in zip(self.dims, self.weights))

    def _cut(self, columns: Sequence[Tensor], k: int) -> list[Tensor]:
        """The first k numbers of each vector: (rows, dim) -> (rows, k), or (rows, dim) again for a classifier."""
        cut = [F.normalize(at_least_float32(x)[:, :k], dim=1) if x.ndim == 2 else x for x in columns]
        if isinstance(self.loss, MSELoss):
            cut[1] = columns[1][:, :k]
        elif isinstance(self.loss, RelationalLoss):
            cut[1] = columns[1]
        elif isinstance(self.loss, SoftmaxLoss):
            cut = [F.pad(x, (0, columns[0].shape[1] - k)) if x.ndim == 2 else x for x in cut]
        return cut


def _taught(teacher: Tensor) -> Tensor:
    """A teacher's vectors, without gradient. ValueError where one is not finite."""
    if bad := (~teacher.isfinite().all(dim=-1)).nonzero().flatten().tolist():
        raise ValueError(
            f"{len(bad)} of the teacher's {len(teacher)} vectors are not finite, the first in row {bad[0]}: "
            "embed these texts anew"
        )
    return teacher.detach()
