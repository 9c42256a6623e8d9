"""An inverted file of vectors: each lies in the list of its nearest centroid, and a query reads the nearest lists only.

    lists = InvertedLists(vectors, centroids)             # k-means chose the centroids
    scores, rows = lists.search(queries, 10, probes=8)    # reads 8 lists; with all of them the search is exact

What faiss.IndexIVFFlat does for dot products (Sivic and Zisserman 2003; Jegou et al. 2011): with the same centroids it
finds the same. To be read, not to be fast. Left out on purpose: choosing centroids (k-means, notebook 15), adding and
deleting vectors, codes in the place of vectors.
"""

import numpy as np

from course_lib.retrieval.search import top_k
from course_lib.similarity import dot_score


class InvertedLists:
    """vectors: float32 (n, dim); centroids: float32 (lists, dim). ValueError where their dims differ."""

    def __init__(self, vectors: np.ndarray, centroids: np.ndarray):
        nearest = top_k(vectors, centroids, 1, dot_score)[1][:, 0]  # (n,): the list of each vector
        self.rows = np.argsort(nearest, kind="stable")  # (n,): list after list
        self.vectors, self.centroids = vectors[self.rows], centroids  # (n, dim): what is read together lies together
        self.starts = np.searchsorted(nearest[self.rows], np.arange(len(centroids) + 1))  # (lists + 1,)

    def search(self, queries: np.ndarray, k: int, probes: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and row numbers (queries, k), best first, of the vectors in each query's `probes` nearest lists.

        queries: float32 (queries, dim). Where these lists hold fewer than k vectors, the rest is -inf and row -1.
        ValueError for k or probes below 1.
        """
        if k < 1 or probes < 1:
            raise ValueError(f"k is {k} and probes is {probes}; expected at least 1 of each")
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1)
        nearest = top_k(queries, self.centroids, probes, dot_score)[1]  # (queries, probes)
        for i, (query, lists) in enumerate(zip(queries, nearest)):
            places = np.concatenate([np.arange(self.starts[one], self.starts[one + 1]) for one in lists])
            products = self.vectors[places] @ query  # (places,)
            best = np.argsort(-products, kind="stable")[:k]
            scores[i, : len(best)], rows[i, : len(best)] = products[best], self.rows[places[best]]
        return scores, rows
