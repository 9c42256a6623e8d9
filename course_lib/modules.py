"""What a sentence encoder is made of: modules in sequence, each saved in a folder of its own.

    Transformer       texts -> token ids -> one vector a token   (packed, see bert.py)
    Pooling           one vector a token -> one vector a sentence
    Dense             a linear map and an activation
    Normalize         divide by the L2 norm
    StaticEmbedding   texts -> token ids -> the mean of one fixed vector a token; in place of the first two

Names, folders and files are those of sentence-transformers (support/configs.py). A module's `dims` are the lengths of
the vectors it takes and gives; None: it takes any, and gives what it takes.

Left out on purpose: its other module types (CNN, LSTM, BoW, WordWeights, Router, CLIP), slow tokenizers.
"""

from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.bert import runs
from course_lib.pooling import POOLING_MODES, pool
from course_lib.support import configs
from course_lib.support.folders import save_tensors, write_json
from course_lib.transformer import TokenEmbeddings, Transformer

# Where each kind is found. It is imported when a folder asks for it, so that the core needs nothing outside of it.
KINDS = dict.fromkeys(("Transformer", "Pooling", "Dense", "Normalize"), __name__)
KINDS["StaticEmbedding"] = "course_lib.models.static"


class Pooling(nn.Module):
    """Token vectors to sentence vectors, by one or several modes of pooling.py.

    include_prompt: False leaves the prompt's tokens ([CLS] included) out, as INSTRUCTOR models want it.
    """

    def __init__(self, dim: int, mode: str | tuple[str, ...] = "mean", include_prompt: bool = True):
        super().__init__()
        self.dim, self.include_prompt = dim, include_prompt
        self.modes = (mode,) if isinstance(mode, str) else tuple(mode)
        self.dims = dim, dim * len(self.modes)
        if not set(self.modes) <= set(POOLING_MODES) or not self.modes:
            raise ValueError(f"pooling mode is {mode!r}; expected one or several of {POOLING_MODES}")

    @classmethod
    def load(cls, folder: Path) -> "Pooling":
        return cls(*configs.read_pooling(folder))

    def save(self, folder: Path, half: bool = False):
        flags = configs.pooling_flags(self.modes)
        config = {"word_embedding_dimension": self.dim, **flags, "include_prompt": self.include_prompt}
        write_json(folder / "config.json", config)

    def forward(self, tokens: TokenEmbeddings) -> Tensor:
        skipped = 0 if self.include_prompt else tokens.prompt_length
        if skipped and "weightedmean" in self.modes:
            raise ValueError("weightedmean cannot leave a prompt out: take another mode, or include_prompt=True")
        pooled, batch_runs = [], runs(tokens.lengths)
        parts = tokens.vectors.split([count * length for count, length in batch_runs])
        for part, (count, length) in zip(parts, batch_runs):  # sentences of equal length: nothing is padded
            mask = (torch.arange(length, device=part.device) >= skipped).expand(count, length)
            pooled.append(pool(part.view(count, length, -1).float(), mask, self.modes))  # (count, dim * modes)
        return torch.cat(pooled)  # (sentences, dim * modes)

    def extra_repr(self) -> str:
        mode = self.modes if len(self.modes) > 1 else self.modes[0]
        return f"{self.dim}, mode={mode!r}, include_prompt={self.include_prompt}"


class Dense(nn.Module):
    """(sentences, in_features) -> (sentences, out_features): a linear map, then an activation.

    activation_function: any module of torch.nn, such as PReLU, whose weight is learned and saved with the map's; None:
        none. Only its class is saved: `save` raises ValueError where its settings are not the defaults.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, activation_function: nn.Module | None = nn.Tanh()
    ):
        super().__init__()
        if not isinstance(activation_function, nn.Module | None):
            given = f"activation_function is {activation_function!r}"
            raise TypeError(f"{given}; expected a module of torch.nn, such as torch.nn.Tanh()")
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.activation_function = nn.Identity() if activation_function is None else activation_function
        self.dims = in_features, out_features

    @classmethod
    def load(cls, folder: Path) -> "Dense":
        return configs.load_weights(partial(cls, *configs.read_dense(folder)), folder)

    def save(self, folder: Path, half: bool = False):
        config = dict(zip(("in_features", "out_features"), self.dims))
        config["bias"] = self.linear.bias is not None
        config["activation_function"] = configs.activation_path(self.activation_function)
        write_json(folder / "config.json", config)
        save_tensors(self.state_dict(), folder / "model.safetensors", half)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation_function(self.linear(x))


class Normalize(nn.Module):
    """(sentences, dim) -> the same, each row of L2 norm 1."""

    @classmethod
    def load(cls, folder: Path) -> "Normalize":
        return cls()

    def save(self, folder: Path, half: bool = False):
        """There is nothing to write."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1)


def load_modules(folder: Path) -> list[nn.Module]:
    """The modules that `modules.json` names; without that file a Transformer and mean pooling."""
    if not (folder / "modules.json").exists():
        transformer = Transformer.load(folder)
        return [transformer, Pooling(transformer.dims[1])]
    modules = [configs.load_module(folder / path, kind, KINDS) for path, kind in configs.read_modules(folder)]
    return configs.in_order(modules, folder)
