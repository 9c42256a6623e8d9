"""Vectors of several sizes at once.

    loss = MatryoshkaLoss(MultipleNegativesRankingLoss(), dims=[256, 64, 16])(anchors, positives)

As in `losses`: name and result are those of sentence_transformers' loss; it takes embeddings, and returns a scalar.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.finetuning.distillation import MSELoss, RelationalLoss
from course_lib.losses import SoftmaxLoss
from course_lib.support.loss_inputs import at_least_float32, positive
from course_lib.support.vectors import tensor_of


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
            raise ValueError(f"dims are one or more different whole numbers, from 1 to the dimension, got {dims}")
        weights = [1.0] * len(dims) if weights is None else [positive(weight, "a weight") for weight in weights]
        if len(weights) != len(dims):
            raise ValueError(f"expected one weight for each of the {len(dims)} dims, got {len(weights)}")
        self.loss, self.dims, self.weights = loss, dims, weights
        self.register_forward_pre_hook(_as_tensors)  # labels and a teacher's vectors may be arrays or lists

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
        embeddings = [x.ndim == 2 and x.is_floating_point() for x in columns]
        cut = [F.normalize(at_least_float32(x)[:, :k], dim=1) if own else x for x, own in zip(columns, embeddings)]
        if isinstance(self.loss, MSELoss):
            cut[1] = columns[1][:, :k]
        elif isinstance(self.loss, RelationalLoss):
            cut[1] = columns[1]
        elif isinstance(self.loss, SoftmaxLoss):
            cut = [F.pad(x, (0, columns[0].shape[1] - k)) if own else x for x, own in zip(cut, embeddings)]
        return cut


def _as_tensors(loss: nn.Module, columns: Sequence) -> tuple[Tensor, ...]:
    return tuple(tensor_of(column, f"column {i}") for i, column in enumerate(columns))
