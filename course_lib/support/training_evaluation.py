"""Evaluation while training goes on: now and then, without disturbing it, the best weights kept."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from course_lib.support.distributed import processes, said_by_first
from course_lib.support.training_checkpoint import write_tensors


class Evaluation:
    """Asks all evaluators, and keeps the weights of the highest score so far in the file `best`.

    `model.load_state_dict(safetensors.torch.load_file(best))` puts them back. The score is the first `primary_metric`
    that an evaluator names. `highest`, so far, goes into the training's checkpoint.
    """

    def __init__(self, evaluators: Sequence[Callable], every: int | None, best: str | Path | None):
        self.evaluators, self.every, self.best, self.highest = evaluators, every, Path(best) if best else None, None
        self.metric = next((e.primary_metric for e in evaluators if getattr(e, "primary_metric", None)), None)
        if best and not self.metric:
            raise ValueError("best needs an evaluator with a primary_metric: the score to go by")

    def due(self, step: int, epoch_ends: bool) -> bool:
        return bool(self.evaluators) and (epoch_ends or bool(self.every) and step % self.every == 0)

    def __call__(self, model: nn.Module, step: int) -> dict:
        """What all evaluators say, in one dict. Process 0 asks them, and tells the others."""
        found = said_by_first(self._ask(model) if processes()[0] == 0 else None)
        if self.best:
            if self.metric not in found:
                raise ValueError(f"no evaluator gave {self.metric!r}; there are {sorted(found)}")
            if self.highest is None or found[self.metric] > self.highest:
                self.highest = found[self.metric]
                if processes()[0] == 0:
                    score = json.dumps({"step": step, self.metric: self.highest}, default=float)
                    write_tensors(self.best, model.state_dict(), {"best": score})
        return found

    def _ask(self, model: nn.Module) -> dict:
        """In evaluation mode; random numbers that evaluators draw are not missing in the training."""
        device, found = next(model.parameters()).device, {}
        model.eval()
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            for evaluate in self.evaluators:
                found |= evaluate(model)
        model.train()
        return found
