"""Exact search: for each query, the k nearest of many vectors, without ever holding all scores at once.

Queries and corpus are taken in blocks. Each block of scores gives its best k, which are merged with the best so far, so
that memory grows with the block and with n * k, not with n * m.

Left out on purpose: approximate search, quantised vectors, a corpus that is not in memory.
"""
from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.similarity import cos_sim


@torch.no_grad()
def top_k(queries: Tensor, corpus: Tensor, k: int, score_function: Callable[[Tensor, Tensor], Tensor] = cos_sim, *,
          query_block: int = 1024, corpus_block: int = 16_384) -> tuple[Tensor, Tensor]:
    """The k rows of `corpus` with the highest scores for each query, best first.

    queries: (n, dim); corpus: (m, dim); score_function: (a, dim), (b, dim) -> (a, b), one of similarity.py, say.
    Returns scores and row numbers (int64), both (n, min(k, m)). Of equal scores the lower row number comes first, so the
    result does not depend on the blocks, but for the last digit of a score. One block of scores takes query_block *
    corpus_block numbers: 64 MB of float32 as it stands.
    Raises ValueError for k below 1, and for NaN or infinite vectors, which have no place in an order.
    """
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1")
    for name, vectors in (("queries", queries), ("corpus", corpus)):
        if vectors.ndim != 2:
            raise ValueError(f"{name} has the shape {tuple(vectors.shape)}; expected (vectors, dim)")
        if not vectors.sum().isfinite() and (bad := int((~vectors.isfinite().all(dim=1)).sum())):  # the sum is the quick look
            raise ValueError(f"{bad} of {len(vectors)} vectors of {name} hold NaN or infinite values")
    best = [_one_block(part, corpus, k, score_function, corpus_block) for part in queries.split(query_block)]
    return torch.cat([scores for scores, _ in best]), torch.cat([rows for _, rows in best])  # (n, k) each


def _one_block(queries: Tensor, corpus: Tensor, k: int, score_function: Callable, corpus_block: int) -> tuple[Tensor, Tensor]:
    """`top_k` for queries that are taken together."""
    scores = rows = None
    for start in range(0, len(corpus), corpus_block):
        found = score_function(queries, corpus[start : start + corpus_block])  # (queries, block)
        there = _best(found, k)
        found, there = found.gather(1, there), there + start  # (queries, k): of this block
        if scores is not None:  # earlier rows first: a stable sort keeps them first among equals
            found, there = torch.cat([scores, found], dim=1), torch.cat([rows, there], dim=1)  # (queries, up to 2 k)
        scores, order = found.sort(dim=1, descending=True, stable=True)
        scores, rows = scores[:, :k], there.gather(1, order)[:, :k]  # (queries, k)
    if scores is None:
        return queries.new_empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.long)
    return scores, rows


def _best(scores: Tensor, k: int) -> Tensor:
    """Columns of the k highest of each row, in rising order of columns: (rows, columns) -> (rows, min(k, columns)).

    torch.topk picks any of several equal scores. Where the k-th equals one that was left out, a stable sort picks the first.
    """
    if k >= scores.shape[1]:
        return torch.arange(scores.shape[1], device=scores.device).expand(len(scores), -1)
    values, columns = scores.topk(k + 1, dim=1)  # (rows, k + 1), highest first
    tied, columns = values[:, k - 1] == values[:, k], columns[:, :k]  # (rows,), (rows, k)
    if tied.any():
        columns[tied] = scores[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
    return columns.sort(dim=1).values
