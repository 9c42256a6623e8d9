"""Exercises 14.1 and 14.3 ask for what the library does, have one answer in each case, and know near answers."""

import itertools
import math

import numpy as np
import pytest
import torch
from repository import ROOT

from course_lib.exercises import judge, load_exercises
from course_lib.retrieval.fusion import weighted_fusion
from course_lib.retrieval.metrics import each_query

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "14.py")
CEILING, FUSE = EXERCISES["14.1"], EXERCISES["14.3"]


def best_of_all_orders(ranking, grades, n, k):
    """By trying each order of the first n, with the library's nDCG."""
    orders = [list(order) + ranking[n:] for order in itertools.permutations(ranking[:n])]
    return max(each_query({"q": order}, {"q": grades}, "ndcg", k)[0] for order in orders)


@pytest.mark.parametrize("case", CEILING.cases)
def test_ceiling_is_the_best_ndcg_of_all_orders_of_the_candidates(case):
    assert CEILING.solution(*CEILING.cases[case]) == pytest.approx(best_of_all_orders(*CEILING.cases[case]))


def test_a_ceiling_by_trying_is_right():
    assert judge(CEILING, best_of_all_orders)


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
    assert all(len(set(scores)) == len(scores) for scores in (*words.tolist(), *meaning.tolist()))
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


def ceiling_by_documents(ranking, grades, n, k, reorder, ideal):
    order = sorted(ranking[:reorder], key=lambda document: -grades.get(document, 0)) + ranking[reorder:]
    gain = sum(grades.get(document, 0) / math.log2(2 + place) for place, document in enumerate(order[:k]))
    return gain / sum(grade / math.log2(2 + place) for place, grade in enumerate(sorted(ideal)[::-1][:k]))


NEAR_CEILING = {
    "all reordered": (
        lambda ranking, grades, n, k: ceiling_by_documents(ranking, grades, n, k, len(ranking), grades.values()),
        "documents after the n-th",
    ),
    "nothing reordered": (
        lambda ranking, grades, n, k: ceiling_by_documents(ranking, grades, n, k, 0, grades.values()),
        "of the ranking as it is",
    ),
    "no grades": (
        lambda ranking, grades, n, k: ceiling_by_documents(
            ranking, dict.fromkeys(grades, 1), n, k, n, [1] * len(grades)
        ),
        "every right document as 1",
    ),
    "cut first": (
        lambda ranking, grades, n, k: ceiling_by_documents(ranking[:k], grades, n, k, n, grades.values()),
        "You cut to k before",
    ),
}


@pytest.mark.parametrize("name", NEAR_CEILING)
def test_a_near_ceiling_is_told_its_kind_of_mistake(name):
    answer, message = NEAR_CEILING[name]
    result = judge(CEILING, answer)
    assert result.kind == "known mistake" and message in result.message


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
