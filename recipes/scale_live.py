"""Measure what notebook 17 does live, with other seeds: of data/results/17.csv the rows live.

    COURSE_DATA=... python recipes/scale_live.py

Recall of FAISS's lists of 100,000 vectors, drawn around the course's own sentences.
"""

import os
import re

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np

from course_lib.data import load_nli, load_pairs, load_sts
from course_lib.datasets.questions import load_questions
from course_lib.datasets.retrieval import load_retrieval
from course_lib.datasets.town import load_duplicates
from course_lib.encoder import SentenceEncoder
from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score
from course_lib.support.folders import DEFAULT
from recipes.scale import DIM, K, Work, draw, recall

COMMAND = "python recipes/scale_live.py"


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


if __name__ == "__main__":
    work = Work(COMMAND)
    live(work)
    work.write()
