"""A training that goes on where it was interrupted: its checkpoint and its log lie in one folder."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from course_lib.training import train


class Numbers(Sequence):
    """0, 1, ... count - 1, as examples that stand for something else: `content`, by which a checkpoint knows them."""

    def __init__(self, count: int, content: Sequence):
        self.count, self.content = count, content

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i):
        return range(self.count)[i]


def train_in(folder: Path, model: nn.Module, loss: Callable, examples: Sequence, **settings) -> list[dict]:
    """`course_lib.training.train` with checkpoint.safetensors and log.jsonl in a folder. Returns the history.

    Started again after an interruption, it goes on from the last checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "log.jsonl", "a", encoding="utf-8") as log:
        return train(
            model,
            loss,
            examples,
            checkpoint=folder / "checkpoint.safetensors",
            log=lambda entry: print(json.dumps(entry), file=log, flush=True),
            show_progress_bar=False,
            **settings,
        )
