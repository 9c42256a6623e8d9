"""course_lib.scale.ivf against faiss.IndexIVFFlat with the same centroids, and against exact search."""

import faiss
import numpy as np
import pytest

from course_lib.retrieval.search import top_k
from course_lib.scale.ivf import InvertedLists
from course_lib.similarity import dot_score


def unit(n, dim, seed):
    vectors = np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def both():
    """4,000 vectors in 40 lists: ours, and FAISS's index, which chose the centroids."""
    vectors = unit(4000, 24, 0)
    theirs = faiss.IndexIVFFlat(faiss.IndexFlatIP(24), 24, 40, faiss.METRIC_INNER_PRODUCT)
    theirs.own_fields = False
    theirs.train(vectors)
    theirs.add(vectors)
    return vectors, InvertedLists(vectors, theirs.quantizer.reconstruct_n(0, 40)), theirs


@pytest.mark.parametrize("probes", [1, 3, 40, 100])
def test_equal_to_faiss(both, probes):
    _, ours, theirs = both
    queries, theirs.nprobe = unit(30, 24, 1), probes
    scores, rows = ours.search(queries, 10, probes)
    expected, expected_rows = theirs.search(queries, 10)
    assert np.array_equal(rows, expected_rows) and np.abs(scores - expected).max() < 1e-6
    assert scores.dtype == np.float32 and (probes > 3 or (rows != top_k(queries, both[0], 10, dot_score)[1]).any())


def test_all_lists_are_exact(both):
    vectors, ours, _ = both
    assert np.array_equal(ours.search(vectors[:50], 5, 40)[1], top_k(vectors[:50], vectors, 5, dot_score)[1])


def test_lists_with_fewer_than_k():
    vectors = np.eye(4, dtype=np.float32)
    scores, rows = InvertedLists(vectors, vectors[:2]).search(vectors[1:2], 3, 1)
    assert rows.tolist() == [[1, -1, -1]] and scores.tolist() == [[1, -np.inf, -np.inf]]


@pytest.mark.parametrize("k, probes", [(0, 1), (1, 0)])
def test_nothing_asked(both, k, probes):
    with pytest.raises(ValueError, match=rf"k is {k} and probes is {probes}; expected at least 1 of each"):
        both[1].search(both[0][:1], k, probes)
