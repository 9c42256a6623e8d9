"""Measure what notebook 17 does live, with other seeds: of data/results/17.csv the rows live, graph.

    COURSE_DATA=... python recipes/scale_live.py

Recall of FAISS's lists of 100,000 vectors, drawn around the course's own sentences; beside them a graph (HNSW).
"""

import os
import re
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np
import torch

from course_lib.data import load_nli, load_pairs, load_sts
from course_lib.datasets.questions import load_questions
from course_lib.datasets.retrieval import load_retrieval
from course_lib.datasets.town import load_duplicates
from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score
from course_lib.support.folders import DEFAULT
from recipes.scale import K, recall, timed
from recipes.shared.scale_vectors import DIM, Work, draw

COMMAND = "python recipes/scale_live.py"


def bundled_sentences() -> list[str]:
    """As notebook 17 takes them from the course's own data."""
    found = [s for p in load_sts() for s in (p.sentence1, p.sentence2)] + [s for pair in load_pairs() for s in pair]
    found += [s for e in load_nli() for s in (e.premise, e.hypothesis)]
    found += [q.question for q in load_questions() + load_duplicates()]
    found += [s for page in load_retrieval("course/help")[1].values() for s in re.split(r"(?<=[.!?])\s+", page)]
    return [s for s in dict.fromkeys(found) if len(s) >= 20][:8000:2]


def drawn(base: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """n vectors, 200 queries, and their true neighbours."""
    vectors, queries = (draw(base, m, np.random.default_rng(s)) for m, s in ((n, seed), (200, seed + 100)))
    return vectors, queries, top_k(queries, vectors, K, dot_score)[1]


def lists(vectors: np.ndarray) -> faiss.Index:
    index = faiss.index_factory(DIM, "IVF256,Flat", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 8
    index.train(vectors[::3])
    index.add(vectors)
    return index


def neighbours(vectors: np.ndarray) -> faiss.Index:
    index = faiss.IndexHNSWFlat(DIM, 16, faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)
    return index


def live(work: Work, base: np.ndarray, n: int = 100_000):
    """Recall of 256 lists of drawn vectors, five times."""
    for seed in range(1, 6):
        vectors, queries, truth = drawn(base, n, seed)
        index = lists(vectors)
        for index.nprobe in (1, 2, 4, 8, 16, 32):
            found = index.search(queries, K)[1]
            work.add("live", n, f"seed {seed}, {index.nprobe} probes", recall=recall(found, truth))


def graph(work: Work, base: np.ndarray, n: int = 100_000):
    """The lists, and a graph of 16 neighbours a vector: to build, and to search."""
    vectors, queries, truth = drawn(base, n, 1)
    for kind, build, width_name in (("IVF256,Flat", lists, "nprobe"), ("HNSW16", neighbours, "efSearch")):
        begin = time.process_time()
        index = build(vectors)
        size = len(faiss.serialize_index(index))
        work.add("graph", n, kind, build_seconds=time.process_time() - begin, bytes=size)
        for width in (16, 32, 64, 128, 256):
            faiss.ParameterSpace().set_index_parameter(index, width_name, width)
            found, took = timed(lambda q: index.search(q, K)[1], queries)
            work.add("graph", n, f"{kind}, {width}", recall=recall(found, truth), **took)


if __name__ == "__main__":
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    work = Work(COMMAND)
    encoder = SentenceEncoder.load(DEFAULT, dtype="float32")
    base = encoder.encode(bundled_sentences(), normalize_embeddings=True, show_progress_bar=False)
    live(work, base)
    graph(work, base)
    work.write()
