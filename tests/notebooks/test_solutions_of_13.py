"""Exercises 13.1 and 13.2 ask for what the library does; right answers of any form pass; near ones are told why."""

import math

import numpy as np
import pytest
import torch
from repository import ROOT

from course_lib.exercises import judge, load_exercises
from course_lib.retrieval.chunking import Passage, search_passages
from course_lib.retrieval.metrics import ranking_metrics

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "13.py")
NDCG, SEARCH = EXERCISES["13.1"], EXERCISES["13.2"]


@pytest.mark.parametrize("case", NDCG.cases)
def test_solution_is_the_librarys_ndcg(case):
    ranking, grades, k = NDCG.cases[case]
    library = ranking_metrics({"q": ranking}, {"q": grades}, {"ndcg": [k]})
    assert NDCG.solution(ranking, grades, k) == pytest.approx(library[f"ndcg@{k}"])


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


def ideal_cut_at_the_ranking(ranking, grades, k):
    def total(gains):
        return sum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains, 1))

    ideal = sorted(grades.values(), reverse=True)[: len(ranking[:k])]
    return total(grades.get(document, 0) for document in ranking[:k]) / total(ideal)


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
    "the ideal is as short as the ranking": (NDCG, ideal_cut_at_the_ranking, "still fills k places"),
    "raw pieces": (SEARCH, only_the_query_of_length_one, "long vectors win"),
    "the worst piece shown": (SEARCH, worst_piece, "a later one overwrites it"),
    "the first k pieces, merged": (SEARCH, first_pieces_merged, "fewer than k documents"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    exercise, answer, message = NEAR[name]
    result = judge(exercise, answer)
    assert result.kind == "known mistake" and message in result.message
