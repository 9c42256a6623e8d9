"""nn.Linear for training in float32 on CPUs, through oneDNN in place of MKL.

torch multiplies float32 matrices with MKL, which runs at half of oneDNN's speed on AMD processors
(`benchmarks/train.py` prints what a whole step gains). Both compute the same, to rounding. Elsewhere (other dtypes,
autocast, GPUs, a torch without this operator) it is `nn.Linear` itself. For encoding, inference.py goes further.

Left out on purpose: double backward.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MULTIPLY = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


class _OneDNN(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return MULTIPLY(x, weight, bias, "none", [], "")

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):  # (rows, out)
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = MULTIPLY(gradient, weight.t(), None, "none", [], "")  # (rows, in)
        if ctx.needs_input_grad[1]:
            of_weight = MULTIPLY(gradient.t(), x.t(), None, "none", [], "")  # (out, in)
        if ctx.has_bias and ctx.needs_input_grad[2]:
            of_bias = gradient.sum(0)  # (out,)
        return of_x, of_weight, of_bias


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(rows, in), (out, in), (out,) -> (rows, out): x @ weight.T + bias, as torch.nn.functional.linear."""
    fits = MULTIPLY is not None and x.ndim == 2 and len(x) > 0 and x.dtype == weight.dtype == torch.float32
    if fits and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        return _OneDNN.apply(x, weight, bias)
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
