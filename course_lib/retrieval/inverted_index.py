"""The inverted index: for each term, the documents that hold it. What makes search by sparse vectors fast.

A document's score is the dot product of its weights with the query's. Most products are 0: only terms of the query
count, and only documents that hold one of them. So the index keeps the matrix of documents term by term (*postings*),
and a query adds up the lists of its own terms: the product of two sparse matrices, by scipy, in blocks of queries.

Left out on purpose: skipping documents that cannot reach the best k (WAND, block-max), compressed postings, deletion.
"""

import numpy as np
import scipy.sparse

from course_lib.support.vectors import array_of


class InvertedIndex:
    """Postings of `documents`, sparse (m, vocabulary), finite weights of at least 0: of SparseEncoder or BM25, say."""

    def __init__(self, documents: scipy.sparse.sparray):
        documents = _checked(documents, "documents")
        self.documents, self.terms = documents.shape
        self.postings = documents.T.tocsr()  # (vocabulary, m): row t: the documents with term t, their weights

    @property
    def nbytes(self) -> int:
        """Of the postings: four bytes for each weight, four for its document's number, and where each list begins."""
        return sum(part.nbytes for part in (self.postings.data, self.postings.indices, self.postings.indptr))

    def search(self, queries: scipy.sparse.sparray, k: int, *, block: int = 64) -> tuple[np.ndarray, np.ndarray]:
        """The k documents with the highest scores for each query, best first: the matrix product, fully sorted.

        queries: sparse (n, vocabulary), weights as above. block: queries taken together, whose scores are held at once.
        Returns scores, float32, and row numbers of documents, int64, both (n, min(k, m)). Of equal scores the lower row
        comes first. Documents that share no term with the query have score 0 and fill up the places that are left.
        Raises ValueError for k below 1, another vocabulary, negative weights, NaN.
        """
        queries = _checked(queries, "queries")
        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1")
        if queries.shape[1] != self.terms:
            raise ValueError(
                f"queries have {queries.shape[1]} terms and documents {self.terms}; both must come from one vocabulary"
            )
        width = min(k, self.documents)
        scores, rows = np.zeros((queries.shape[0], width), np.float32), np.empty((queries.shape[0], width), np.int64)
        for start in range(0, queries.shape[0], block):
            found = queries[start : start + block] @ self.postings  # sparse (block, m): documents that share a term
            for i, (first, end) in enumerate(zip(found.indptr, found.indptr[1:]), start):
                best, there = _highest_scores(found.data[first:end], found.indices[first:end], width)
                if len(there) < width:  # the lowest rows that are not there yet
                    free = np.setdiff1d(np.arange(min(self.documents, width + len(there))), there)
                    there = np.concatenate([there, free[: width - len(there)]])
                scores[i, : len(best)], rows[i] = best, there
        return scores, rows


def _highest_scores(scores: np.ndarray, documents: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k highest scores above 0, and their documents: both (up to k,). Of equal scores the lower document first."""
    keep = scores > 0
    if len(scores) > k:
        keep &= scores >= np.partition(scores, -k)[-k]  # whatever ties with the k-th stays for now
    scores, documents = scores[keep], documents[keep]
    order = np.lexsort((documents, -scores))[:k]
    return scores[order], documents[order]


def _checked(vectors: scipy.sparse.sparray, name: str) -> scipy.sparse.csr_array:
    """The vectors in float32, their indices in four bytes where they fit: scipy keeps eight where eight came in."""
    vectors = vectors if scipy.sparse.issparse(vectors) else array_of(vectors, name)
    vectors = scipy.sparse.csr_array(vectors, dtype=np.float32) if vectors.ndim == 2 else vectors
    if vectors.ndim != 2 or not np.isfinite(vectors.data).all() or (vectors.data < 0).any():
        raise ValueError(
            f"{name} are sparse vectors of shape {vectors.shape}; "
            "expected (texts, vocabulary) with finite weights of at least 0"
        )
    size = scipy.sparse.get_index_dtype(maxval=max(*vectors.shape, vectors.nnz))  # int32, or int64 from 2**31 on
    indices, indptr = (part.astype(size, copy=False) for part in (vectors.indices, vectors.indptr))
    return scipy.sparse.csr_array((vectors.data, indices, indptr), shape=vectors.shape)
