"""Scaled dot-product attention without a mask, in the form that is fastest on this device.

`F.scaled_dot_product_attention` never forms the weights. On CPUs the plain lines beat it nonetheless: with the backward
pass, by far in bfloat16, and, on processors that multiply bfloat16 without AMX, in the forward pass up to 512 tokens.
Both compute the same, to rounding.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.support.devices import has_amx


def fast_attention(q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0, bias: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(size) + bias) v, each (sentences, heads, length, size).

    dropout: of the weights, while training.
    bias: (heads or 1, length, length), by distance: numbers, or -inf where a token may not look.
    """
    short = q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.shape[-2] <= (15 if has_amx() else 512)
    if not dropout and not short and not torch.is_grad_enabled():
        return F.scaled_dot_product_attention(q, k, v, None if bias is None else bias[None])  # 4 dims: its fast form
    scores = q / math.sqrt(q.shape[-1]) @ k.transpose(-1, -2)  # (sentences, heads, length, length)
    scores = scores if bias is None else scores + bias
    return F.dropout(scores.softmax(-1), dropout) @ v
