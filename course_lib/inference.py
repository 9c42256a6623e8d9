"""The same BERT, prepared for encoding: fewer and faster matrix products, nothing that training needs.

- Queries, keys and values come from one product instead of three.
- On CPUs the weights are laid out once as oneDNN, torch's other matrix library, likes them best, and GELU is applied to
  each block of the product while it is still in the cache. On an AMD Zen 5 this is more than twice as fast in float32 as
  `nn.Linear`, which multiplies with MKL there (`benchmarks/encode.py` prints what it is on yours). torch.compile uses
  the same two operators; a torch without them falls back to `nn.Linear`.
- Optionally everything is bfloat16.
- Batches are filled by number of tokens, not of texts.
"""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.bert import BertModel, BertSelfAttention

FUSED = {
    "gelu": ("gelu", "none"),
    "gelu_new": ("gelu", "tanh"),
    "gelu_pytorch_tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
}


class PackedLinear(nn.Module):
    """A linear map with its weights in oneDNN's layout, and optionally an activation: float32 or bfloat16, CPU only."""

    def __init__(self, linear: nn.Linear, activation: tuple[str, str] = ("none", "")):
        super().__init__()
        rows = 1024  # a layout that suits about this many tokens at a time
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)
        self.bias = linear.bias.detach()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation[0], [], self.activation[1])


class FusedSelfAttention(BertSelfAttention):
    def __init__(self, attention: BertSelfAttention):
        nn.Module.__init__(self)
        self.heads, self.dropout = attention.heads, 0.0
        three = attention.query, attention.key, attention.value
        self.qkv = nn.utils.skip_init(
            nn.Linear,
            three[0].in_features,
            3 * three[0].out_features,
            dtype=three[0].weight.dtype,
            device=three[0].weight.device,
        )  # without drawing random numbers
        self.qkv.weight.data = torch.cat([m.weight.data for m in three])
        self.qkv.bias.data = torch.cat([m.bias.data for m in three])

    def project(self, x: Tensor) -> Tensor:
        return self.qkv(x)


def can_pack(model: nn.Module, dtype: torch.dtype) -> bool:
    """True where oneDNN's linear maps exist for this device and dtype."""
    operators = hasattr(torch.ops.mkldnn, "_linear_pointwise") and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    on_cpu = next(model.parameters()).device.type == "cpu" and torch.backends.mkldnn.is_available()
    return operators and on_cpu and (dtype != torch.bfloat16 or torch.ops.mkldnn._is_mkldnn_bf16_supported())


def for_inference(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of `model` that computes the same in `dtype` (float32: to rounding), faster. It cannot be trained.

    Any other model than a `BertModel` is only copied, converted, and put into evaluation mode.
    """
    model = copy.deepcopy(model).to(dtype).eval().requires_grad_(False)
    if not isinstance(model, BertModel):
        return model
    pack = can_pack(model, dtype)
    for layer in model.encoder["layer"]:
        layer.attention["self"] = FusedSelfAttention(layer.attention["self"])
        if pack:
            layer.attention["self"].qkv = PackedLinear(layer.attention["self"].qkv)
            for block in (layer.attention["output"], layer.output):
                block.dense = PackedLinear(block.dense)
            fused = FUSED.get(model.config.hidden_act)
            layer.intermediate["dense"] = PackedLinear(layer.intermediate["dense"], fused or ("none", ""))
            if fused:
                layer.activation = lambda x: x
    return model


def weights_key(model: nn.Module) -> tuple:
    """Changes when a weight of `model` is changed, replaced or moved: what was prepared from it is then out of date.

    Fused optimisers change weights without counting it in `_version` (torch 2.13): so two numbers of each are compared too.
    That may miss a change of a few rows, so encoders also forget what they prepared whenever they are put into training mode.
    """
    parameters = [p.detach() for p in model.parameters()]
    ends = torch.stack([end for p in parameters for end in (p.flatten()[0], p.flatten()[-1])]).tolist()
    return (*((id(p), p.data_ptr(), p._version) for p in model.parameters()), *ends)


class PreparedCopy:
    """For a module that encodes with a prepared copy of a model inside it: keeps the copy until a weight changes or moves."""

    _prepared: tuple | None = None

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_prepared": None}  # copies and pickles make their own

    def train(self, mode: bool = True):
        self._prepared = None  # weights are about to change, or have changed
        return super().train(mode)

    def prepared(self, model: nn.Module, dtype: torch.dtype) -> nn.Module:
        """`for_inference(model, dtype)`, made anew only where it is out of date."""
        key = (dtype, *weights_key(model))
        if self._prepared is None or self._prepared[0] != key:
            self._prepared = (key, for_inference(model, dtype))
        return self._prepared[1]


def token_batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices sorted by length, longest first, in lists of at most `batch_tokens` tokens (or one longer text)."""
    batch, tokens = [], 0
    for k in np.argsort(lengths, kind="stable")[::-1].tolist():
        if batch and tokens + lengths[k] > batch_tokens:
            yield batch
            batch, tokens = [], 0
        batch.append(k)
        tokens += lengths[k]
    if batch:
        yield batch
