"""Exact search: for each query, the k nearest of many vectors, without ever holding all scores at once.

    scores, rows = top_k(queries, corpus, 10)                                     # by cosine
    scores, rows = top_k(unit_queries, np.load("vectors.npy", mmap_mode="r"), 10, dot_score)    # larger than memory
    scores, rows = top_k(query_bits, corpus_bits, 10, hamming_sim)                # packed bits

Queries and corpus are taken in blocks, and the corpus is read once. Of each block of scores only those above the query's k-th
best so far matter; they are few after the first blocks, and are found by the largest score of each 64. What remains is the
matrix product, which products.py takes from the fastest library at hand. `benchmarks/search.py` compares it with FAISS and
sentence-transformers.

Left out on purpose: approximate search; an index, for there is nothing to build. Vectors of length 1 need no cosine: normalise
a corpus once and search it with `dot_score`.
"""

import math
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from course_lib.similarity import cos_sim, dot_score
from course_lib.support.products import bits, dot_products, has_coarse_products, lengths

Vectors = Tensor | np.ndarray


def hamming_sim(a: Tensor, b: Tensor) -> Tensor:
    """Minus the number of bits that differ: uint8 or int8 (n, bytes), (m, bytes) -> (n, m). See quantization.py.

    From a dot product, like all others: of the bits set in b, a has h and lacks l; a has s set; s - h + l bits differ.
    """
    a, b = bits(a), bits(b)  # (n, bits), (m, bits) of 0 and 1
    return dot_products(2 * a - 1, b) - a.sum(1, dtype=torch.int32)[:, None]  # (n, m): h - l - s


@torch.no_grad()
def top_k(
    queries: Vectors,
    corpus: Vectors,
    k: int,
    score_function: Callable[[Tensor, Tensor], Tensor] = cos_sim,
    *,
    query_block: int = 256,
    corpus_block: int | None = None,
) -> tuple[Vectors, Vectors]:
    """The k rows of `corpus` with the highest scores for each query, best first.

    queries: (n, dim); corpus: (m, dim). Tensors or arrays, each; an array may be a memory map, which is read block by block.
        float64, float32, float16, bfloat16 or int8, or for `hamming_sim` packed bits, uint8 or int8 (n, dim / 8). Two
        dtypes meet in float32, or float64. (NumPy has no bfloat16: torch.from_numpy(map_of_uint16).view(torch.bfloat16).)
    score_function: (a, dim), (b, dim) -> (a, b), one of similarity.py or `hamming_sim`, say. `cos_sim` and `dot_score` are
        not called, but computed in faster ways: products of int8 without rounding, all others in float32 or float64.
    Returns scores (float32, or float64 for float64 vectors) and row numbers (int64), both (n, min(k, m)), as arrays where
    `queries` is one, on the device of `queries` otherwise.

    Of equal scores the lower row number comes first, so the result does not depend on the blocks, but for the last digit of a
    score. A block of scores takes query_block * corpus_block numbers. Without corpus_block that is 16 MB of float32, which a cache
    may hold: 16,384 vectors are taken, and for up to 128 queries 32,768.
    Raises ValueError for k below 1, vectors of two dimensions, and NaN or infinite values, which have no place in an order;
    TypeError for what is no tensor, array or numbers.
    """
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1")
    as_arrays = isinstance(queries, np.ndarray)
    queries, corpus = _tensor(queries, "queries"), _tensor(corpus, "corpus")
    if queries.shape[1] != corpus.shape[1]:
        raise ValueError(
            f"queries have the dimension {queries.shape[1]}, corpus {corpus.shape[1]}: were they made by two different models?"
        )
    if score_function is hamming_sim and {queries.dtype, corpus.dtype} - {torch.uint8, torch.int8}:
        raise TypeError(
            f"hamming_sim compares packed bits, uint8 or int8, not {queries.dtype} and {corpus.dtype}: see quantization.py"
        )
    query_norms = lengths(queries)  # (n,)
    _raise_unless_finite(queries, "queries", query_norms)

    dtype = torch.promote_types(torch.promote_types(queries.dtype, corpus.dtype), torch.float32)
    cosine, dot = score_function is cos_sim, score_function is dot_score
    coarse = (cosine or dot) and has_coarse_products(queries, corpus)
    product = dot_products if cosine or dot else score_function
    corpus_block = corpus_block or (16_384 if len(queries) > 128 else 32_768)
    found = [_Best(part, norms, k) for part, norms in zip(queries.split(query_block), query_norms.split(query_block))]
    for start in range(0, len(corpus), corpus_block) if len(queries) else ():
        block = corpus[start : start + corpus_block].to(queries.device)  # (block, dim)
        if block.dtype == torch.float16:
            block = block.float()  # products of float16 are emulated on CPUs
        if coarse or not dot:  # (block,), rounded to bfloat16 where that is enough, which is faster
            norms = torch.linalg.vector_norm(block, dim=1).float() if coarse else lengths(block)
            _raise_unless_finite(block, "corpus", norms, start)
        for best in found:
            if coarse and best.full and best.update_from_coarse(block, norms, cosine, start):
                continue
            scores = product(best.queries, block)  # (queries of a part, block)
            if dot and not coarse:  # a number times NaN or infinite is neither finite, nor is any sum with it
                _raise_unless_finite(block, "corpus", scores[0], start)
            if cosine:
                scores = scores.to(dtype).div_((lengths(block) if coarse else norms).clamp_min(1e-12))
            best.update(scores, start)

    if not len(queries) or not len(corpus):
        shape = len(queries), min(k, len(corpus))
        scores, rows = (
            queries.new_empty(shape, dtype=dtype),
            torch.empty(shape, dtype=torch.long, device=queries.device),
        )
    else:
        scores, rows = (
            torch.cat([best.scores for best in found]).to(dtype),
            torch.cat([best.rows for best in found]),
        )  # (n, k) each
    if cosine:
        scores = scores / query_norms.clamp_min(1e-12)[:, None]  # left out so far: they do not change the order
    return (scores.numpy(), rows.numpy()) if as_arrays else (scores, rows)


class _Best:
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
        columns = _best(scores, self.k)  # (queries, up to k)
        self._merge(scores.gather(1, columns), columns + start)

    def update_from_coarse(self, block: Tensor, norms: Tensor, cosine: bool, start: int) -> bool:
        """The same from products of bfloat16; False, and nothing done, where these do not tell enough apart.

        norms: (block,), lengths rounded to bfloat16.
        A candidate is what may be above the limit for all that rounding can do: half a unit in the last of bfloat16's 8
        bits, and what sums in float32 may lose. Candidates are then scored as everything else.
        """
        coarse = self.queries @ block.T  # bfloat16 (queries, block)
        limit, shortest, longest = (
            self.scores[:, -1],
            norms.min() * (1 - 2**-7),
            norms.max() * (1 + 2**-7),
        )  # (queries,), (), ()
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
        place = (
            torch.arange(len(query), device=query.device) - (counts.cumsum(0) - counts)[query]
        )  # (hits,): 0, 1, ... of each query
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
    """Where is a score above the query's limit? (queries, block), (queries,) -> queries and columns (hits,), in rising order."""
    size = math.gcd(scores.shape[1], 64)
    groups = scores.unflatten(1, (-1, size))  # (queries, groups, size)
    highest = groups.amax(2)  # (queries, groups): NaN where there is one
    _raise_if_nan(highest)
    query, group = (highest > limit[:, None]).nonzero(as_tuple=True)
    hit, place = (groups[query, group] > limit[query, None]).nonzero(as_tuple=True)
    return query[hit], group[hit] * size + place


def _best(scores: Tensor, k: int) -> Tensor:
    """Columns of the k highest of each row, in rising order of columns: (rows, columns) -> (rows, min(k, columns)).

    torch.topk picks any of several equal scores. Where the k-th equals one that was left out, the first of them are counted off.
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


def _tensor(vectors: Vectors, name: str) -> Tensor:
    """A tensor (vectors, dim) that shares the memory of an array."""
    if isinstance(vectors, np.ndarray):
        if vectors.dtype.kind not in "fiu":
            raise TypeError(
                f"{name} is an array of {vectors.dtype}; expected float32, float16, float64, int8, or uint8 for packed bits"
            )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nothing writes to it
            vectors = torch.from_numpy(vectors)
    if not isinstance(vectors, Tensor):
        raise TypeError(f"{name} is a {type(vectors).__name__}; expected a torch tensor or a NumPy array")
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise ValueError(
            f"{name} has the shape {tuple(vectors.shape)}; expected (vectors, dim), with a dim of at least 1"
        )
    if vectors.is_complex() or vectors.dtype == torch.bool:
        raise TypeError(
            f"{name} is a tensor of {vectors.dtype}; expected floating point numbers, int8, or uint8 for packed bits"
        )
    return vectors


def _raise_if_nan(scores: Tensor):
    if math.isnan(scores.max()):  # NaN where there is one
        raise ValueError(
            "some scores are NaN, though no vector is: are values too large to be multiplied, or is score_function wrong?"
        )


def _raise_unless_finite(vectors: Tensor, name: str, numbers: Tensor, start: int = 0):
    """One number for each vector is the quick look, its length, say: where it is not finite the vector is only perhaps not."""
    if not math.isfinite(numbers.sum()) and len(bad := (~vectors.isfinite().all(dim=1)).nonzero()):
        raise ValueError(
            f"{len(bad)} of {len(vectors)} vectors of {name} hold NaN or infinite values, row {start + int(bad[0])} first"
        )
