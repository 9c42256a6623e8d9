"""What a training run leaves on the disk: a checkpoint to go on from, and the batch that broke it.

Every file is written in a folder beside its target, flushed to the disk, then put in its place: at every moment the
target is either the old file or the new one, whole. A full disk is an error, and leaves the old one.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from course_lib.support.distributed import processes, random_states, set_random_state
from course_lib.support.files import atomic_file, clear
from course_lib.support.reading import of_kind, reading

REMOVE = "remove it to start anew"

_log = logging.getLogger(__name__)


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict):
    """Write weights, optimiser and random state as one safetensors file, its header carrying `state` as JSON.

    Of several processes all must call it, because each has random numbers of its own; the first one writes.
    """
    tensors = {f"model.{name}": t for name, t in model.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": t for name, t in moments.items()}
    tensors |= random_states()
    if processes()[0] == 0:
        write_tensors(
            path, tensors, {"state": json.dumps(state, default=float)}
        )  # evaluators return numpy's floats too


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]):
    """Write a safetensors file by `atomic_file`. OSError where there is no room: the old one stays."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    try:
        with atomic_file(path) as unfinished:
            save_file(tensors, unfinished, metadata=metadata)
    except (OSError, SafetensorError) as error:
        older = "; the one before it is still there, whole" if path.exists() else ""
        raise OSError(
            f"{path} could not be written ({error}){older}. Make room on the disk, then start again"
        ) from error


def load_checkpoint(path: Path | None, model: nn.Module, optimizer: torch.optim.Optimizer, settings: dict) -> dict:
    """Put weights, optimiser and random state back; return the `state` given to `save_checkpoint`.

    Without a file nothing changes, and the state is that of a run that begins. Raises ValueError, and changes nothing,
    where the file is damaged, or its model, settings or examples are others. settings["content"]: fingerprints of the
    examples. A file that was written before there were any is taken as it is, with a warning; the next one has them.
    """
    if path:
        clear(path)  # of a run that was killed; one that had come to its end would write no more
    if not path or not path.exists():
        return {"step": 0, "history": [], "losses": [], "seconds": 0.0, "highest": None}
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file for the checkpoint")
    with reading(path, "a checkpoint", REMOVE):
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            # copies: a mapped file cannot be replaced on Windows
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
        state = of_run(state)
    here, there = dict(settings), dict(state["settings"])
    content, content_there = here.pop("content", None), there.pop("content", None)
    changed = {name: (there.get(name), here.get(name)) for name in here | there if there.get(name) != here.get(name)}
    if changed:
        raise ValueError(f"{path} was made with other settings (there, here): {changed}; use them, or another file")
    if content and not content_there:
        _log.warning("%s does not say which examples it was made with: that they are the same is not checked", path)
    elif content != content_there:
        raise ValueError(
            f"{path} was made with other examples, as many as these: take those it was begun with, or another file to "
            "begin anew. (Are they drawn anew each time they are read? support/fingerprint.py says what to do.)"
        )
    weights = {name[6:]: t for name, t in tensors.items() if name.startswith("model.")}
    if {name: t.shape for name, t in weights.items()} != {name: t.shape for name, t in model.state_dict().items()}:
        raise ValueError(f"{path} was made by another model: names or shapes of its weights differ; use another file")
    with reading(path, "a checkpoint", REMOVE):
        moments = read_moments(tensors, optimizer)
        set_random_state(tensors)
    model.load_state_dict(weights)
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return state


KINDS = {"step": int, "settings": dict, "history": list, "seconds": float, "losses": list, "highest": float}


def of_run(state: dict) -> dict:
    """The `state` of a run, in which losses and highest score may be missing. ValueError where it is something else."""
    found = {"losses": [], "highest": None} | of_kind(state, KINDS, "it")
    if missing := KINDS.keys() - found.keys():
        raise ValueError(f"it has no {', '.join(sorted(missing))}")
    for name, kind in {"history": dict, "losses": float}.items():
        of_kind(dict(enumerate(found[name])), dict.fromkeys(range(len(found[name])), kind), name)
    return found


def read_moments(tensors: dict[str, Tensor], optimizer) -> dict[int, dict[str, Tensor]]:
    """The optimiser's state of each parameter, by its number. ValueError where it is not what AdamW keeps."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, t in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            moments.setdefault(int(i), {})[key] = t
    if not isinstance(optimizer, torch.optim.AdamW):
        return moments
    parameters = dict(enumerate(p for group in optimizer.param_groups for p in group["params"]))
    for i, found in moments.items():
        shape = parameters[i].shape if i in parameters else None
        if {key: t.shape for key, t in found.items()} != {"step": (), "exp_avg": shape, "exp_avg_sq": shape}:
            raise ValueError(f"it has {sorted(found)} of parameter {i}, which do not fit it")
    return moments


def failed_batch(checkpoint: Path | None, what: str, name: str, data: Sequence, batch: list[int]) -> FloatingPointError:
    """An error that says what went wrong on which examples of the list `name`.

    With a checkpoint, examples are written beside it, to NAME.failed_batch.json, for people to read.
    """
    of = f" of {name}" if name != "examples" else ""
    message = f"{what}, on the examples {batch}{of}"
    if not checkpoint:
        return FloatingPointError(message)

    def readable(value):
        return asdict(value) if is_dataclass(value) else value.tolist() if isinstance(value, Tensor) else repr(value)

    path = checkpoint.with_name(checkpoint.stem + ".failed_batch.json")
    if processes()[0] == 0:
        content = {"failed": what, "examples": [{"of": name, "index": i, "example": data[i]} for i in batch]}
        with atomic_file(path) as unfinished:
            text = json.dumps(content, indent=2, ensure_ascii=False, default=readable)
            unfinished.write_text(text + "\n", encoding="utf-8")
    return FloatingPointError(f"{message}, written to {path}")
