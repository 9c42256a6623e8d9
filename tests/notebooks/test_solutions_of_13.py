"""Exercise 13.1 asks for what the library computes; 13.2 for the shortest shortlist; near answers are told why."""

import math

import pytest
from repository import ROOT

from course_lib.exercises import judge, load_exercises
from course_lib.retrieval.metrics import ranking_metrics

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "13.py")
NDCG, CANDIDATES = EXERCISES["13.1"], EXERCISES["13.2"]


@pytest.mark.parametrize("case", NDCG.cases)
def test_solution_is_the_librarys_ndcg(case):
    ranking, grades, k = NDCG.cases[case]
    library = ranking_metrics({"q": ranking}, {"q": grades}, {"ndcg": [k]})
    assert NDCG.solution(ranking, grades, k) == pytest.approx(library[f"ndcg@{k}"])


def best(scores, k):
    return set(sorted(range(len(scores)), key=scores.__getitem__)[-k:])


@pytest.mark.parametrize("case", CANDIDATES.cases)
def test_so_many_candidates_hold_all_and_one_fewer_does_not(case):
    rough, exact, k = CANDIDATES.cases[case]
    n = CANDIDATES.solution(rough, exact, k)
    assert best(exact, k) <= best(rough, n) and (n == 1 or not best(exact, k) <= best(rough, n - 1))


def ideal_cut_at_the_ranking(ranking, grades, k):
    def total(gains):
        return sum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains, 1))

    ideal = sorted(grades.values(), reverse=True)[: len(ranking[:k])]
    return total(grades.get(document, 0) for document in ranking[:k]) / total(ideal)


def deepest_of_the_last(rough, exact, k):
    last = sorted(exact)[-k]
    return sum(score >= rough[exact.index(last)] for score in rough)


NEAR = {
    "the ideal is as short as the ranking": (NDCG, ideal_cut_at_the_ranking, "still fills k places"),
    "the k-th best alone": (CANDIDATES, deepest_of_the_last, "need not be the one that lies deepest"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    exercise, answer, message = NEAR[name]
    result = judge(exercise, answer)
    assert result.kind == "known mistake" and message in result.message
