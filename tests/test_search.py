"""course_lib.search against one matrix of all scores, sorted."""

import numpy as np
import pytest
import torch

from course_lib.search import top_k
from course_lib.similarity import SIMILARITY_FUNCTIONS, dot_score


def brute_force(queries, corpus, k, score_function):
    """Highest score first, of equal ones the lower row."""
    scores = score_function(queries, corpus).numpy()
    rows = np.array([np.lexsort((np.arange(len(corpus)), -line))[:k] for line in scores]).reshape(len(queries), -1)
    return np.take_along_axis(scores, rows, axis=1), rows


@pytest.mark.parametrize("k", [1, 40, 101, 500])
@pytest.mark.parametrize("kind, blocks", [("cosine", (1024, 16_384)), ("cosine", (17, 1)), ("cosine", (3, 10)), ("dot", (50, 99)), ("euclidean", (7, 101)),
                                          ("manhattan", (1000, 40))])  # fmt: skip
def test_equal_to_sorting_all_scores(k, blocks, kind):
    generator = torch.Generator().manual_seed(k)
    queries, corpus = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (17, 101))
    scores, rows = top_k(queries, corpus, k, SIMILARITY_FUNCTIONS[kind], query_block=blocks[0], corpus_block=blocks[1])
    expected, expected_rows = brute_force(queries, corpus, k, SIMILARITY_FUNCTIONS[kind])
    assert rows.tolist() == expected_rows.tolist() and rows.dtype == torch.int64
    assert scores.shape == (17, min(k, 101)) and np.abs(scores.numpy() - expected).max() < 1e-12


@pytest.mark.parametrize("k", [1, 9, 60, 61])
@pytest.mark.parametrize("corpus_block", [5, 8, 60, 100])
def test_of_equal_scores_the_lower_row_comes_first(k, corpus_block):
    random = np.random.default_rng(k)
    queries = torch.from_numpy(random.integers(0, 2, (20, 3))).double()  # scores are whole numbers of 0 to 6
    corpus = torch.from_numpy(random.integers(0, 3, (60, 3))).double()
    scores, rows = top_k(queries, corpus, k, dot_score, query_block=6, corpus_block=corpus_block)
    expected, expected_rows = brute_force(queries, corpus, k, dot_score)
    assert rows.tolist() == expected_rows.tolist() and scores.tolist() == expected.tolist()


def test_arguments():
    vectors = torch.eye(3)
    assert [x.shape for x in top_k(vectors, vectors[:0], 5)] == [(3, 0), (3, 0)]
    assert [x.shape for x in top_k(vectors[:0], vectors, 2)] == [(0, 2), (0, 2)]
    assert top_k(vectors.clone().requires_grad_(), vectors, 1)[0].requires_grad is False
    with pytest.raises(ValueError, match="k is 0"):
        top_k(vectors, vectors, 0)
    with pytest.raises(ValueError, match=r"queries has the shape \(3,\)"):
        top_k(vectors[0], vectors, 1)
    with pytest.raises(ValueError, match="1 of 3 vectors of corpus hold NaN"):
        top_k(vectors, vectors.masked_fill(vectors.bool() & (torch.arange(3) == 1), torch.nan), 1)
    with pytest.raises(ValueError, match="dimension"):
        top_k(vectors, torch.eye(2), 1)


def test_there_is_never_more_than_a_block_of_scores():
    sizes = []

    def score(queries, corpus):
        sizes.append(len(queries) * len(corpus))
        return dot_score(queries, corpus)

    generator = torch.Generator().manual_seed(0)
    queries, corpus = torch.randn(1_100, 8, generator=generator), torch.randn(40_000, 8, generator=generator)
    _, rows = top_k(queries, corpus, 10, score)
    assert sum(sizes) == 1_100 * 40_000 and max(sizes) == 1024 * 16_384
    for i in (0, 1_099):
        assert rows[i].tolist() == (corpus @ queries[i]).argsort(descending=True)[:10].tolist()
