"""Measure LanceDB where one machine ends: of data/results/17.csv the rows lancedb, appends.

    COURSE_DATA=... python recipes/scale_database.py               # ten million rows: 12 GB of disk
    COURSE_DATA=... python recipes/scale_database.py --rows 2000000 --sentences 200000

After recipes/scale.py, whose vectors it takes. Times are processor time, of all threads together; `reopened` alone is
by the clock. What is killed gets no signal that it could answer (SIGKILL). Resumable.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from course_lib.scale import table as tables
from course_lib.support.folders import COURSE_HOME
from recipes.scale import K, recall, timed
from recipes.shared.scale_vectors import BLOCK, DIM, Work, drawn_vectors, real_vectors

COMMAND = "python recipes/scale_database.py"
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
        begin = time.process_time()
        tables.create(folder, batches())
        work.add("lancedb", n, "create", build_seconds=time.process_time() - begin, bytes=size())
    table = tables.opened(folder)
    if work.lacks("lancedb", n, "IVF_RQ"):
        begin, before = time.process_time(), size()
        tables.index(table, int(n**0.5))
        work.add("lancedb", n, "IVF_RQ", build_seconds=time.process_time() - begin, bytes=size() - before)
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
    values = dict(rows=len(ids), lost=lost, repeated=repeated, reopened=reopened)
    work.add("appends", kills, "killed", **values)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--sentences", type=int, default=1_000_000)
    given = parser.parse_args()
    work = Work(COMMAND)
    if work.lacks("appends", 8, "killed"):
        kill_appends(work)
    of = drawn_vectors(work, given.rows, real_vectors(work, given.sentences))
    database(work, of, np.load(work.folder / str(given.rows) / "truth.npy"), given.rows)
    work.write()


if __name__ == "__main__":
    main()
