"""The k best of scores that come block by block, looking closely at few of them.

    best = RunningBest(queries, query_norms, k=10)
    best.update(scores, start)      # (queries, block): the scores of the rows from `start` on; block after block
    best.scores, best.rows          # (queries, up to k) each, best first, of equal scores the lower row first

Of each block only scores above a query's k-th best so far matter. They are few after the first blocks, and are found by
the largest score of each 64. Where a processor multiplies bfloat16 numbers itself, rounded products choose the
candidates, and only these are computed in float32.
"""

import math

import torch
from torch import Tensor

from course_lib.support.products import dot_products, lengths


class RunningBest:
    """The k best scores of each query so far, best first, and their rows: (queries, up to k) each.

    queries: (queries, dim); query_norms: (queries,), their lengths.
    """

    def __init__(self, queries: Tensor, query_norms: Tensor, k: int):
        self.queries, self.query_norms, self.k = queries, query_norms, k
        self.scores = self.rows = None

    @property
    def full(self) -> bool:
        return self.scores is not None and self.scores.shape[1] == self.k

    def update(self, scores: Tensor, start: int):
        """Take in the scores (queries, block) of the rows from `start` on."""
        if not self.full:
            _raise_if_nan(scores)
        else:
            query, column = _above(scores, self.scores[:, -1])
            if len(query) <= scores.numel() // 16:
                return self.add(query, column + start, scores[query, column])
        columns = _highest(scores, self.k)  # (queries, up to k)
        self._merge(scores.gather(1, columns), columns + start)

    def update_from_coarse(self, block: Tensor, norms: Tensor, cosine: bool, start: int) -> bool:
        """The same from products of bfloat16; False, and nothing done, where these do not tell enough apart.

        norms: (block,), lengths rounded to bfloat16.
        A candidate is what may be above the limit for all that rounding can do: half a unit in the last of bfloat16's 8
        bits, and what sums in float32 may lose. Candidates are then scored as everything else.
        """
        coarse = self.queries @ block.T  # bfloat16 (queries, block)
        limit = self.scores[:, -1]  # (queries,)
        shortest, longest = norms.min() * (1 - 2**-7), norms.max() * (1 + 2**-7)
        if cosine:  # of the dot products: the smallest that may do for a vector of this block
            limit = torch.where(limit > 0, limit * shortest, limit * longest)
        limit = limit - block.shape[1] * 2**-23 * self.query_norms * longest
        query, column = _above(coarse, limit - limit.abs() / 250)
        if len(query) * block.shape[1] > coarse.numel():
            return False
        columns, place = column.unique(return_inverse=True)  # (candidates,), (hits,)
        candidates = block[columns]  # (candidates, dim)
        scores = dot_products(self.queries, candidates)  # (queries, candidates)
        if cosine:
            scores = scores / lengths(candidates).clamp_min(1e-12)
        scores = scores[query, place]  # (hits,)
        higher = scores > self.scores[query, -1]
        self.add(query[higher], column[higher] + start, scores[higher])
        return True

    def add(self, query: Tensor, rows: Tensor, scores: Tensor):
        """Take in single scores, (hits,) each, sorted by query and then by row."""
        if not len(query):
            return
        counts = query.bincount(minlength=len(self.queries))  # (queries,)
        first = counts.cumsum(0) - counts  # (queries,): the place of each query's first hit
        place = torch.arange(len(query), device=query.device) - first[query]  # (hits,): 0, 1, ... of each query
        lowest = -math.inf if scores.is_floating_point() else torch.iinfo(scores.dtype).min
        padded = scores.new_full((len(self.queries), int(counts.max())), lowest)  # (queries, most hits)
        padded_rows = torch.zeros_like(padded, dtype=torch.long)
        padded[query, place], padded_rows[query, place] = scores, rows
        self._merge(padded, padded_rows)

    def _merge(self, scores: Tensor, rows: Tensor):
        if self.scores is not None:  # earlier rows first: a stable sort keeps them first among equals
            scores, rows = torch.cat([self.scores, scores], dim=1), torch.cat([self.rows, rows], dim=1)
        scores, order = scores.sort(dim=1, descending=True, stable=True)
        self.scores, self.rows = scores[:, : self.k], rows.gather(1, order)[:, : self.k]  # (queries, up to k) each


def _above(scores: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Where is a score above the query's limit? (queries, block), (queries,) -> queries and columns, (hits,) each.

    In rising order. Only groups of up to 64 scores whose highest is above the limit are looked into.
    """
    size = math.gcd(scores.shape[1], 64)
    groups = scores.unflatten(1, (-1, size))  # (queries, groups, size)
    highest = groups.amax(2)  # (queries, groups): NaN where there is one
    _raise_if_nan(highest)
    query, group = (highest > limit[:, None]).nonzero(as_tuple=True)
    hit, place = (groups[query, group] > limit[query, None]).nonzero(as_tuple=True)
    return query[hit], group[hit] * size + place


def _highest(scores: Tensor, k: int) -> Tensor:
    """Columns of the k highest of each row, in rising order of columns: (rows, columns) -> (rows, min(k, columns)).

    torch.topk picks any of several equal scores. Where the k-th equals one that was left out, the first of them are
    counted off.
    """
    if k >= scores.shape[1]:
        return torch.arange(scores.shape[1], device=scores.device).expand(len(scores), -1)
    values, columns = scores.topk(k + 1, dim=1)  # (rows, k + 1), highest first
    tied, columns = values[:, k - 1] == values[:, k], columns[:, :k]  # (rows,), (rows, k)
    if tied.any():
        last = values[tied, k - 1, None]  # (tied, 1)
        higher, equal = scores[tied] > last, scores[tied] == last  # (tied, columns)
        keep = higher | equal & (equal.cumsum(1) <= k - higher.sum(1, keepdim=True))  # k in each row
        columns[tied] = keep.nonzero()[:, 1].view(-1, k)
    return columns.sort(dim=1).values


def _raise_if_nan(scores: Tensor):
    if math.isnan(scores.max()):  # NaN where there is one
        raise ValueError(
            "some scores are NaN, though no vector is: are values too large to be multiplied, "
            "or is score_function wrong?"
        )
