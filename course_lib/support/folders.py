"""Model folders: from a name to a folder, from a folder to weights, and back without ever leaving half a folder.

Weights are read from safetensors only. Pickle files can run code when they are read, so they are refused.
"""

import ctypes
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
    Raises FileNotFoundError that says what was tried, and ValueError for weights of the hub that are not what they should be.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    name = str(name)
    if name.startswith("course/"):
        bundled = COURSE_HOME / "data" / "models"
        if (bundled / name.removeprefix("course/")).is_dir():
            return bundled / name.removeprefix("course/")
        known = sorted(f"course/{f.name}" for f in bundled.iterdir() if f.is_dir()) if bundled.is_dir() else []
        raise FileNotFoundError(f"no model {name!r}; bundled in {bundled}: {', '.join(known) or 'none'}")
    if folder.is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise FileNotFoundError(
            f"no folder {folder}; expected a model folder, a bundled name such as {DEFAULT!r}, or a hub name"
        )
    return fetch(name)


def read_json(path: Path, default: dict | list | None = None, kind: type = dict):
    """The content of a JSON file, a dict unless another `kind` is named; `default`, if given, where there is no file."""
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
        # A copy in any case: safetensors maps its file into memory, and Windows lets no one replace a file while it is mapped.
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

    A process killed on the way leaves the old folder or the new one, whole (where `exchange` needs three steps, perhaps
    under the name it takes in between); the next call clears up what else it left.
    Raises FileExistsError where the target is a file or holds something that is not a model: it would be lost.
    """
    folder = Path(folder).expanduser().resolve()
    kept = [f.name for f in folder.iterdir()] if folder.is_dir() else []
    if folder.is_file() or (kept and not {"config.json", "modules.json", "model.safetensors"} & set(kept)):
        raise FileExistsError(f"{folder} is a file, or a folder with other things than a model; choose a free name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.unfinished-"
    for leftover in folder.parent.iterdir():
        if leftover.name.startswith(prefix) and time.time() - leftover.stat().st_mtime > 3600:
            shutil.rmtree(leftover, ignore_errors=True)
    unfinished = folder.with_name(f"{prefix}{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        yield unfinished
        if folder.exists():
            exchange(unfinished, folder)  # `unfinished` now holds the old files
        else:
            os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def exchange(a: Path, b: Path):
    """Swap the names of two folders: in one step on Linux and macOS, in three where the system or disk cannot."""
    libc = ctypes.CDLL(None) if os.name == "posix" else None
    if hasattr(libc, "renameat2"):  # Linux; -100 is the current folder, 2 says exchange
        failed = libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), 2)
    else:
        failed = not hasattr(libc, "renamex_np") or libc.renamex_np(os.fsencode(a), os.fsencode(b), 2)
    if failed:
        between = b.with_name(f".{b.name}.replaced-{os.getpid()}")
        os.replace(b, between)
        try:
            os.replace(a, b)
        except OSError:  # a file of it is in use, say: back to where we were
            os.replace(between, b)
            raise
        os.replace(between, a)
