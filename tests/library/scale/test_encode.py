"""course_lib.scale.encode: an actor killed, the whole job killed, rows added, and never a row lost or encoded twice."""

import os
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from repository import ROOT
from sockets import family, listening, on_loopback

from course_lib.data import load_sts
from course_lib.encoder import SentenceEncoder

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Ray for Windows is a beta")
MODEL = "course/sbert-mini"
SENTENCES = [sentence for pair in load_sts() for sentence in (pair.sentence1, pair.sentence2)]


def write(folder, start, n):
    """A parquet file of the rows from `start` on; row i has the text i of the sentences, again and again."""
    folder.mkdir(exist_ok=True)
    ids = list(range(start, start + n))
    texts = [SENTENCES[i % len(SENTENCES)] for i in ids]
    pq.write_table(pa.table({"id": ids, "text": texts, "half": [i / 2 for i in ids]}), folder / f"{start}.parquet")


def launch(folder, model=MODEL):
    command = [sys.executable, "-m", "course_lib.scale.encode", folder / "texts", folder / "vectors", "--model", model]
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(command, cwd=ROOT, env=alone, stderr=subprocess.PIPE, text=True)


def wait_for(condition, job, seconds=300):
    deadline = time.time() + seconds
    while not (found := condition()) and job.poll() is None and time.time() < deadline:
        time.sleep(0.05)
    assert found, job.communicate()[1]
    return found


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def check(folder, n):
    """n rows, each once, with the vectors of its text."""
    rows = pq.read_table(folder / "vectors").sort_by("id")
    assert rows["id"].to_pylist() == list(range(n)) and rows["half"].to_pylist() == [i / 2 for i in range(n)]
    vectors = np.stack(rows["vector"].to_numpy())
    expected = SentenceEncoder.load(MODEL, dtype="float32").encode(SENTENCES, normalize_embeddings=True)
    assert vectors.dtype == np.float32 and np.abs(vectors - expected[np.arange(n) % len(SENTENCES)]).max() < 1e-5


def test_killed_at_any_moment_every_row_is_encoded_once(tmp_path):
    write(tmp_path / "texts", 0, 4000)
    job, vectors = launch(tmp_path), tmp_path / "vectors"
    wait_for(lambda: files(vectors), job)
    actor = next(process for process in family(job) if "MapWorker" in " ".join(process.cmdline()))
    addresses = listening(family(job))
    actor.kill()
    assert job.wait(timeout=300) == 0, job.stderr.read()
    assert addresses and on_loopback(addresses)
    check(tmp_path, 4000)

    write(tmp_path / "texts", 4000, 3000)
    before, job = files(vectors), launch(tmp_path)
    wait_for(lambda: len(files(vectors)) > len(before), job)
    for process in family(job):
        process.kill()
    job.communicate()
    between = files(vectors)
    assert len(between) < len(before) + 3, "the job was through before it was killed"

    job = launch(tmp_path)
    assert job.wait(timeout=300) == 0, job.stderr.read()
    check(tmp_path, 7000)
    assert before.items() <= files(vectors).items()  # of the first job nothing was written again


def test_vectors_of_two_models_are_not_mixed(tmp_path):
    write(tmp_path / "texts", 0, 10)
    (tmp_path / "vectors.checkpoint.model.json").write_text('{"model": "course/sbert-mini", "weights": "of then"}')
    job = launch(tmp_path)
    assert "says that the work was begun with" in job.communicate()[1] and job.returncode == 1
    assert not (tmp_path / "vectors").exists()
