"""course_lib.retrieval.inverted_index against the whole matrix product, sorted."""

import numpy as np
import pytest
import scipy.sparse

from course_lib.retrieval.inverted_index import InvertedIndex, _checked


def full_sort(queries, documents, k):
    """Highest score first, of equal ones the lower row."""
    scores = queries.toarray() @ documents.toarray().T
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, rows, axis=1), rows


def whole_weights(random, rows, columns, share):
    """Weights of 1 to 3, so that many scores are equal, and exact in any order of adding."""
    dense = random.integers(1, 4, (rows, columns)) * (random.random((rows, columns)) < share)
    return scipy.sparse.csr_array(dense.astype(np.float32))


@pytest.mark.parametrize("k", [1, 5, 149, 150, 400])
@pytest.mark.parametrize("share, block", [(0.02, 64), (0.2, 1), (0.2, 7), (0.0, 64)])
def test_equal_to_sorting_the_matrix_product(k, share, block):
    random = np.random.default_rng(k)
    documents, queries = whole_weights(random, 150, 40, share), whole_weights(random, 30, 40, 0.1)
    scores, rows = InvertedIndex(documents).search(queries, k, block=block)
    expected, expected_rows = full_sort(queries, documents, k)
    assert scores.dtype == np.float32 and rows.dtype == np.int64
    assert rows.tolist() == expected_rows.tolist() and scores.tolist() == expected.tolist()


def test_real_weights():
    random = np.random.default_rng(0)
    documents, queries = (
        scipy.sparse.random_array((n, 500), density=0.05, rng=random, dtype=np.float32) for n in (2_000, 50)
    )
    scores, rows = InvertedIndex(documents).search(queries, 20)
    expected, expected_rows = full_sort(queries, documents, 20)
    assert np.abs(scores - expected).max() < 1e-6
    assert (rows != expected_rows).mean() < 0.01  # where two scores differ in the last digit


def test_postings_are_the_matrix_term_by_term():
    index = InvertedIndex(scipy.sparse.csr_array(np.array([[0, 2.0, 0], [1, 3, 0]])))
    assert index.postings.toarray().tolist() == [[0, 1], [2, 3], [0, 0]]
    assert index.nbytes == 3 * 4 + 3 * 4 + 4 * 4  # three weights, three documents, four borders


def with_numbers_of(kind, vectors):
    return scipy.sparse.csr_array(
        (vectors.data, vectors.indices.astype(kind), vectors.indptr.astype(kind)), shape=vectors.shape
    )


def test_numbers_take_four_bytes_where_they_fit():
    """Whatever came in: scipy keeps int64, and would copy all postings as int64 for each block of such queries."""
    random = np.random.default_rng(0)
    documents, queries = whole_weights(random, 150, 40, 0.2), whole_weights(random, 30, 40, 0.1)
    expected = full_sort(queries, documents, 20)
    for kind in (np.int32, np.int64):
        given = with_numbers_of(kind, documents)
        index = InvertedIndex(given)
        assert index.postings.indices.dtype == index.postings.indptr.dtype == np.int32
        assert index.nbytes == 8 * documents.nnz + 4 * 41
        assert given.indices.dtype == kind  # what was given stays as it was
        for found, right in zip(index.search(with_numbers_of(kind, queries), 20), expected):
            assert found.tolist() == right.tolist()


def test_numbers_above_four_bytes_are_kept():
    far = 2**31 + 5
    wide = _checked(scipy.sparse.csr_array(([1.0, 2.0], [3, far], [0, 2]), shape=(1, far + 1)), "queries")
    assert wide.indices.dtype == wide.indptr.dtype == np.int64 and wide.indices.tolist() == [3, far]
    last = _checked(scipy.sparse.csr_array(([1.0], [2**31 - 2], [0, 1]), shape=(1, 2**31 - 1)), "queries")
    assert last.indices.dtype == np.int32 and last.indices.tolist() == [2**31 - 2]


def test_odd_inputs():
    some, none = scipy.sparse.csr_array(np.eye(3)), scipy.sparse.csr_array((0, 3))
    assert [x.shape for x in InvertedIndex(none).search(some, 5)] == [(3, 0), (3, 0)]
    assert [x.shape for x in InvertedIndex(some).search(none, 5)] == [(0, 3), (0, 3)]
    explicit_zero = scipy.sparse.csr_array(([0.0, 1.0], [0, 1], [0, 2]), shape=(1, 3))
    assert InvertedIndex(some).search(explicit_zero, 3)[1].tolist() == [[1, 0, 2]]
    twice = scipy.sparse.coo_array(([1.0, 1.0], ([0, 0], [2, 2])), shape=(1, 3))  # a term named twice counts twice
    assert InvertedIndex(some).search(twice, 1)[0].tolist() == [[2.0]]
    for bad, name in (
        (-some, "queries"),
        (some * np.nan, "queries"),
        (scipy.sparse.csr_array(np.eye(3)[0]), "queries"),
    ):
        with pytest.raises(ValueError, match=f"{name} are sparse vectors of shape"):
            InvertedIndex(some).search(bad, 1)
    with pytest.raises(ValueError, match="documents are sparse vectors"):
        InvertedIndex(-some)
    with pytest.raises(ValueError, match="k is 0"):
        InvertedIndex(some).search(some, 0)
    with pytest.raises(ValueError, match="queries have 4 terms and documents 3"):
        InvertedIndex(some).search(scipy.sparse.csr_array(np.eye(4)), 1)
