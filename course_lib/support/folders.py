"""Model folders: from a name to a folder, from a folder to weights, and back without ever leaving half a folder.

Weights are read from safetensors only. Pickle files can run code when they are read, so they are refused.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from course_lib.support.hub import fetch, pickled_only

DEFAULT = "course/sbert-mini"
COURSE_HOME = Path(os.environ.get("COURSE_HOME") or Path(__file__).resolve().parents[2])


def resolve(name: str | Path) -> Path:
    """The folder of a model: a local folder, `course/...` (bundled in data/models), or a name on the Hugging Face hub.

    Of the hub, a mirror folder (the environment variable COURSE_MODELS) comes before a download: see hub.py.
    Raises FileNotFoundError that says what was tried, and ValueError for weights of the hub that are not what they
    should be.
    """
    folder, bundled, name = Path(name).expanduser(), COURSE_HOME / "data" / "models", str(name)
    for place in [folder, bundled / name.removeprefix("course/")] if name.startswith("course/") else [folder]:
        restore(place)
        if place.is_dir():
            return place
    if name.startswith("course/"):
        known = sorted(f"course/{f.name}" for f in bundled.iterdir() if f.is_dir()) if bundled.is_dir() else []
        raise FileNotFoundError(f"no model {name!r}; bundled in {bundled}: {', '.join(known) or 'none'}")
    if folder.is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise FileNotFoundError(
            f"no folder {folder}; expected a model folder, a bundled name such as {DEFAULT!r}, or a hub name"
        )
    return fetch(name)


def read_json(path: Path, default: dict | list | None = None, kind: type = dict):
    """The content of a JSON file, a dict unless another `kind` is named; without the file `default`, if given."""
    if default is not None and not path.exists():
        return default
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: {path.parent} is not a whole model folder") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}); copy or download it again") from error
    if not isinstance(content, kind):
        raise ValueError(
            f"{path} holds a {type(content).__name__}, expected a {kind.__name__}; copy or download it again"
        )
    return content


def write_json(path: Path, content: dict | list):
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder's `model.safetensors` (or its shards), half precision widened to float32.

    Raises FileNotFoundError without weights, ValueError where they are pickled, damaged, or not finite numbers.
    """
    index = folder / "model.safetensors.index.json"
    files = sorted(set(read_json(index)["weight_map"].values())) if index.exists() else ["model.safetensors"]
    weights: dict[str, Tensor] = {}
    for file in [folder / f for f in files]:
        if not file.exists():
            pickled = [p.name for p in folder.glob("*.bin")] + [p.name for p in folder.glob("*.pt")]
            if pickled:
                raise ValueError(pickled_only(str(folder), pickled))
            raise FileNotFoundError(f"{file} is missing: {folder} has no weights in safetensors format")
        try:
            with safe_open(file, framework="pt") as opened:
                weights |= {name: opened.get_tensor(name) for name in opened.keys()}
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{file} is damaged or cut short ({error}); copy or download it again") from error
    for name, tensor in weights.items():
        # A copy in any case: safetensors maps its file into memory, and Windows lets no one replace a mapped file.
        weights[name] = tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)
        if tensor.is_floating_point() and not torch.isfinite(weights[name]).all():
            raise ValueError(
                f"{name} in {folder} holds NaN or infinite numbers; the file or the training that made it is broken"
            )
    return weights


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
    """Fill a folder beside the target; when all went well, put it in the target's place. On an error nothing changes.

        with atomic_folder("my-model") as unfinished:
            ...  # write files into `unfinished`

    A process killed on the way leaves the old folder or the new one, whole. It takes two renames to put the new one in
    the old one's place: killed between them, it leaves the old one under a name to which `restore`, in the next load or
    save, gives back its own. The next save clears up what else was left.
    Raises FileExistsError where the target is a file or holds something that is not a model: it would be lost.
    """
    folder = Path(folder).expanduser().resolve()
    restore(folder)
    kept = [f.name for f in folder.iterdir()] if folder.is_dir() else []
    if folder.is_file() or (kept and not {"config.json", "modules.json", "model.safetensors"} & set(kept)):
        raise FileExistsError(f"{folder} is a file, or a folder with other things than a model; choose a free name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in beside(folder, "replaced"):
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in beside(folder, "unfinished"):
        if time.time() - leftover.stat().st_mtime > 3600:  # a younger one may be another process at work
            shutil.rmtree(leftover, ignore_errors=True)
    unfinished, replaced = (folder.with_name(f".{folder.name}.{w}-{os.getpid()}") for w in ("unfinished", "replaced"))
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        yield unfinished
        if folder.exists():
            os.replace(folder, replaced)
        try:
            os.replace(unfinished, folder)
        except OSError:  # a file of it is in use, say: back to where we were
            restore(folder, seconds=0)
            raise
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def restore(folder: Path, seconds: float = 1.0):
    """Give a model folder its name back that a process was killed while replacing (see `atomic_folder`).

    seconds: to wait before, as such a process may be alive, between its two renames.
    """
    folder = folder.resolve()
    if not folder.exists() and beside(folder, "replaced"):
        time.sleep(seconds)
        for old in [] if folder.exists() else beside(folder, "replaced"):
            try:
                os.replace(old, folder)
            except OSError as error:
                raise FileNotFoundError(
                    f"no folder {folder}: a process that replaced it was killed, and the model lies whole in {old}, "
                    f"which cannot be renamed ({error}); rename it yourself"
                ) from error
            return


def beside(folder: Path, what: str) -> list[Path]:
    """The folders of this name beside it, "unfinished" or "replaced", of any process."""
    there = folder.parent.iterdir() if folder.parent.is_dir() else ()
    return [other for other in there if other.name.startswith(f".{folder.name}.{what}-")]
