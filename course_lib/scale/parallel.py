"""Data-parallel training: several processes, each with a copy of the model and a share of every batch.

    python -m course_lib.scale.parallel --processes 2

prints the losses of a short training: of one process, of several that gather their vectors (support/distributed.py),
and of several of which each sees its own negatives alone. The first two are equal. A training of your own needs nothing
of this file, but MultipleNegativesRankingLoss(gather=gather) and

    accelerate launch --num_processes 2 my_training.py

The processes here meet over a file, not over a port that others could reach, and talk over loopback.
Left out on purpose: several machines (`accelerate launch --help`), GPUs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from torch import Tensor, distributed

from course_lib.data import load_pairs
from course_lib.encoder import SentenceEncoder
from course_lib.losses import MultipleNegativesRankingLoss
from course_lib.siamese import siamese_objective
from course_lib.support.distributed import gather
from course_lib.support.folders import COURSE_HOME, DEFAULT
from course_lib.training import train

BATCH = 64


def losses(model: str, steps: int, gathered: bool) -> list[float]:
    """The losses, (steps,), of a training that reads the course's first 64 pairs in each step.

    Where several processes call it, each computes its share, and all return the mean over the batch.
    """
    encoder = SentenceEncoder.load(model, dtype="float32")
    objective = siamese_objective(encoder, MultipleNegativesRankingLoss(gather=gather if gathered else None))

    def loss(batch: list) -> Tensor:
        encoder.eval()  # no dropout: it would differ from process to process
        return objective(batch)

    settings = dict(batch_size=BATCH, learning_rate=1e-4, autocast=False, log_every=1, show_progress_bar=False)
    return [entry["loss"] for entry in train(encoder, loss, load_pairs()[:BATCH], epochs=steps, **settings)]


def compare(model: str = DEFAULT, processes: int = 2, steps: int = 3) -> dict[str, list[float]]:
    """{"one process", "gathered", "own negatives": the losses, (steps,)}. RuntimeError where one of several failed."""
    alone = losses(model, steps, gathered=False)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "course_lib.scale.parallel", "--model", model, "--steps", str(steps)]
        command += ["--processes", str(processes), "--meeting", str(Path(folder, "meeting")), "--rank"]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=COURSE_HOME)
        members = [subprocess.Popen([*command, str(rank)], **pipes) for rank in range(processes)]
        told = [member.communicate() for member in members]
    for member, (_, error) in zip(members, told):
        if member.returncode:
            raise RuntimeError(f"a process ended with code {member.returncode}: {error.strip()[-500:]}")
    return {"one process": alone} | json.loads(told[0][0])


def join(rank: int, processes: int, meeting: str):
    """Make this process number `rank` of several, which find each other over the file `meeting`."""
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes))
    os.environ.update(ACCELERATE_USE_CPU="true")
    if sys.platform != "win32":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
    where = dict(init_method=Path(meeting).as_uri(), rank=rank, world_size=processes)
    distributed.init_process_group("gloo", timeout=timedelta(minutes=5), **where)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--meeting", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rank is None:
        for name, values in compare(given.model, given.processes, given.steps).items():
            print(f"{name:<13}", *(f"{value:.4f}" for value in values))
    else:
        join(given.rank, given.processes, given.meeting)
        ways = {"gathered": True, "own negatives": False}
        print(json.dumps({name: losses(given.model, given.steps, gathered) for name, gathered in ways.items()}))
        distributed.destroy_process_group()
