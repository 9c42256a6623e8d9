"""What a sentence encoder is made of: modules in sequence, each saved in a folder of its own.

    Transformer    texts -> token ids -> one vector a token   (packed, see bert.py)
    Pooling        one vector a token -> one vector a sentence
    Dense          a linear map and an activation
    Normalize      divide by the L2 norm
    StaticEmbedding   texts -> token ids -> the mean of one fixed vector a token; stands in place of the first two

The names, folders and files are those of sentence-transformers; both of its config dialects are read (the flags up to
version 5, the mode names since), the older is written, which versions 3 to 6 all read.

Left out on purpose: its other module types (CNN, LSTM, BoW, WordWeights, Router, CLIP), slow tokenizers.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.bert import runs
from course_lib.models.static import StaticEmbedding
from course_lib.pooling import POOLING_MODES, pool
from course_lib.support.folders import read_json, read_weights, save_tensors, write_json
from course_lib.transformer import TokenEmbeddings, Transformer


class Pooling(nn.Module):
    """Token vectors to sentence vectors, by one or several modes of pooling.py.

    include_prompt: False leaves the prompt's tokens ([CLS] included) out, as INSTRUCTOR models want it.
    """

    def __init__(self, dim: int, mode: str | tuple[str, ...] = "mean", include_prompt: bool = True):
        super().__init__()
        self.dim, self.modes, self.include_prompt = (
            dim,
            (mode,) if isinstance(mode, str) else tuple(mode),
            include_prompt,
        )
        if not set(self.modes) <= set(POOLING_MODES) or not self.modes:
            raise ValueError(f"pooling mode is {mode!r}; expected one or several of {POOLING_MODES}")

    @staticmethod
    def flag(mode: str) -> str:
        return f"pooling_mode_{mode}" + {"cls": "_token", "lasttoken": "", "mean_sqrt_len_tokens": ""}.get(
            mode, "_tokens"
        )

    @classmethod
    def load(cls, folder: Path) -> "Pooling":
        config = read_json(folder / "config.json")
        modes = config.get("pooling_mode") or [m for m in POOLING_MODES if config.get(cls.flag(m))] or "mean"
        dim = config.get("embedding_dimension") or config.get("word_embedding_dimension")
        return cls(dim, modes if isinstance(modes, str) else tuple(modes), config.get("include_prompt", True))

    @property
    def dims(self) -> tuple[int, int]:
        return self.dim, self.dim * len(self.modes)

    def save(self, folder: Path, half: bool = False):
        if self.modes != tuple(m for m in POOLING_MODES if m in self.modes):
            raise ValueError(f"the order {self.modes} cannot be saved in flags; use the order of {POOLING_MODES}")
        flags = {self.flag(m): m in self.modes for m in POOLING_MODES}
        write_json(
            folder / "config.json",
            {"word_embedding_dimension": self.dim, **flags, "include_prompt": self.include_prompt},
        )

    def forward(self, tokens: TokenEmbeddings) -> Tensor:
        skipped = 0 if self.include_prompt else tokens.prompt_length
        if skipped and "weightedmean" in self.modes:
            raise ValueError(
                "weightedmean cannot leave a prompt out (include_prompt=False); use another mode, or no prompt"
            )
        pooled, batch_runs = [], runs(tokens.lengths)
        for part, (count, length) in zip(
            tokens.vectors.split([count * length for count, length in batch_runs]), batch_runs
        ):
            run = part.view(count, length, -1).float()
            mask = torch.ones(count, length, dtype=torch.bool, device=run.device)
            if skipped:
                mask[:, :skipped] = False
            pooled.append(pool(run, mask, self.modes))  # (count, dim * modes)
        return torch.cat(pooled)  # (sentences, dim * modes)

    def extra_repr(self) -> str:
        return f"{self.dim}, mode={self.modes if len(self.modes) > 1 else self.modes[0]!r}, include_prompt={self.include_prompt}"


def read_activation(path: str, folder: Path) -> nn.Module:
    """The activation that a config names by its path, such as torch.nn.modules.activation.Tanh. ValueError unless it is torch's."""
    kind = getattr(nn, path.rsplit(".", 1)[-1], None)
    if not path.startswith("torch.nn.") or not isinstance(kind, type) or not issubclass(kind, nn.Module):
        raise ValueError(f"activation_function is {path!r} in {folder}; expected a module of torch.nn")
    try:
        return kind()
    except TypeError as error:
        raise ValueError(
            f"activation_function is {path!r} in {folder}, which cannot be made without settings ({error})"
        ) from error


def activation_path(activation: nn.Module) -> str:
    """What a config can say of an activation: the path of its class. ValueError where that loses settings, as of LeakyReLU(0.2)."""
    kind = type(activation)
    try:
        kept = getattr(nn, kind.__name__, None) is kind and repr(kind()) == repr(activation)
    except TypeError:  # it cannot be made without settings
        kept = False
    if not kept:
        raise ValueError(
            f"the activation {activation!r} cannot be saved: the format names a class of torch.nn, and nothing of its settings"
        )
    return f"{kind.__module__}.{kind.__name__}"


class Dense(nn.Module):
    """(sentences, in_features) -> (sentences, out_features): a linear map, then an activation.

    activation_function: any module of torch.nn, such as PReLU, whose weight is learned and saved with the map's; None: none.
        Only its class is saved: `save` raises ValueError where its settings are not the defaults.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, activation_function: nn.Module | None = nn.Tanh()
    ):
        super().__init__()
        if not isinstance(activation_function, nn.Module | None):
            raise TypeError(
                f"activation_function is {activation_function!r}; expected a module of torch.nn, such as torch.nn.Tanh()"
            )
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.activation_function = nn.Identity() if activation_function is None else activation_function

    @classmethod
    def load(cls, folder: Path) -> "Dense":
        config = read_json(folder / "config.json")
        activation = read_activation(config.get("activation_function", "torch.nn.modules.activation.Tanh"), folder)
        if config.get("use_residual") or config.get("module_input_name", "sentence_embedding") != "sentence_embedding":
            raise ValueError(
                f"{folder} has a residual, or works on tokens; known are plain Dense modules on sentence vectors"
            )
        dense = cls(config["in_features"], config["out_features"], config.get("bias", True), activation)
        weights = read_weights(folder)
        if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in dense.state_dict().items()}:
            raise ValueError(
                f"the weights in {folder} do not fit its config.json: found { {n: tuple(t.shape) for n, t in weights.items()} }"
            )
        dense.load_state_dict(weights)
        return dense

    @property
    def dims(self) -> tuple[int, int]:
        return self.linear.in_features, self.linear.out_features

    def save(self, folder: Path, half: bool = False):
        write_json(
            folder / "config.json",
            {
                "in_features": self.linear.in_features,
                "out_features": self.linear.out_features,
                "bias": self.linear.bias is not None,
                "activation_function": activation_path(self.activation_function),
            },
        )
        save_tensors(self.state_dict(), folder / "model.safetensors", half)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation_function(self.linear(x))


class Normalize(nn.Module):
    """(sentences, dim) -> the same, each row of L2 norm 1."""

    @classmethod
    def load(cls, folder: Path) -> "Normalize":
        return cls()

    def save(self, folder: Path, half: bool = False):
        pass

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1)


KINDS = {kind.__name__: kind for kind in (Transformer, Pooling, Dense, Normalize, StaticEmbedding)}


def load_modules(folder: Path) -> list[nn.Module]:
    """The modules that `modules.json` names; without that file a Transformer and mean pooling."""
    if not (folder / "modules.json").exists():
        transformer = Transformer.load(folder)
        return [transformer, Pooling(transformer.dims[1])]
    return [load_module(folder / path, kind) for path, kind in module_entries(folder)]


def module_entries(folder: Path) -> list[tuple[str, str]]:
    """(path, kind) of each module that `modules.json` names; none without that file."""
    entries = []
    for entry in read_json(folder / "modules.json", default=[], kind=list):
        try:
            entries.append((entry["path"], entry["type"]))
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"the module {entry} of {folder / 'modules.json'} is incomplete or wrong ({error!r})"
            ) from error
    return entries


def load_module(folder: Path, kind: str) -> nn.Module:
    """The module in this folder, of a kind given as sentence-transformers writes it: "sentence_transformers.models.Pooling"."""
    name = str(kind).rsplit(".", 1)[-1]
    if name not in KINDS:
        raise ValueError(f"{folder} is a module {kind!r}; known are {', '.join(KINDS)}")
    try:
        return KINDS[name].load(folder)
    except (KeyError, TypeError) as error:
        raise ValueError(f"the settings of the {name} in {folder} are incomplete or wrong ({error!r})") from error


def save_modules(modules: Iterable[nn.Module], folder: Path, half: bool):
    """Write each module and `modules.json` into an existing folder."""
    entries = []
    for i, module in enumerate(modules):
        kind = type(module).__name__
        path = "" if isinstance(module, Transformer) else f"{i}_{kind}"
        (folder / path).mkdir(exist_ok=True)
        module.save(folder / path, half)
        entries.append({"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"})
    write_json(folder / "modules.json", entries)


def output_dim(modules: Iterable[nn.Module]) -> int:
    """The length of the vectors that come out at the end. Raises ValueError where one module does not fit the next."""
    dim, before = None, None
    for module in modules:
        takes, gives = getattr(module, "dims", (None, None))  # None: takes any; gives what it takes
        if takes and dim and takes != dim:
            raise ValueError(
                f"{type(module).__name__} takes vectors of {takes} numbers, and {before} before it gives {dim}; "
                "modules of one encoder have to fit each other"
            )
        dim, before = gives or dim, type(module).__name__
    return dim
