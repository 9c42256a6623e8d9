"""What does it cost to compare n sentences: each pair through BERT, or each sentence once and then only vectors?

    COURSE_DATA=... python recipes/pair_costs.py

Measured on captions, in float32, seconds of processor time on one thread, the best of three:
    all pairs of n sentences through the cross-encoder        n (n - 1) / 2 passes
    all n sentences through the encoder                       n passes
    the cosines of all pairs of n vectors, and each one's nearest neighbour
    one query against n vectors (random ones: the arithmetic is the same), and the best ten
They go to data/results/04.csv as "cost". Absolute times belong to the machine; how they grow does not.
"""

import argparse
import os
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch

from course_lib.encoder import SentenceEncoder
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.similarity import cos_sim
from course_lib.support.tables import find, read_tsv
from recipes.shared.cards import model_folder, weights_sha256
from recipes.shared.results import data_sha256, record, row

COMMAND, DATA = "python recipes/pair_costs.py", "captions/flickr8k"
PAIRED = (10, 20, 40, 80, 160)
EMBEDDED = (625, 1250, 2500, 5000, 10_000)
SCANNED = (31_250, 62_500, 125_000, 250_000, 500_000)


def best_of_three(function: Callable[[], object]) -> float:
    found = []
    for _ in range(3):
        start = time.process_time()  # other work on the machine does not count
        function()
        found.append(time.process_time() - start)
    return min(found)


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    captions = list(dict.fromkeys(text for _, (text,) in read_tsv(find(DATA), "caption")))[: max(EMBEDDED)]
    scorer = CrossEncoder.load("course/cross-encoder-mini", dtype="float32", device="cpu")
    encoder = SentenceEncoder.load("course/sbert-mini", dtype="float32", device="cpu")
    scorer.predict(list(combinations(captions[:20], 2)), show_progress_bar=False)  # prepares both models
    vectors = torch.from_numpy(encoder.encode(captions, show_progress_bar=False))  # (captions, dim)
    torch.manual_seed(0)
    many, query = torch.randn(max(SCANNED), vectors.shape[1]), torch.randn(1, vectors.shape[1])

    rows, sha = [], data_sha256(DATA)

    def measure(what: str, model: str, sizes: tuple[int, ...], work: Callable[[int], object]):
        data, origin = "random vectors", {}
        if model != "(arithmetic)":
            folder = model_folder(model.removeprefix("course/"))
            data, origin = DATA, dict(data_sha256=sha, model_sha256=weights_sha256(folder))
        for n in sizes:
            seconds = best_of_three(lambda: work(n))
            rows.append(row("cost", model, data, "seconds", seconds, COMMAND, seconds, n=n, setting=what, **origin))
        found = [float(r["value"]) for r in rows[-len(sizes) :]]
        slope = np.polyfit(np.log(sizes), np.log(found), 1)[0]
        print(f"{what:16} {' '.join(f'{n}: {s:.4f} s' for n, s in zip(sizes, found))}   slope {slope:.2f}", flush=True)

    def score_pairs(n: int):
        scorer.predict(list(combinations(captions[:n], 2)), show_progress_bar=False)

    def nearest(n: int):
        cos_sim(vectors[:n], vectors[:n]).fill_diagonal_(-1).max(1)

    measure("pairs", "course/cross-encoder-mini", PAIRED, score_pairs)
    measure("embedding", "course/sbert-mini", EMBEDDED, lambda n: encoder.encode(captions[:n], show_progress_bar=False))
    measure("all cosines", "course/sbert-mini", EMBEDDED, nearest)
    measure("one query", "(arithmetic)", SCANNED, lambda n: (query @ many[:n].T).topk(10))
    record("04.csv", "cost", rows)


if __name__ == "__main__":
    main()
