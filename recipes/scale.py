"""Measure search where one machine ends: of data/results/17.csv the rows real, drawn, exact, faiss.

    COURSE_DATA=... python recipes/scale.py                       # ten million vectors: 10 GB of disk
    COURSE_DATA=... python recipes/scale.py --rows 2000000 --sentences 200000

recipes/shared/scale_vectors.py says which vectors these are.

One thread, and all times are its processor time, which other work on the machine does not change. A query alone: the
median of up to 100 in 20 s. scale_database.py goes on with the database, scale_encode.py with Ray, scale_live.py with
what notebook 17 does itself.
Resumable.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np
import torch

from course_lib.retrieval.quantization import quantize, rescored_top_k
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score
from recipes.shared.scale_vectors import BLOCK, DIM, Work, coded, drawn_vectors, real_vectors

COMMAND, K = "python recipes/scale.py", 10


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found[:, :K].tolist(), truth.tolist())]))


def timed(find, queries: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """What find(queries) gives, the best of two; and the milliseconds of a query among all and alone."""
    together, alone = [], []
    for _ in range(2):
        begin = time.process_time()
        found = find(queries)
        together.append(time.process_time() - begin)
    for i in range(min(100, len(queries))):
        begin = time.process_time()
        find(queries[i : i + 1])
        alone.append(time.process_time() - begin)
        if sum(alone) > 20:
            break
    return found, {"ms_in_a_batch": 1000 * min(together) / len(queries), "ms_alone": 1000 * float(np.median(alone))}


def rescored(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Candidates (queries, c) in the order of their dot products with the vectors themselves."""
    rows = np.sort(np.maximum(rows, 0), axis=1)  # as they lie in the file
    scores = np.einsum("qd,qcd->qc", queries, vectors[rows].astype(np.float32))
    return np.take_along_axis(rows, np.argsort(-scores, axis=1, kind="stable"), axis=1)


def true_neighbours(work: Work, of: dict[str, np.ndarray], n: int) -> np.ndarray:
    """(queries, 10), kept beside the vectors."""
    path = work.folder / str(n) / "truth.npy"
    if not path.exists():
        np.save(path, top_k(np.asarray(of["queries"]), of["float16"], K, dot_score)[1])
    return np.load(path)


def int8_of_faiss(vectors: np.ndarray) -> faiss.Index:
    """FAISS's own codes of a byte a number, with one range for all numbers."""
    index = faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_8bit_uniform, faiss.METRIC_INNER_PRODUCT)
    index.train(np.asarray(vectors[:20_000], np.float32))
    for start in range(0, len(vectors), BLOCK):
        index.add(np.asarray(vectors[start : start + BLOCK], np.float32))
    return index


def exact(work: Work, experiment: str, of: dict[str, np.ndarray], truth: np.ndarray):
    """What a scan takes and finds in three widths, int8 and signs by our code and by FAISS's."""
    queries, n, index = np.asarray(of["queries"]), len(of["float16"]), faiss.IndexBinaryFlat(DIM)
    index.add(np.ascontiguousarray(of["bits"]))
    int8 = lambda q, times: rescored_top_k(q, of["int8"], of["float16"], K, of["ranges"], times)[1]
    bits = lambda q, times: rescored(of["float16"], q, index.search(quantize(q, "ubinary"), K * times)[1])
    ours = lambda q, times: rescored_top_k(q, of["bits"], of["float16"], K, rescore_multiplier=times)[1]
    ways = {("float16", 1): lambda q, _: top_k(q, of["float16"], K, dot_score)[1]}
    ways |= {("int8", times): int8 for times in (1, 2)} | {("bits", times): bits for times in (1, 10, 40, 100)}
    for (name, times), way in (ways | {("bits by course_lib", 40): ours}).items():
        setting = name if name == "float16" else f"{name}, x{times} rescored"
        if work.lacks(experiment, n, setting):
            found, took = timed(lambda q: way(q, times), queries)
            size = of[name.split()[0]].nbytes
            work.add(experiment, n, setting, recall=recall(found, truth), bytes=size, **took)
    if work.lacks(experiment, n, setting := "int8 by FAISS, x2 rescored"):
        scanner = int8_of_faiss(of["float16"])
        found, took = timed(lambda q: rescored(of["float16"], q, scanner.search(q, 2 * K)[1])[:, :K], queries)
        work.add(experiment, n, setting, recall=recall(found, truth), bytes=scanner.codes.size(), **took)


def built(vectors: np.ndarray, kind: str, sample: int) -> tuple[faiss.Index, float]:
    """FAISS's index of that kind, and the seconds of processor time that it took."""
    begin = time.process_time()
    index = faiss.index_factory(DIM, kind, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 8
    index.train(np.asarray(vectors[:: max(1, len(vectors) // sample)], np.float32))
    for start in range(0, len(vectors), 200_000):
        index.add(np.asarray(vectors[start : start + 200_000], np.float32))
    return index, time.process_time() - begin


def approximate(
    work: Work,
    experiment: str,
    of: tuple[np.ndarray, np.ndarray, np.ndarray],
    kind: str,
    probes: tuple[int, ...],
    rescore: tuple[int, ...] = (0,),
):
    """An index of FAISS: its build, its bytes, and recall and time for so many probes, and candidates rescored."""
    vectors, queries, truth = of
    n, path = len(vectors), work.folder / f"{experiment}-{len(vectors)}-{kind}.faiss"
    named = {(p, r): f"{kind}, {p} probes" + (f", x{r} rescored" if r else "") for p in probes for r in rescore}
    if not work.lacks(experiment, n, *named.values()):
        return
    if not path.exists():
        index, seconds = built(vectors, kind, 160_000)
        faiss.write_index(index, str(path))
        work.add(experiment, n, kind, build_seconds=seconds, bytes=path.stat().st_size)
    index = faiss.read_index(str(path))
    for (index.nprobe, times), setting in named.items():
        search = lambda q: index.search(q, K * max(times, 1))[1]
        found, took = timed(lambda q: rescored(vectors, q, search(q)) if times else search(q), queries)
        work.add(experiment, n, setting, recall=recall(found, truth), **took)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--sentences", type=int, default=1_000_000)
    arguments = parser.parse_args()
    n = arguments.rows
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    work = Work(COMMAND)
    real = real_vectors(work, arguments.sentences)
    vectors, queries = real[:-200], np.asarray(real[-200:], np.float32)
    truth = top_k(queries, vectors, K, dot_score)[1]
    for kind, rescore in (("IVF4096,Flat", (0,)), ("IVF4096,PQ128x4fs", (0, 10))):
        approximate(work, "real", (vectors, queries, truth), kind, (1, 4, 16, 64, 256), rescore)
    exact(work, "real", coded(vectors, queries), truth)
    work.write()
    of = drawn_vectors(work, n, real)
    few, drawn = of["float16"][: len(vectors)], np.asarray(of["queries"])  # as many as there are real ones
    few_truth = top_k(drawn, few, K, dot_score)[1]
    approximate(work, "drawn", (few, drawn, few_truth), "IVF4096,Flat", (1, 4, 16, 64, 256))
    truth = true_neighbours(work, of, n)
    exact(work, "exact", of, truth)
    work.write()
    approximate(work, "faiss", (of["float16"], drawn, truth), "IVF4096,PQ128x4fs", (64, 256, 1024), (0, 10, 40))
    work.write()


if __name__ == "__main__":
    main()
