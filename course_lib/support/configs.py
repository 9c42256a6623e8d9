"""sentence-transformers' model folders: the modules that `modules.json` names, and the small JSON files beside them.

Both of its dialects are read (the flags up to version 5, the mode names since), the older is written, which versions 3
to 6 all read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import torch
from torch import Size, Tensor, nn
from torch.overrides import TorchFunctionMode

from course_lib.support.folders import read_json, read_weights, write_json
from course_lib.support.reading import of_kind

# what a SentenceEncoder is made with
SETTINGS = ("prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim")
SETTING_KINDS = dict(zip(SETTINGS, (dict, str, str, int))) | {"activation_fn": str}
POOLING_FLAGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


def read_modules(folder: Path) -> list[tuple[str, str]]:
    """(path, kind) of each module that `modules.json` names; none without that file."""
    file, entries = folder / "modules.json", []
    for entry in read_json(file, default=[], kind=list):
        try:
            entries.append((entry["path"], entry["type"]))
            of_kind(entry, {"path": str, "type": str}, file)
        except (KeyError, TypeError) as error:
            raise ValueError(f"the module {entry} of {file} is incomplete or wrong ({error!r})") from error
    if file.exists() and not entries:
        raise ValueError(f"{file} names no modules; copy or download it again")
    return entries


def load_module(folder: Path, kind: str, kinds: Mapping[str, str]) -> nn.Module:
    """The module in this folder, of a kind as sentence-transformers writes it: "sentence_transformers.models.Pooling".

    kinds: the Python module that each known kind is to be imported from, by its bare name ("Pooling").
    """
    name = str(kind).rsplit(".", 1)[-1]
    if name not in kinds:
        raise ValueError(f"{folder} is a module {kind!r}; known are {', '.join(kinds)}")
    try:
        return getattr(import_module(kinds[name]), name).load(folder)
    except (KeyError, TypeError) as error:
        raise ValueError(f"the settings of the {name} in {folder} are incomplete or wrong ({error!r})") from error


def load_weights(make: Callable[[], nn.Module], folder: Path, layers: int = 0) -> nn.Module:
    """The module that `make` makes, with the weights in its folder. layers: how many it has.

    Raises ValueError, before it is made, where they are not just what its config promises.
    """
    weights = read_weights(folder)
    expected = shapes(make, layers, weights, folder)
    check_shapes(weights, expected, folder, unknown=[name for name in weights if name not in expected])
    module = make()
    module.load_state_dict(weights)
    return module


def shapes(make: Callable[[], nn.Module], layers: int, weights: Mapping[str, Tensor], where: Path) -> dict[str, Size]:
    """The shapes of a module's weights, by their names, without the memory that they would take.

    Raises ValueError for more layers than there are weights: so many would take hours to make.
    """
    if layers > len(weights):
        raise ValueError(f"the config.json in {where} has {layers} layers, and there are {len(weights)} weights in all")
    with _WithoutInitialValues(), torch.device("meta"):
        return {name: tensor.shape for name, tensor in make().state_dict().items()}


class _WithoutInitialValues(TorchFunctionMode):
    """What torch.nn.init draws is left out: without memory there is nothing to fill, and torch would import a lot."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def check_shapes(weights: Mapping[str, Tensor], expected: Mapping[str, Size], where: Path, unknown: Sequence[str] = ()):
    """Raise ValueError for weights that are missing or of another shape than expected, or `unknown`."""
    missing = [name for name in expected if name not in weights]
    wrong = [
        f"{name} {tuple(weights[name].shape)}, expected {tuple(shape)}"
        for name, shape in expected.items()
        if name in weights and weights[name].shape != shape
    ]
    if missing or wrong or unknown:
        raise ValueError(
            f"the weights in {where} do not fit its config.json: missing {missing[:3]}, of another shape {wrong[:3]}"
            + (f", not of this model {list(unknown)[:3]}" if unknown else "")
        )


def in_order(modules: list[nn.Module], folder: Path) -> list[nn.Module]:
    """The modules of a sentence encoder. Raises ValueError where one does not take what the one before it gives."""
    kinds = [type(module).__name__ for module in modules]
    first = 2 if kinds[:1] == ["Transformer"] else 1
    if kinds[:first] not in (["Transformer", "Pooling"], ["StaticEmbedding"]) or {
        "Transformer",
        "Pooling",
        "StaticEmbedding",
    } & {*kinds[first:]}:
        raise ValueError(
            f"{folder} has the modules {', '.join(kinds)}; expected Transformer and Pooling, or StaticEmbedding, "
            "then perhaps Dense and Normalize"
        )
    return modules


def save_modules(modules: Iterable[nn.Module], folder: Path, half: bool):
    """Write each module and `modules.json` into an existing folder. A Transformer's files stand there themselves."""
    entries = []
    for i, module in enumerate(modules):
        kind = type(module).__name__
        path = "" if kind == "Transformer" else f"{i}_{kind}"
        (folder / path).mkdir(exist_ok=True)
        module.save(folder / path, half)
        entries.append((path, f"sentence_transformers.models.{kind}"))
    write_modules(folder, entries)


def write_modules(folder: Path, entries: Iterable[tuple[str, str]]):
    """`modules.json`, of the (path, kind) of each module in their order."""
    listed = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(entries)]
    write_json(folder / "modules.json", listed)


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


def read_settings(folder: Path, names: Sequence[str] = SETTINGS) -> dict:
    """Those of the settings `names` that `config_sentence_transformers.json` gives a value."""
    file = folder / "config_sentence_transformers.json"
    config = read_json(file, default={}, entries=SETTING_KINDS)
    of_kind(config.get("prompts", {}), dict.fromkeys(config.get("prompts", {}), str), file)
    return {name: config[name] for name in names if config.get(name)}


def write_settings(folder: Path, settings: dict):
    """Those of the settings that have a value."""
    given = {name: value for name, value in settings.items() if value is not None}
    write_json(folder / "config_sentence_transformers.json", {"__version__": {}, **given})


def read_pooling(folder: Path) -> tuple[int, str | tuple[str, ...], bool]:
    """What a Pooling is made with: dim, modes, include_prompt. Either dialect's modes; the mean where none is named."""
    kinds = {"embedding_dimension": int, "word_embedding_dimension": int, "include_prompt": bool}
    config = read_json(folder / "config.json", entries=kinds)
    modes = config.get("pooling_mode") or [mode for mode, flag in POOLING_FLAGS.items() if config.get(flag)] or "mean"
    if not isinstance(modes, str | list) or not all(isinstance(mode, str) for mode in modes):
        raise ValueError(
            f"pooling_mode in {folder / 'config.json'} is {modes!r}; expected the name of a mode, or a list"
        )
    dim = config.get("embedding_dimension") or config["word_embedding_dimension"]
    return dim, modes if isinstance(modes, str) else tuple(modes), config.get("include_prompt", True)


def read_dense(folder: Path) -> tuple[int, int, bool, nn.Module]:
    """What a Dense is made with: in_features, out_features, bias, activation_function."""
    config = read_json(folder / "config.json", entries={"in_features": int, "out_features": int, "bias": bool})
    if config.get("use_residual") or config.get("module_input_name", "sentence_embedding") != "sentence_embedding":
        raise ValueError(f"{folder} has a residual or works on tokens; known are plain Dense modules on vectors")
    activation = read_activation(config.get("activation_function", "torch.nn.modules.activation.Tanh"), folder)
    return config["in_features"], config["out_features"], config.get("bias", True), activation


def pooling_flags(modes: tuple[str, ...]) -> dict[str, bool]:
    """The modes as flags. ValueError for an order that flags cannot tell."""
    if modes != tuple(mode for mode in POOLING_FLAGS if mode in modes):
        raise ValueError(f"the order {modes} cannot be saved in flags; use the order of {tuple(POOLING_FLAGS)}")
    return {flag: mode in modes for mode, flag in POOLING_FLAGS.items()}


def read_activation(path: str, folder: Path) -> nn.Module:
    """The activation that a config names by its path, "torch.nn.modules.activation.Tanh". ValueError unless torch's."""
    kind = getattr(nn, str(path).rsplit(".", 1)[-1], None)
    if not str(path).startswith("torch.nn.") or not isinstance(kind, type) or not issubclass(kind, nn.Module):
        raise ValueError(f"activation_function is {path!r} in {folder}; expected a module of torch.nn")
    try:
        return kind()
    except TypeError as error:
        raise ValueError(
            f"activation_function is {path!r} in {folder}, which cannot be made without settings ({error})"
        ) from error


def activation_path(activation: nn.Module) -> str:
    """The path of an activation's class, for a config. ValueError where settings would be lost: LeakyReLU(0.2)."""
    kind = type(activation)
    try:
        kept = getattr(nn, kind.__name__, None) is kind and repr(kind()) == repr(activation)
    except TypeError:  # it cannot be made without settings
        kept = False
    if not kept:
        raise ValueError(
            f"the activation {activation!r} cannot be saved: the format names a class of torch.nn, and nothing of its "
            "settings"
        )
    return f"{kind.__module__}.{kind.__name__}"
