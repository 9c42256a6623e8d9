"""sentence-transformers' model folders: the modules that `modules.json` names, and the small JSON files beside them.

Both of its dialects are read (the flags up to version 5, the mode names since), the older is written, which versions 3
to 6 all read.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from torch import nn

from course_lib.support.folders import read_json, read_weights, write_json

# what a SentenceEncoder is made with
SETTINGS = ("prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim")
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
    entries = []
    for entry in read_json(folder / "modules.json", default=[], kind=list):
        try:
            entries.append((entry["path"], entry["type"]))
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"the module {entry} of {folder / 'modules.json'} is incomplete or wrong ({error!r})"
            ) from error
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


def load_weights(module: nn.Module, folder: Path):
    """Take over the weights in a module's folder. ValueError where they are not just what its config promises."""
    weights, own = read_weights(folder), module.state_dict()
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if found != {name: tuple(tensor.shape) for name, tensor in own.items()}:
        raise ValueError(f"the weights in {folder} do not fit its config.json: found {found}")
    module.load_state_dict(weights)


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
    config = read_json(folder / "config_sentence_transformers.json", default={})
    return {name: config[name] for name in names if config.get(name)}


def write_settings(folder: Path, settings: dict):
    """Those of the settings that have a value."""
    given = {name: value for name, value in settings.items() if value is not None}
    write_json(folder / "config_sentence_transformers.json", {"__version__": {}, **given})


def read_pooling(config: dict) -> str | tuple[str, ...]:
    """The pooling modes that a Pooling's config names, in either dialect; the mean where it names none."""
    modes = config.get("pooling_mode") or [mode for mode, flag in POOLING_FLAGS.items() if config.get(flag)] or "mean"
    return modes if isinstance(modes, str) else tuple(modes)


def pooling_flags(modes: tuple[str, ...]) -> dict[str, bool]:
    """The modes as flags. ValueError for an order that flags cannot tell."""
    if modes != tuple(mode for mode in POOLING_FLAGS if mode in modes):
        raise ValueError(f"the order {modes} cannot be saved in flags; use the order of {tuple(POOLING_FLAGS)}")
    return {flag: mode in modes for mode, flag in POOLING_FLAGS.items()}


def read_activation(path: str, folder: Path) -> nn.Module:
    """The activation that a config names by its path, "torch.nn.modules.activation.Tanh". ValueError unless torch's."""
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
