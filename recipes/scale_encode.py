"""Measure encoding on Ray where one machine ends: of data/results/17.csv the rows encode, killed.

    COURSE_DATA=... python recipes/scale_encode.py
    COURSE_DATA=... python recipes/scale_encode.py --sentences 200000     # as recipes/scale.py was called

After recipes/scale.py, whose sentences it takes. Seconds are processor time, of all processes together. What is killed
gets no signal that it could answer (SIGKILL). Resumable.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from course_lib.support.folders import COURSE_HOME, DEFAULT
from recipes.shared.scale_vectors import Work

COMMAND = "python recipes/scale_encode.py"


def job(texts: Path, out: Path) -> subprocess.Popen:
    return start(sys.executable, "-m", "course_lib.scale.encode", texts, out)


def start(*command: str | Path) -> subprocess.Popen:
    return subprocess.Popen(command, cwd=COURSE_HOME, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def processor_seconds(running: subprocess.Popen) -> float:
    """Until it ends, of a process and of all that it starts. AssertionError where it ends with an error."""
    used = {}
    while running.poll() is None:
        with suppress(psutil.Error):
            for process in [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]:
                with suppress(psutil.Error):  # one that has ended in the meantime
                    used[process.pid] = sum(process.cpu_times()[:2])
        time.sleep(0.05)
    assert running.returncode == 0, f"{running.args} ended with code {running.returncode}"
    return sum(used.values())


def rows_in(folder: Path) -> np.ndarray:
    """The ids of all files there, (rows,); files that are being written are left out."""
    found = [np.empty(0, np.int64)]
    for file in folder.glob("*.parquet"):
        try:
            found.append(pq.read_table(file, columns=["id"])["id"].to_numpy())
        except (OSError, pa.ArrowInvalid):  # gone, or without an end
            continue
    return np.concatenate(found)


ALONE = """
import sys
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from course_lib.encoder import SentenceEncoder
torch.set_num_threads(1)
texts = pq.read_table(sys.argv[1])["text"].to_pylist()
encoder = SentenceEncoder.load(sys.argv[3], dtype="float32")
vectors = encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False)
pq.write_table(pa.table({"vector": list(vectors)}), sys.argv[2])
"""


def encode(work: Work, sentences: int):
    """Ray with two actors on so many sentences, and one process of one thread on the same."""
    for n in (2_000, 20_000):
        texts, out = work.folder / f"few-{n}", work.folder / f"encoded-{n}"
        texts.mkdir(exist_ok=True)
        pq.write_table(pq.read_table(work.folder / f"texts-{sentences}").sort_by("id").slice(0, n), texts / "0.parquet")
        if work.lacks("encode", n, "2 actors"):
            shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(f"{out}.checkpoint", ignore_errors=True)
            seconds = processor_seconds(job(texts, out))
            assert len(rows_in(out)) == n
            work.add("encode", n, "2 actors", seconds=seconds)
        if work.lacks("encode", n, "one process"):
            alone = start(sys.executable, "-c", ALONE, texts, work.folder / "alone.parquet", DEFAULT)
            work.add("encode", n, "one process", seconds=processor_seconds(alone))


def kill_jobs(work: Work, kills: int = 3):
    """The whole job killed after so many new rows, and begun again until it ends; then one with an actor killed."""
    texts, chance = work.folder / "few-20000", random.Random(0)
    for setting, times in (("jobs of Ray", kills), ("an actor of Ray", 1)):
        if not work.lacks("killed", times, setting):
            continue
        out, done = work.folder / f"killed-{times}", 0
        for folder in (out, Path(f"{out}.checkpoint")):
            shutil.rmtree(folder, ignore_errors=True)
        for _ in range(times):
            running, goal = job(texts, out), done + chance.choice([1, 1000, 3000, 5000])
            while len(rows_in(out)) < goal and running.poll() is None:
                time.sleep(0.05)
            assert running.poll() is None, "the job ended before it was killed"
            processes = psutil.Process(running.pid).children(recursive=True)
            if "actor" in setting:
                next(p for p in processes if "MapWorker" in " ".join(p.cmdline())).kill()
                assert running.wait() == 0
            else:
                for process in [psutil.Process(running.pid), *processes]:
                    process.kill()
                running.wait()
            done = len(rows_in(out))
        assert job(texts, out).wait() == 0
        ids = rows_in(out)
        work.add("killed", times, setting, kills=times, rows=len(ids), distinct=len(np.unique(ids)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=1_000_000)
    work = Work(COMMAND)
    encode(work, parser.parse_args().sentences)
    kill_jobs(work)
    work.write()


if __name__ == "__main__":
    main()
