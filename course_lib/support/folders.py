"""Model folders: from a name to a folder, from a folder to weights, and back without ever leaving half a folder.

Weights are read from safetensors only. Pickle files can run code when they are read, so they are refused.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from course_lib.support.exchange import exchange, file_names, prefix, settle
from course_lib.support.hub import fetch, pickled_only
from course_lib.support.model_files import INDEX, WEIGHTS, is_model, own_files
from course_lib.support.reading import is_error, of_kind, reading

DEFAULT = "course/sbert-mini"
PACKAGE = Path(__file__).resolve().parents[1]
BUNDLED = PACKAGE / "bundled"  # in an installed library, which has no clone around it: setup.py puts the model there
COURSE_HOME = Path(os.environ.get("COURSE_HOME") or (BUNDLED if BUNDLED.is_dir() else PACKAGE.parent))
CLONE = "; a clone of the course has all: name its folder in the environment variable COURSE_HOME"
ADVICE = CLONE if COURSE_HOME == BUNDLED else ""


def resolve(name: str | Path) -> Path:
    """The folder of a model: a local folder, `course/...` (bundled in data/models), or a name on the Hugging Face hub.

    Of the hub, a mirror folder (the environment variable COURSE_MODELS) comes before a download: see hub.py.
    Raises FileNotFoundError that says what was tried, and ValueError for weights of the hub that are not what they
    should be.
    """
    folder, bundled, name = Path(name).expanduser(), COURSE_HOME / "data" / "models", str(name)
    for place in [folder, bundled / name.removeprefix("course/")] if name.startswith("course/") else [folder]:
        settle(place)
        if place.is_dir():
            return place
    if name.startswith("course/"):
        known = sorted(f"course/{f.name}" for f in bundled.iterdir() if f.is_dir()) if bundled.is_dir() else []
        raise FileNotFoundError(f"no model {name!r}; bundled in {bundled}: {', '.join(known) or 'none'}{ADVICE}")
    if folder.is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise FileNotFoundError(
            f"no folder {folder}; expected a model folder, a bundled name such as {DEFAULT!r}, or a hub name"
        )
    return fetch(name)


@contextmanager
def opened(name: str | Path) -> Iterator[Path]:
    """`resolve`, and errors of what is read in the folder as those of `named`."""
    folder = resolve(name)
    with named(folder):
        yield folder


@contextmanager
def named(folder: Path):
    """Errors within become ValueErrors that name the model's folder, where they are others or do not.

    FileNotFoundError stays what it is. What can be said better than by the library that failed is said before.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except BaseException as error:
        if not is_error(error) or isinstance(error, ValueError) and str(folder) in str(error):
            raise
        what = str(error).strip() if isinstance(error, ValueError) else f"{type(error).__name__}: {str(error).strip()}"
        raise ValueError(
            f"the model in {folder} cannot be read ({what}); a file of it is damaged, or of another kind of model: "
            "copy or download it again"
        ) from error


def read_json(
    path: Path, default: dict | list | None = None, kind: type = dict, entries: Mapping[str, type] | None = None
):
    """The content of a JSON file, a dict unless another `kind` is named; without the file `default`, if given.

    entries: of which kind some of a dict's values must be. Those of them that are null are left out.
    """
    if not path.exists():
        if default is None:
            raise FileNotFoundError(f"{path} is missing: {path.parent} is not a whole model folder")
        return default
    with reading(path, "JSON"):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, kind):
        raise ValueError(
            f"{path} holds a {type(content).__name__}, expected a {kind.__name__}; copy or download it again"
        )
    return of_kind(content, entries, path) if entries else content


def write_json(path: Path, content: dict | list):
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder's `model.safetensors` (or its shards), half precision widened to float32.

    Raises FileNotFoundError without weights, ValueError where they are pickled, damaged, or not finite numbers.
    """
    weights: dict[str, Tensor] = {}
    for file in weights_files(folder):
        if not file.exists():
            pickled = [p.name for p in folder.glob("*.bin")] + [p.name for p in folder.glob("*.pt")]
            if pickled:
                raise ValueError(pickled_only(str(folder), pickled))
            raise FileNotFoundError(f"{file} is missing: {folder} has no weights in safetensors format")
        with reading(file, "safetensors"), safe_open(file, framework="pt") as opened:
            weights |= {name: opened.get_tensor(name) for name in opened.keys()}
    for name, tensor in weights.items():
        # A copy in any case: safetensors maps its file into memory, and Windows lets no one replace a mapped file.
        weights[name] = tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)
        if tensor.is_floating_point() and not torch.isfinite(weights[name]).all():
            raise ValueError(
                f"{name} in {folder} holds NaN or infinite numbers; the file or the training that made it is broken"
            )
    return weights


def weights_files(folder: Path) -> list[Path]:
    """`model.safetensors`, as transformers prefers it; without it the files that its index names."""
    if (folder / WEIGHTS).exists() or not (folder / INDEX).exists():
        return [folder / WEIGHTS]
    names = read_json(folder / INDEX, entries={"weight_map": dict}).get("weight_map", {}).values()
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{folder / INDEX} names no files of weights; copy or download it again")
    return sorted({folder / name for name in names})


def save_tensors(tensors: dict[str, Tensor], path: Path, half: bool):
    """Write safetensors; `half` stores floats as float16, half the size (they are widened again when read)."""
    convert = torch.float16 if half else torch.float32
    save_file(
        {
            n: t.detach().to("cpu", convert if t.is_floating_point() else t.dtype).contiguous()
            for n, t in tensors.items()
        },
        path,
        metadata={"format": "pt"},
    )


@contextmanager
def atomic_folder(folder: str | Path) -> Iterator[Path]:
    """Fill a folder beside the target; when all went well, its files take their places. On an error nothing changes.

        with atomic_folder("my-model") as unfinished:
            ...  # write files into `unfinished`

    In a folder that is there, the model's files (model_files.py) and those of the same names are replaced. Whatever
    else lies there stays, as with sentence-transformers, and is never touched. A process killed on the way leaves the
    old model or the new one, whole, once the next load or save here has looked (exchange.py). The next save an hour
    later clears up what else was left.
    Raises FileExistsError, before anything is written, where the target is a file, or a folder with files of which
    none says that it is a model's: a mistyped name would strew a model among them, and replace what is called alike.
    """
    folder = Path(folder).expanduser().resolve()
    begin = prefix(folder)
    for _ in range(5):  # another process may be exchanging the model's files while this one looks
        settle(folder)
        there = folder.is_dir()
        kept = [file.name for file in folder.iterdir() if not file.name.startswith(begin)] if there else []
        if not folder.is_file() and (not kept or is_model(folder)):
            break
    else:
        raise FileExistsError(f"{folder} is a file, or a folder with other things than a model; choose a free name")
    if "adapter_config.json" in kept:
        raise FileExistsError(f"{folder} holds an adapter, which transformers would read in place; choose a free name")
    place = folder if there else folder.parent
    place.mkdir(parents=True, exist_ok=True)
    remove_leftovers(place, begin)
    work = Path(tempfile.mkdtemp(prefix=begin, dir=place))
    try:
        (work / "new").mkdir()
        yield work / "new"
        if there:
            exchange(folder, work, lambda new: replaced_files(folder, new))
        else:
            os.rename(work / "new", folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def remove_leftovers(place: Path, begin: str):
    """Throw away what killed processes left: folders with such names, unless a process may be at work in them."""
    for other in place.iterdir():
        with suppress(FileNotFoundError):  # another process does the same
            if other.name.startswith(begin) and time.time() - other.stat().st_mtime > 3600:
                shutil.rmtree(other, ignore_errors=True)


def replaced_files(folder: Path, new: Path) -> set[str]:
    """The files of a folder that go when these come: the model's, and those of the same names.

    Raises FileExistsError where there is a folder that has a file's name.
    """
    names = file_names(new)
    places = [path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_dir()]
    in_the_way = [folder / name for name in names if (folder / name).is_dir()]
    in_the_way += [folder / place for place in places if (folder / place).is_file()]
    if in_the_way:
        raise FileExistsError(f"{in_the_way[0]} is in the way: a folder where the model has a file, or the reverse")
    names = [name for name in names if os.path.lexists(folder / name)]
    return own_files(folder, places) | set(names)
