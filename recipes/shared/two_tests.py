"""Graded pairs and a search, each pair and each question alone: by these notebook 12 compares models.

The tests are the 328 pairs of course/sts and the 150 questions to the pages of course/help, of which the first TOKENS
tokens are read. Of two models that differ little, more can be said on the same draws of pairs and questions than on
draws of their own (paired bootstrap, Efron 1979): `redrawn` draws the same for every model.
"""

from functools import cache

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from course_lib.data import load_sts
from course_lib.datasets.retrieval import load_retrieval
from course_lib.evaluation import spearman
from course_lib.retrieval.metrics import each_query
from course_lib.similarity import cos_sim, pairwise_cos_sim

TOKENS, DRAWS = 64, 500
TESTS = {"graded pairs": "Spearman x 100", "search": "nDCG@10 x 100"}
Results = dict[str, np.ndarray]  # of each test the pairs (328,) or questions (150,), or the draws (DRAWS,)


@cache
def loaded():
    """The graded pairs, their scores (328,), and of the search questions, pages, and which of them answer which."""
    graded = load_sts("course/sts")
    return graded, np.array([pair.score for pair in graded]), *load_retrieval("course/help")


def vectors(encoder) -> list[Tensor]:
    """Of both sides of the pairs, of the questions and of the pages: (328, dim) twice, (150, dim), (300, dim).

    From now on the encoder reads TOKENS tokens.
    """
    graded, _, queries, corpus, _ = loaded()
    sides = [p.sentence1 for p in graded], [p.sentence2 for p in graded], list(queries.values()), list(corpus.values())
    encoder.max_seq_length = TOKENS
    return [torch.from_numpy(encoder.encode(texts, show_progress_bar=False)) for texts in sides]


def each(u: Tensor, v: Tensor, asked: Tensor, read: Tensor) -> Results:
    """The cosines of the graded pairs (328,), and the nDCG@10 of the questions, 0 to 1 (150,)."""
    _, _, queries, corpus, relevant = loaded()
    ids, best = list(corpus), cos_sim(asked, read).argsort(dim=1, descending=True)[:, :10].tolist()
    rankings = {question: [ids[i] for i in line] for question, line in zip(queries, best)}
    return {"graded pairs": pairwise_cos_sim(u, v).numpy(), "search": each_query(rankings, relevant)}


def measure(of: Results) -> dict[str, float]:
    """Spearman's correlation with the grades, and the mean nDCG@10, both times 100. of: what `each` gives."""
    return {"graded pairs": 100 * spearman(loaded()[1], of["graded pairs"]), "search": 100 * of["search"].mean()}


def redrawn(of: Results, seed: int = 0) -> Results:
    """`measure` on DRAWS draws of pairs and of questions, with repetition, the same for every model: (DRAWS,) each."""
    chance = np.random.default_rng(seed)
    pairs, questions = (chance.integers(len(x), size=(DRAWS, len(x))) for x in of.values())
    ranks = (rankdata(x[pairs], axis=1) for x in (loaded()[1], of["graded pairs"]))  # (DRAWS, 328) each
    a, b = (x - x.mean(axis=1, keepdims=True) for x in ranks)
    correlations = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return {"graded pairs": 100 * correlations, "search": 100 * of["search"][questions].mean(axis=1)}


def differences(first: Results, second: Results) -> dict[str, tuple[float, float, float]]:
    """By how much the first is better on each test, and between which values 95 % of the draws put that.

    first, second: what `redrawn` gives with one seed. Returns {test: (mean, 2.5th, 97.5th percentile)}.
    """
    gaps = {test: first[test] - second[test] for test in first}  # (DRAWS,) each
    return {test: (float(gap.mean()), *np.percentile(gap, (2.5, 97.5)).tolist()) for test, gap in gaps.items()}
