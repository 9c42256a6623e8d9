"""Exercise 14.3 asks for what the library's fusion does, has one answer in each case, and knows near answers."""

import numpy as np
import pytest
import torch
from repository import ROOT

from course_lib.exercises import judge, load_exercises
from course_lib.retrieval.fusion import weighted_fusion
from course_lib.retrieval.metrics import each_query

FUSE = load_exercises(ROOT / "notebooks" / "solutions" / "14.py")["14.3"]


def by_the_library(words, meaning, right, weights):
    """{weight: reciprocal rank of each query, (queries,)}."""
    found = {}
    for weight in weights:
        rankings = {
            str(query): weighted_fusion([dict(enumerate(line)) for line in both], [weight, 1 - weight])
            for query, both in enumerate(zip(words.tolist(), meaning.tolist()))
        }
        found[weight] = each_query(rankings, {str(q): [page] for q, page in enumerate(right.tolist())}, "mrr", 8)
    return found


@pytest.mark.parametrize("case", FUSE.cases)
def test_solution_is_the_librarys_fusion_and_no_other_weight_is_as_good(case):
    words, meaning, right, weights, chooses = FUSE.cases[case]
    found = by_the_library(words, meaning, right, weights)
    means = sorted(((values[chooses].mean(), weight) for weight, values in found.items()), reverse=True)
    assert len(means) == 1 or means[0][0] > means[1][0] + 0.01
    best = means[0][1]
    assert FUSE.solution(words, meaning, right, weights, chooses) == (best, pytest.approx(found[best][~chooses].mean()))


def with_torch(words, meaning, right, weights, chooses):
    """Query by query, with ranks from a sort; of equal weights the later wins."""
    means, best = [], None
    for weight in weights:
        ranks = []
        for w, m, page in zip(torch.from_numpy(words), torch.from_numpy(meaning), right.tolist()):
            w, m = ((x - x.min()) / (x.max() - x.min()) for x in (w, m))
            order = (weight * w + (1 - weight) * m).argsort(descending=True).tolist()
            ranks.append(1 + order.index(page))
        means.append(torch.tensor([1 / rank for rank in ranks], dtype=torch.float64))
        if best is None or means[-1][chooses].mean() >= means[best][chooses].mean():
            best = len(means) - 1
    return [weights[best], means[best][~chooses].mean()]


def test_a_right_answer_of_another_form_is_right():
    assert judge(FUSE, with_torch)


def by_sorting(words, meaning, right, weights, chooses, scale, report=None):
    words, meaning, marks = scale(words), scale(meaning), []
    for weight in weights:
        order = np.argsort(-(weight * words + (1 - weight) * meaning), axis=1)  # (queries, pages)
        marks.append(1 / (1 + (order == right[:, None]).argmax(axis=1)))
    marks = np.array(marks)  # (weights, queries)
    best = marks[:, chooses].mean(axis=1).argmax()
    return weights[best], marks[best, ~chooses if report is None else report].mean()


def minmax(scores):
    return (scores - scores.min(1, keepdims=True)) / np.ptp(scores, axis=1, keepdims=True)


NEAR = {
    "raw": (lambda *a: by_sorting(*a, lambda scores: scores), "You add raw scores"),
    "one scale for all": (
        lambda *a: by_sorting(*a, lambda scores: (scores - scores.min()) / np.ptp(scores)),
        "You scale all queries together",
    ),
    "reported on all": (lambda *a: by_sorting(*a, minmax, report=slice(None)), "still among those that you report on"),
    "reported on the same": (lambda *a: by_sorting(*a, minmax, report=a[-1]), "You report on the queries that chose"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    answer, message = NEAR[name]
    result = judge(FUSE, answer)
    assert result.kind == "known mistake" and message in result.message
