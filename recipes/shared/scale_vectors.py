"""The vectors of chapter 17, real and drawn, and what is measured on them: shared by recipes/scale*.py.

Vectors of Wikipedia's sentences; more than these are drawn: x = unit(b_i + 0.7 (b_j - b_k)) of 50,000 real vectors b, a
smoothed bootstrap (Silverman 1986), which keeps how the vectors scatter. Their neighbours lie somewhat further away.
Resumable: vectors lie in build/scale, under the hash of the weights, and what was measured beside them.
"""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.quantization import quantize, value_ranges
from course_lib.support.folders import DEFAULT, resolve
from recipes.shared.cards import weights_sha256
from recipes.shared.measured import Measured
from recipes.shared.places import BUILD
from recipes.shared.pretraining_text import articles, sentences_of, text_sha256
from recipes.shared.results import record, row

DIM, QUERIES = 256, 100
BASE = 50_000  # real vectors around which others are drawn
BLOCK, CACHED = 65_536, 1024  # vectors at a time: for a batch of the database; few enough for the processor's cache


class Work:
    """A folder for one model and one text; what was measured there: {(experiment, n, setting): [seconds, values]}."""

    def __init__(self, command: str):
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


def coded(vectors: np.ndarray, queries: np.ndarray) -> dict[str, np.ndarray]:
    """float16 vectors with their int8 codes and bits, as drawn_vectors gives them."""
    ranges = value_ranges(np.asarray(vectors[:20_000], np.float32))
    parts = [np.asarray(vectors[start : start + BLOCK], np.float32) for start in range(0, len(vectors), BLOCK)]
    int8, bits = (np.concatenate([quantize(part, kind, ranges) for part in parts]) for kind in ("int8", "ubinary"))
    return {"float16": vectors, "int8": int8, "bits": bits, "queries": queries, "ranges": ranges}
