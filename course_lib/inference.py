"""What every `encode` does: each distinct text once, in batches of tokens, by a BERT that was prepared for it.

`each_once` is the loop of SentenceEncoder, CrossEncoder and SparseEncoder alike. It fills batches by number of tokens,
not of texts. `PreparedCopy` holds the same BERT for inference only:

- Queries, keys and values come from one product instead of three.
- On CPUs the weights are laid out once as oneDNN, torch's other matrix library, likes them best, and GELU is applied to
  each block of the product while it is still in the cache. On an AMD Zen 5 this is more than twice as fast in float32
  as `nn.Linear`, which multiplies with MKL there (`benchmarks/encode.py` prints what it is on yours). torch.compile
  uses the same two operators; a torch without them falls back to `nn.Linear`.
- Optionally everything is bfloat16.
"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.bert import BertModel, BertSelfAttention
from course_lib.support.packed_attention import PACKED

FUSED = {
    "gelu": ("gelu", "none"),
    "gelu_new": ("gelu", "tanh"),
    "gelu_pytorch_tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
}
# The same in models of `transformers`: the linear map before the activation, the activation, and its class.
WITH_ACTIVATION = {"dense": "intermediate_act_fn", "lin1": "activation", "ffn": "activation"}
FUSED_MODULES = {
    "GELUActivation": ("gelu", "none"),
    "GELUTanh": ("gelu", "tanh"),
    "NewGELUActivation": ("gelu", "tanh"),
}


class PackedLinear(nn.Module):
    """A linear map with its weights in oneDNN's layout, and optionally an activation: float32 or bfloat16, CPU only."""

    def __init__(self, linear: nn.Linear, activation: tuple[str, str] = ("none", "")):
        super().__init__()
        rows = 1024  # a layout that suits about this many tokens at a time
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)
        self.bias = None if linear.bias is None else linear.bias.detach()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation[0], [], self.activation[1])


class FusedSelfAttention(BertSelfAttention):
    def __init__(self, attention: BertSelfAttention):
        nn.Module.__init__(self)
        self.heads, self.dropout = attention.heads, 0.0
        three = attention.query, attention.key, attention.value
        rows = 3 * three[0].out_features
        self.qkv = nn.Linear(three[0].in_features, rows, device="meta")  # without drawing random numbers
        self.qkv.weight = nn.Parameter(torch.cat([m.weight.data for m in three]), requires_grad=False)
        self.qkv.bias = nn.Parameter(torch.cat([m.bias.data for m in three]), requires_grad=False)

    def project(self, x: Tensor) -> Tensor:
        return self.qkv(x)


def can_pack(model: nn.Module, dtype: torch.dtype) -> bool:
    """True where oneDNN's linear maps exist for this device and dtype."""
    operators = hasattr(torch.ops.mkldnn, "_linear_pointwise") and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    on_cpu = next(model.parameters()).device.type == "cpu" and torch.backends.mkldnn.is_available()
    return operators and on_cpu and (dtype != torch.bfloat16 or torch.ops.mkldnn._is_mkldnn_bf16_supported())


def for_inference(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of `model` that computes the same in `dtype` (float32: to rounding), faster. It cannot be trained."""
    model = copy.deepcopy(model).to(dtype).eval().requires_grad_(False)
    pack = can_pack(model, dtype)
    if not isinstance(model, BertModel):
        return pack_all(model) if pack and model.config.model_type in PACKED else model
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


def pack_all(model: nn.Module) -> nn.Module:
    """Every linear map of a model of `transformers` packed, with the activation that follows it where one is known."""
    for module in list(model.modules()):
        for name, linear in list(module.named_children()):
            if type(linear) is nn.Linear:
                after = WITH_ACTIVATION.get(name)
                fused = FUSED_MODULES.get(type(getattr(module, after, None)).__name__) if after else None
                setattr(module, name, PackedLinear(linear, fused or ("none", "")))
                if fused:
                    setattr(module, after, nn.Identity())
    return model


def weights_key(model: nn.Module) -> tuple:
    """Changes when a weight of `model` is changed, replaced or moved: what was prepared from it is then out of date.

    Fused optimisers change weights without counting it in `_version` (torch 2.13): so two numbers of each are compared
    too. That may miss a change of a few rows, so encoders also forget what they prepared whenever they are put into
    training mode.
    """
    parameters = list(model.parameters())
    flat = [p.detach().flatten() for p in parameters]
    ends = torch.stack([end for p in flat for end in (p[0], p[-1])]).tolist()
    return (*((id(p), p.data_ptr(), p._version) for p in parameters), *ends)


class PreparedCopy:
    """For a module that encodes with a prepared copy of its model: keeps the copy until a weight changes or moves."""

    _prepared: tuple | None = None

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_prepared": None}  # copies and pickles make their own

    def train(self, mode: bool = True):
        self._prepared = None  # weights are about to change, or have changed
        return super().train(mode)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def prepared(self, model: nn.Module, dtype: torch.dtype) -> nn.Module:
        """`for_inference(model, dtype)`, made anew only where it is out of date."""
        key = (dtype, *weights_key(model))
        if self._prepared is None or self._prepared[0] != key:
            self._prepared = (key, for_inference(model, dtype))
        return self._prepared[1]


# ---- from texts to batches, and from batches to rows


def each_once(
    texts: list,
    tokenize: Callable[[list], tuple[list[np.ndarray], list]],
    device: torch.device,
    progress: tqdm,
    batch_tokens: int | None = None,
) -> Iterator[tuple[list[np.ndarray], list, list[list[int]]]]:
    """The loop of every `encode`: each distinct text once, the long ones first, as many at a time as a budget allows.

    tokenize: from the distinct texts to the token ids of each, (tokens_i,), and something more of each.
    batch_tokens: the budget, in tokens; by default it suits the device.
    Yields for each batch the ids, what else there is, and each text's places in `texts`: where its result belongs.
    """
    places_of: dict = {}
    for place, text in enumerate(texts):
        places_of.setdefault(text, []).append(place)
    columns = (*tokenize(list(places_of)), list(places_of.values()))
    for batch in token_batches([len(ids) for ids in columns[0]], batch_tokens or default_batch_tokens(device)):
        ids, more, places = ([column[k] for k in batch] for column in columns)
        yield ids, more, places
        progress.update(sum(map(len, places)))


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


def default_batch_tokens(device: torch.device) -> int:
    """On CPUs few enough for their caches, elsewhere enough to keep the device busy."""
    return 2048 if device.type == "cpu" else 32_768


def pack(ids: list[np.ndarray], device: torch.device) -> tuple[Tensor, list[int]]:
    """Several texts one after the other, as BERT wants them: token ids, int64 (tokens,), and how many each text has.

    ValueError without a text.
    """
    if not ids:
        raise ValueError("there are no texts, or pairs: expected one at least (encode and predict take none as well)")
    return torch.from_numpy(np.concatenate(ids)).long().to(device), [len(i) for i in ids]


def progress_bar(total: int | None, doing: str, unit: str, shown: bool | None) -> tqdm:
    """shown: None for a bar that appears on work of more than a few seconds."""
    delay = 4 if shown is None else 0
    return tqdm(total=total, desc=doing, unit=unit, delay=delay, disable=shown is False)
