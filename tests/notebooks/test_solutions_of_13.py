"""Exercises 13.1 and 13.2 ask for what the library does; right answers of any form pass; near ones are told why."""

import numpy as np
import pytest
import torch
from repository import ROOT

from course_lib.exercises import judge, load_exercises
from course_lib.retrieval.chunking import Passage, search_passages
from course_lib.retrieval.metrics import paired_bootstrap

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "13.py")
COMPARE, SEARCH = EXERCISES["13.1"], EXERCISES["13.2"]


def test_the_interval_is_the_librarys():
    new, old, _ = COMPARE.cases["a clear gain"]
    drawn = np.random.default_rng(0).integers(len(new), size=(2000, len(new)))
    low, high, word = COMPARE.solution(new, old, drawn)
    assert (low, high) == pytest.approx(paired_bootstrap(new, old, seed=0)[1:]) and word == "better"


def test_the_cases_have_each_word_and_intervals_that_end_at_zero():
    answers = [COMPARE.solution(*case) for case in COMPARE.cases.values()]
    assert {word for *_, word in answers} == {"better", "worse", "cannot tell"}
    assert any(low == 0 < high for low, high, _ in answers) and any(low < 0 == high for low, high, _ in answers)


def draw_by_draw(new, old, drawn):
    """One draw after another, in torch; the quantiles of a sorted list, with a straight line between two."""
    gains = torch.from_numpy(new) - torch.from_numpy(old)
    means = torch.stack([gains[torch.from_numpy(line)].mean() for line in drawn])
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return [low, high, "cannot tell" if low <= 0 <= high else "better" if low > 0 else "worse"]


def differences_of_means(new, old, drawn):
    low, high = np.quantile(new[drawn].mean(1) - old[drawn].mean(1), [0.025, 0.975])
    return low, high, "better" if low > 0 else "worse" if high < 0 else "cannot tell"


@pytest.mark.parametrize("answer", [draw_by_draw, differences_of_means])
def test_a_right_interval_written_otherwise_is_right(answer):
    assert judge(COMPARE, answer)


@pytest.mark.parametrize("case", SEARCH.cases)
def test_solution_finds_what_the_librarys_search_finds(case):
    query, pieces, documents, k = SEARCH.cases[case]
    passages = [Passage(document, row, row, "") for row, document in enumerate(documents)]
    hits = search_passages(query[None], pieces, passages, k)[0]
    assert SEARCH.solution(query, pieces, documents, k) == [(hit.document, hit.passage.start) for hit in hits]


def with_torch(query, pieces, documents, k):
    """Document by document, in torch, both sides of length 1; lists where the solution has pairs."""
    scores = torch.cosine_similarity(torch.from_numpy(pieces), torch.from_numpy(query), dim=1)  # (pieces,)
    best = {}
    for row, document in enumerate(documents):
        if document not in best or scores[row] > scores[best[document]]:
            best[document] = row
    return [[d, best[d]] for d in sorted(best, key=lambda d: scores[best[d]], reverse=True)[:k]]


def with_numpy_numbers(query, pieces, documents, k):
    order, owners = np.argsort(-(pieces @ query) / np.linalg.norm(pieces, axis=1)), np.array(documents)
    seen, firsts = np.unique(owners[order], return_index=True)
    return [(seen[i], order[firsts[i]]) for i in np.argsort(firsts)[:k]]


@pytest.mark.parametrize("answer", [with_torch, with_numpy_numbers])
def test_a_right_search_written_otherwise_is_right(answer):
    assert judge(SEARCH, answer)


def two_intervals(new, old, drawn):
    low_new, high_new = np.quantile(new[drawn].mean(1), [0.025, 0.975])
    low_old, high_old = np.quantile(old[drawn].mean(1), [0.025, 0.975])
    low, high = low_new - high_old, high_new - low_old
    return low, high, "better" if low > 0 else "worse" if high < 0 else "cannot tell"


def by_the_mean(new, old, drawn):
    low, high, _ = differences_of_means(new, old, drawn)
    return low, high, "better" if (new - old).mean() > 0 else "worse"


def only_the_query_of_length_one(query, pieces, documents, k):
    scores = torch.from_numpy(pieces) @ torch.nn.functional.normalize(torch.from_numpy(query), dim=0)  # (pieces,)
    best = {}
    for row in scores.argsort(descending=True).tolist():
        best.setdefault(documents[row], row)
    return list(best.items())[:k]


def worst_piece(query, pieces, documents, k):
    right = dict(SEARCH.solution(query, pieces, documents, k))
    scores = torch.cosine_similarity(torch.from_numpy(pieces), torch.from_numpy(query), dim=1).tolist()
    return [(d, min((row for row, of in enumerate(documents) if of == d), key=scores.__getitem__)) for d in right]


def first_pieces_merged(query, pieces, documents, k):
    nearest = torch.cosine_similarity(torch.from_numpy(pieces), torch.from_numpy(query), dim=1)
    found = []
    for row in nearest.topk(min(k, len(pieces))).indices.tolist():
        if documents[row] not in [document for document, _ in found]:
            found.append((documents[row], row))
    return found


NEAR = {
    "two intervals": (COMPARE, two_intervals, "Both answered the same queries"),
    "a word by the mean": (COMPARE, by_the_mean, "looks at the mean alone"),
    "raw pieces": (SEARCH, only_the_query_of_length_one, "long vectors win"),
    "the worst piece shown": (SEARCH, worst_piece, "a later one overwrites it"),
    "the first k pieces, merged": (SEARCH, first_pieces_merged, "fewer than k documents"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    exercise, answer, message = NEAR[name]
    result = judge(exercise, answer)
    assert result.kind == "known mistake" and message in result.message
