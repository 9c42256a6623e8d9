"""Measure LanceDB and Ray where one machine ends: of data/results/17.csv the rows lancedb, encode, killed; and what
notebook 17 does live, with other seeds.

    COURSE_DATA=... python recipes/scale_engines.py                # ten million rows: 12 GB of disk
    COURSE_DATA=... python recipes/scale_engines.py --rows 2000000 --sentences 200000

After recipes/scale.py, whose vectors and sentences it takes. Both engines have threads of their own. Whatever is killed
gets no signal that it could answer (SIGKILL). Resumable.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import psutil
import pyarrow.parquet as pq
import torch

from course_lib.data import load_nli, load_pairs, load_sts
from course_lib.datasets.questions import load_questions
from course_lib.datasets.retrieval import load_retrieval
from course_lib.datasets.town import load_duplicates
from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.search import top_k
from course_lib.scale import table as tables
from course_lib.similarity import dot_score
from course_lib.support.folders import COURSE_HOME, DEFAULT
from recipes.scale import BLOCK, DIM, K, Work, draw, drawn_vectors, real_vectors, recall, timed

COMMAND = "python recipes/scale_engines.py"
FILTERS = ("year = 2020", "year >= 2020", "id IN (3, 5000, 70000)")


def database(work: Work, of: dict[str, np.ndarray], truth: np.ndarray, n: int):
    """A table of all vectors: its build, its index, its answers, with filters and without."""
    folder, queries = work.folder / f"lancedb-{n}", np.asarray(of["queries"])
    size = lambda: sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    ids = lambda found: np.array([found_rows["id"].to_pylist() for found_rows in found])

    def batches() -> Iterator[dict]:
        for start in range(0, n, BLOCK):
            vectors = of["float16"][start : start + BLOCK]
            rows = np.arange(start, start + len(vectors))
            yield {"id": rows, "year": 1950 + rows % 75, "vector": vectors}

    if work.lacks("lancedb", n, "create"):
        shutil.rmtree(folder, ignore_errors=True)
        begin = time.perf_counter()
        tables.create(folder, batches())
        work.add("lancedb", n, "create", build_seconds=time.perf_counter() - begin, bytes=size())
    table = tables.opened(folder)
    if work.lacks("lancedb", n, "IVF_RQ"):
        begin, before = time.perf_counter(), size()
        tables.index(table, int(n**0.5))
        work.add("lancedb", n, "IVF_RQ", build_seconds=time.perf_counter() - begin, bytes=size() - before)
    for probes, refine in ((64, 20), (256, 20), (256, 50), (1024, 50)):
        if work.lacks("lancedb", n, setting := f"IVF_RQ, {probes} probes, x{refine} rescored"):
            find = lambda q: ids(tables.search(table, one, K, probes, refine) for one in q)
            found, took = timed(find, queries)
            work.add("lancedb", n, setting, recall=recall(found, truth), ms_alone=took["ms_alone"])
    for indexed in ("", ", indexed"):
        if indexed and work.lacks("lancedb", n, *(f"where {where}{indexed}" for where in FILTERS)):
            tables.index_column(table, "year")
            tables.index_column(table, "id")
        for where in FILTERS:
            if work.lacks("lancedb", n, setting := f"where {where}{indexed}"):
                find = lambda q: [tables.search(table, one, K, 64, 20, where).num_rows for one in q]
                found, took = timed(find, queries[:5])
                work.add("lancedb", n, setting, rows=np.mean(found), ms_alone=took["ms_alone"])


APPEND = """
import sys
import numpy as np
from course_lib.scale import table as tables
table = tables.opened(sys.argv[1])
rows = table.count_rows()
for turn in range(10_000):
    vectors = np.random.default_rng(rows).standard_normal((1000, 256), dtype=np.float32)
    tables.append(table, {"id": np.arange(rows, rows + 1000), "vector": vectors})
    rows += 1000
    print(rows, flush=True)
    if turn % 20 == 10:
        table.optimize()
    if turn % 50 == 25:
        tables.index(table, 8)
"""


def kill_appends(work: Work, kills: int = 8):
    """A process that appends, optimizes and indexes, killed after so many rows and a moment."""
    folder, chance = work.folder / "killed", random.Random(0)
    shutil.rmtree(folder, ignore_errors=True)
    start = {"id": np.arange(1000), "vector": np.random.default_rng(0).standard_normal((1000, DIM), dtype=np.float32)}
    tables.create(folder, [start])
    lost = repeated = reopened = 0
    for _ in range(kills):
        command = [sys.executable, "-c", APPEND, folder]
        child = subprocess.Popen(command, cwd=COURSE_HOME, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        told = [child.stdout.readline() for _ in range(chance.randint(5, 60))]
        time.sleep(chance.random() / 20)
        child.kill()
        told += child.stdout.read().split()
        child.wait()
        begin = time.perf_counter()
        ids = tables.opened(folder).to_arrow()["id"].to_numpy()
        reopened = max(reopened, time.perf_counter() - begin)
        lost += max(0, int(told[-1]) - len(np.unique(ids)))
        repeated += len(ids) - len(np.unique(ids))
    work.add(
        "killed",
        kills,
        "appends to LanceDB",
        rows=len(ids),
        kills=kills,
        lost=lost,
        repeated=repeated,
        reopened=reopened,
    )


def job(texts: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "course_lib.scale.encode", texts, out]
    return subprocess.Popen(command, cwd=COURSE_HOME, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rows_in(folder: Path) -> np.ndarray:
    """The ids of all files there, (rows,); files that are being written are left out."""
    found = [np.empty(0, np.int64)]
    for file in folder.glob("*.parquet"):
        try:
            found.append(pq.read_table(file, columns=["id"])["id"].to_numpy())
        except OSError:  # also what pyarrow raises for a file without an end
            continue
    return np.concatenate(found)


def encode(work: Work, sentences: int):
    """Two actors on so many sentences, and one process on the same."""
    for n in (2_000, 20_000):
        rows = pq.read_table(work.folder / f"texts-{sentences}").sort_by("id").slice(0, n)
        texts, out = work.folder / f"few-{n}", work.folder / f"encoded-{n}"
        texts.mkdir(exist_ok=True)
        pq.write_table(rows, texts / "0.parquet")
        if work.lacks("encode", n, "2 actors"):
            shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(f"{out}.checkpoint", ignore_errors=True)
            begin = time.perf_counter()
            assert job(texts, out).wait() == 0 and len(rows_in(out)) == n
            work.add("encode", n, "2 actors", seconds=time.perf_counter() - begin)
        for threads in (1, 2):
            if work.lacks("encode", n, setting := f"one process, threads {threads}"):
                torch.set_num_threads(threads)
                begin = time.perf_counter()
                encoder = SentenceEncoder.load(DEFAULT, dtype="float32")
                encoder.encode(rows["text"].to_pylist(), normalize_embeddings=True, show_progress_bar=False)
                work.add("encode", n, setting, seconds=time.perf_counter() - begin)


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


def bundled_sentences() -> list[str]:
    """As notebook 17 takes them from the course's own data."""
    found = [s for p in load_sts() for s in (p.sentence1, p.sentence2)] + [s for pair in load_pairs() for s in pair]
    found += [s for e in load_nli() for s in (e.premise, e.hypothesis)]
    found += [q.question for q in load_questions() + load_duplicates()]
    found += [s for page in load_retrieval("course/help")[1].values() for s in re.split(r"(?<=[.!?])\s+", page)]
    return [s for s in dict.fromkeys(found) if len(s) >= 20][:8000]


def live(work: Work, n: int = 100_000):
    """Recall of 256 lists of drawn vectors, five times."""
    encoder = SentenceEncoder.load(DEFAULT, dtype="float32")
    base = encoder.encode(bundled_sentences(), normalize_embeddings=True, show_progress_bar=False)
    for seed in range(1, 6):
        vectors, queries = (draw(base, m, np.random.default_rng(s)) for m, s in ((n, seed), (200, seed + 100)))
        truth = top_k(queries, vectors, K, dot_score)[1]
        index = faiss.index_factory(DIM, "IVF256,Flat", faiss.METRIC_INNER_PRODUCT)
        index.cp.niter = 8
        index.train(vectors[::3])
        index.add(vectors)
        for index.nprobe in (1, 2, 4, 8, 16, 32):
            found = index.search(queries, K)[1]
            work.add("live", n, f"seed {seed}, {index.nprobe} probes", recall=recall(found, truth))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--sentences", type=int, default=1_000_000)
    arguments = parser.parse_args()
    n, sentences = arguments.rows, arguments.sentences
    os.environ["OMP_NUM_THREADS"] = "1"
    work = Work(COMMAND)
    if work.lacks("live", 100_000, "seed 5, 32 probes"):
        live(work)
    encode(work, sentences)
    if work.lacks("killed", 8, "appends to LanceDB"):
        kill_appends(work)
    kill_jobs(work)
    work.write()
    database(
        work, drawn_vectors(work, n, real_vectors(work, sentences)), np.load(work.folder / str(n) / "truth.npy"), n
    )
    work.write()


if __name__ == "__main__":
    main()
