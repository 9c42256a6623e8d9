"""What a training run leaves on the disk: a checkpoint to go on from, the best weights, the batch that broke it.

Every file is written beside its target, flushed to the disk, then renamed over it: at every moment the target is either
the old file or the new one, whole. A full disk is an error, and leaves the old one.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from course_lib.support.distributed import processes, random_states, set_random_state


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict):
    """Write weights, optimiser and random state as one safetensors file, its header carrying `state` as JSON.

    Of several processes all must call it, because each has random numbers of its own; the first one writes.
    """
    tensors = {f"model.{name}": t for name, t in model.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": t for name, t in moments.items()}
    tensors |= random_states()
    if processes()[0] == 0:
        _write(path, tensors, {"state": json.dumps(state, default=float)})  # evaluators return numpy's floats too


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]):
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, unfinished, metadata=metadata)
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except (OSError, SafetensorError) as error:
        unfinished.unlink(missing_ok=True)  # it would take the room that the next attempt needs
        older = "; the one before it is still there, whole" if path.exists() else ""
        raise OSError(
            f"{path} could not be written ({error}){older}. Make room on the disk, then start again"
        ) from error


def save_failed_batch(path: Path, what: str, examples: list[tuple[str, int, object]]):
    """Write what went wrong, and on which examples (their list, index, content), as JSON for people to read."""

    def readable(value):
        return asdict(value) if is_dataclass(value) else value.tolist() if isinstance(value, Tensor) else repr(value)

    content = {
        "failed": what,
        "examples": [{"of": name, "index": i, "example": example} for name, i, example in examples],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False, default=readable) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: dict) -> dict:
    """Put weights, optimiser and random state back; return the `state` given to `save_checkpoint`.

    Raises ValueError, and changes nothing, where the file is damaged, or its model or settings are others.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            tensors = {
                name: file.get_tensor(name).clone() for name in file.keys()
            }  # a mapped file cannot be replaced on Windows
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise ValueError(f"{path} is not a whole checkpoint ({error}); remove it to start anew") from error
    there = state["settings"]
    changed = {
        name: (there.get(name), settings.get(name))
        for name in settings | there
        if there.get(name) != settings.get(name)
    }
    if changed:
        raise ValueError(f"{path} was made with other settings (there, here): {changed}; use them, or another file")
    weights = {name[6:]: t for name, t in tensors.items() if name.startswith("model.")}
    if {name: t.shape for name, t in weights.items()} != {name: t.shape for name, t in model.state_dict().items()}:
        raise ValueError(f"{path} was made by another model: names or shapes of its weights differ; use another file")
    model.load_state_dict(weights)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, t in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            moments.setdefault(int(i), {})[key] = t
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    set_random_state(tensors)
    return state


class BestModel:
    """Keeps the weights of the best evaluation in a file, and says when there has been no better one for too long.

    `model.load_state_dict(safetensors.torch.load_file(file))` puts them back. The metric is a key of what the evaluators
    return, higher is better; without a name the first `primary_metric` among them. `state()` goes into the checkpoint.
    """

    def __init__(
        self, evaluators: Sequence[Callable], metric: str | None, file: str | Path | None, patience: int | None
    ):
        named = metric or next((e.primary_metric for e in evaluators if getattr(e, "primary_metric", None)), None)
        if (file or patience) and not (evaluators and named):
            raise ValueError(
                "best and patience need evaluators, and the metric to go by: metric_for_best_model, or the primary_metric of one of them"
            )
        self.metric = named if file or patience else None
        self.file, self.patience = Path(file) if file else None, patience
        self.highest, self.since = None, 0  # since: evaluations without a higher value

    def see(self, entry: dict, model: nn.Module):
        if self.metric is None:
            return
        if self.metric not in entry:
            raise ValueError(f"no evaluator gave {self.metric!r}; there are {sorted(entry)}")
        if self.highest is None or entry[self.metric] > self.highest:
            self.highest, self.since = entry[self.metric], 0
            if self.file and processes()[0] == 0:
                _write(
                    self.file,
                    model.state_dict(),
                    {"best": json.dumps({"step": entry["step"], self.metric: self.highest}, default=float)},
                )
        else:
            self.since += 1

    def state(self) -> dict:
        return {"highest": self.highest, "since": self.since} if self.metric else {}

    @property
    def stop(self) -> bool:
        return bool(self.patience) and self.since >= self.patience
