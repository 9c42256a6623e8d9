"""How many bytes does a training step keep for its backward pass? Counted while it runs, on any device.

    with KeptBytes(model) as kept:
        loss(...).backward()
    kept.most

Autograd keeps what each step of the forward pass needs for its gradient, and lets go of it during the backward pass.
The weights are kept in any case, so they are not counted; what two steps keep in common is counted twice.
"""

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


class KeptBytes(saved_tensors_hooks):
    """`now`: bytes that are kept at the moment; `most`: the most at any moment so far."""

    def __init__(self, model: nn.Module):
        self.now = self.most = 0
        weights = {parameter.data_ptr() for parameter in model.parameters()}
        super().__init__(
            lambda tensor: tensor if tensor.data_ptr() in weights else _Kept(tensor, self),
            lambda kept: kept.tensor if isinstance(kept, _Kept) else kept,
        )

    def __enter__(self) -> "KeptBytes":
        super().__enter__()
        return self


class _Kept:
    """A tensor that is counted as long as autograd holds on to it."""

    def __init__(self, tensor: Tensor, count: KeptBytes):
        self.tensor, self.count = tensor, count
        count.now += tensor.numel() * tensor.element_size()
        count.most = max(count.most, count.now)

    def __del__(self):
        self.count.now -= self.tensor.numel() * self.tensor.element_size()
