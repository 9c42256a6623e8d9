"""What the processes of library/support/test_distributed.py do: a training like any other, of a model of numbers."""

import json
import os
import signal
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.support.distributed import gather, processes
from course_lib.training import train


def write(folder: Path, **tensors):
    save_file(
        {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
        folder / f"{processes()[0]}.safetensors",
    )


class Encoder(nn.Module):
    """Numbers to embeddings, and one layer that no loss uses."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 16, dtype=torch.float64), nn.Tanh(), nn.Linear(16, 4, dtype=torch.float64)
        )
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        return self.layers(x)


def triplets(n: int) -> list:
    generator = torch.Generator().manual_seed(5)
    return list(torch.randn(n, 3, 6, dtype=torch.float64, generator=generator))


def ranking_loss(model, batch: list, **options):
    vectors = model(torch.cat([torch.stack(batch)[:, k] for k in range(3)]))  # (3 * batch, 4)
    return MultipleNegativesRankingLoss(gather=gather, **options)(*vectors.chunk(3))


class Score:
    primary_metric = "score"

    def __call__(self, model):
        assert processes()[0] == 0, "only process 0 evaluates"
        with torch.no_grad():
            score = -ranking_loss(model, triplets(10)).item()  # gather outside of training: this process's rows
            return {"score": score}


def full_training(folder: Path, dropout: float = 0.0, stop_at: int | None = None):
    """Two tasks, 21 steps, the last batches of an epoch odd; models that begin with different weights."""
    torch.manual_seed(processes()[0])
    model = Encoder()
    model.layers.insert(1, nn.Dropout(dropout))
    logged, steps = [], iter(range(10**9))

    def loss(batch):
        if next(steps) == stop_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return ranking_loss(model, batch)

    squares = lambda batch: model(torch.stack(batch)[:, 0]).square().mean()
    history = train(
        model,
        [loss, squares],
        [triplets(37), triplets(13)],
        batch_size=6,
        learning_rate=0.01,
        epochs=2,
        seed=3,
        autocast=False,
        evaluators=[Score()],
        evaluate_every=4,
        best=folder / "best",
        checkpoint=folder / "checkpoint",
        checkpoint_every=5,
        log=logged.append,
        log_every=3,
        show_progress_bar=False,
    )
    assert bool(logged) == (processes()[0] == 0)
    write(folder, **dict(model.named_parameters()))
    kept = [{key: entry[key] for key in ("step", "loss", "score") if key in entry} for entry in history]
    (folder / f"{processes()[0]}.json").write_text(json.dumps(kept), encoding="utf-8")
