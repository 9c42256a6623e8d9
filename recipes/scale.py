"""Measure search where one machine ends: of data/results/17.csv the rows real, drawn, exact, faiss.

    COURSE_DATA=... python recipes/scale.py                       # ten million vectors: 10 GB of disk
    COURSE_DATA=... python recipes/scale.py --rows 2000000 --sentences 200000

Vectors of Wikipedia's sentences are what the lists of an index are measured on. More than these are drawn:
x = unit(b_i + 0.7 (b_j - b_k)) of 50,000 real vectors b, a smoothed bootstrap (Silverman 1986), which keeps how the
vectors scatter. Their neighbours lie somewhat further away than real ones.

One thread, and all times are its processor time, which other work on the machine does not change. A query alone: the
median of up to 100 in 20 s. scale_database.py goes on with the database, scale_encode.py with Ray, scale_live.py with
what notebook 17 does itself.
Resumable: vectors lie in build/scale, under the hash of the weights, and what was measured beside them.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.quantization import quantize, rescored_top_k, value_ranges
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score
from course_lib.support.folders import DEFAULT, resolve
from recipes.shared.cards import weights_sha256
from recipes.shared.measured import Measured
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import articles, sentences_of, text_sha256
from recipes.shared.results import record, row

COMMAND, DIM, K, QUERIES = "python recipes/scale.py", 256, 10, 100
BASE = 50_000  # real vectors around which others are drawn
BLOCK, CACHED = 65_536, 1024  # vectors at a time: for a batch of the database; few enough for the processor's cache


class Work:
    """A folder for one model and one text; what was measured there: {(experiment, n, setting): [seconds, values]}."""

    def __init__(self, command: str = COMMAND):
        self.command, self.begin = command, time.perf_counter()
        self.model, self.data = weights_sha256(resolve(DEFAULT)), text_sha256(short=False)
        self.folder = BUILD / "scale" / self.model[:12]
        self.folder.mkdir(parents=True, exist_ok=True)
        name = command.removeprefix("python recipes/").replace(".py", ".jsonl")
        self.measured = Measured(self.folder / name, self.model + self.data)

    def lacks(self, experiment: str, n: int, *settings: str) -> bool:
        return any((experiment, n, setting) not in self.measured for setting in settings)

    def add(self, experiment: str, n: int, setting: str, **values: float):
        values = {metric: float(value) for metric, value in values.items()}
        self.measured.add((experiment, n, setting), [time.perf_counter() - self.begin, values])
        self.begin = time.perf_counter()
        print(f"{experiment}, {n:,}, {setting}:", *(f"{m} {v:.4g}" for m, v in values.items()), sep="  ", flush=True)

    def write(self):
        hashes, rows = dict(data_sha256=self.data, model_sha256=self.model), {}
        for (experiment, n, setting), (seconds, values) in self.measured.items():
            for metric, value in values.items():
                what = experiment, DEFAULT, "enwiki2015", metric, value, self.command, seconds
                rows.setdefault(experiment, []).append(row(*what, n=n, setting=setting, **hashes))
        for experiment, of_experiment in rows.items():
            record("17.csv", experiment, of_experiment)


def real_vectors(work: Work, sentences: int) -> np.ndarray:
    """Sentences as unit vectors, float16 (sentences, dim) in a memory map: the last 200 of them are queries."""
    path, texts = work.folder / f"real-{sentences}.npy", work.folder / f"texts-{sentences}"
    if not path.exists():
        if not texts.exists():
            write_texts(texts, sentences)
        unfinished = path.with_suffix(".part")
        mode = "r+" if unfinished.exists() else "w+"  # a vector of zeros is one that is not there yet
        found = np.lib.format.open_memmap(unfinished, mode, np.float16, (sentences, DIM))
        encoder = SentenceEncoder.load(DEFAULT)
        for file in sorted(texts.glob("*.parquet")):
            rows = pq.read_table(file)
            ids = rows["id"].to_numpy()
            if not found[ids[-1]].any():
                some = rows["text"].to_pylist()
                found[ids] = encoder.encode(some, normalize_embeddings=True, show_progress_bar=False)
                found.flush()
        unfinished.rename(path)
    return np.load(path, mmap_mode="r")


def write_texts(folder: Path, sentences: int):
    """The first sentences of Wikipedia's articles in a random order, 10,000 a file."""
    unfinished, texts = folder.with_name("texts.part"), []
    unfinished.mkdir(exist_ok=True)
    found = (s for article in articles() for paragraph in article for s in sentences_of(paragraph))
    for number, sentence in zip(range(sentences), found):
        texts.append(sentence)
        if len(texts) == 10_000 or number + 1 == sentences:
            ids = range(number + 1 - len(texts), number + 1)
            pq.write_table(pa.table({"id": list(ids), "text": texts}), unfinished / f"{number // 10_000:03}.parquet")
            texts.clear()
    unfinished.rename(folder)


def draw(base: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """n vectors of length 1 that scatter as those of base (m, dim) do, float32 (n, dim)."""
    i, j, k = random.integers(len(base), size=(3, n))
    drawn = base[i] + 0.7 * (base[j] - base[k])  # (n, dim)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def drawn_vectors(work: Work, n: int, real: np.ndarray) -> dict[str, np.ndarray]:
    """float16, int8 and bits of n drawn vectors in memory maps, with queries and ranges."""
    folder, random = work.folder / str(n), np.random.default_rng(0)
    base = np.asarray(real[:BASE], np.float32)
    if not (folder / "done").exists():
        folder.mkdir(exist_ok=True)
        np.save(folder / "queries.npy", draw(base, QUERIES, random))
        ranges = value_ranges(draw(base, 20_000, random))
        np.save(folder / "ranges.npy", ranges)
        new = lambda name, dtype, width: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (n, width))
        float16, int8, bits = (
            new("float16", np.float16, DIM),
            new("int8", np.int8, DIM),
            new("bits", np.uint8, DIM // 8),
        )
        for start in range(0, n, CACHED):
            some = slice(start, min(start + CACHED, n))
            vectors = draw(base, some.stop - start, random)
            float16[some], int8[some] = vectors, quantize(vectors, "int8", ranges)
            bits[some] = quantize(vectors, "ubinary")
        (folder / "done").touch()
    names = "float16", "int8", "bits", "queries", "ranges"
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}


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


def coded(vectors: np.ndarray, queries: np.ndarray) -> dict[str, np.ndarray]:
    """float16 vectors with their int8 codes and bits, as drawn_vectors gives them."""
    ranges = value_ranges(np.asarray(vectors[:20_000], np.float32))
    parts = [np.asarray(vectors[start : start + BLOCK], np.float32) for start in range(0, len(vectors), BLOCK)]
    int8, bits = (np.concatenate([quantize(part, kind, ranges) for part in parts]) for kind in ("int8", "ubinary"))
    return {"float16": vectors, "int8": int8, "bits": bits, "queries": queries, "ranges": ranges}


def true_neighbours(work: Work, of: dict[str, np.ndarray], n: int) -> np.ndarray:
    """(queries, 10), kept beside the vectors."""
    path = work.folder / str(n) / "truth.npy"
    if not path.exists():
        np.save(path, top_k(np.asarray(of["queries"]), of["float16"], K, dot_score)[1])
    return np.load(path)


def exact(work: Work, experiment: str, of: dict[str, np.ndarray], truth: np.ndarray):
    """What a scan takes and finds in three widths, signs by our code and by FAISS's."""
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
    work = Work()
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
