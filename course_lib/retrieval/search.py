"""Exact search: for each query, the k nearest of many vectors.

    scores, rows = top_k(queries, corpus, 10)                                     # by cosine
    scores, rows = top_k(unit_queries, np.load("vectors.npy", mmap_mode="r"), 10, dot_score)    # larger than memory
    scores, rows = top_k(query_bits, corpus_bits, 10, hamming_sim)                # packed bits

`plain_top_k` says what is meant: all scores, sorted. `top_k` gives the same without ever holding all scores: queries
and corpus are taken in blocks, the corpus is read once, and of each block only scores above the query's k-th best so
far matter (support/running_best.py). What remains is the matrix product, which support/products.py takes from the
fastest library at hand. `benchmarks/search.py` compares it with FAISS and sentence-transformers.

Left out on purpose: approximate search; an index, for there is nothing to build; the processor's instructions for bits,
with which faiss.IndexBinaryFlat answers a query alone many times faster. Vectors of length 1 need no cosine:
normalise a corpus once and search it with `dot_score`.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from course_lib.similarity import cos_sim, dot_score
from course_lib.support.products import bits, differing_bits, dot_products, has_coarse_products, lengths
from course_lib.support.running_best import RunningBest
from course_lib.support.vectors import tensor_of

Vectors = Tensor | np.ndarray
ScoreFunction = Callable[[Tensor, Tensor], Tensor]
FEW = 4  # vectors: more are faster as products


def hamming_sim(a: Tensor, b: Tensor) -> Tensor:
    """Minus the number of bits that differ: uint8 or int8 (n, bytes), (m, bytes) -> (n, m). See quantization.py.

    From a dot product, like all others: of the bits set in b, a has h and lacks l; a has s set; s - h + l bits differ.
    A few vectors are compared bit by bit, which needs no numbers of 0 and 1 in memory.
    """
    if len(a) <= FEW and a.device.type == b.device.type == "cpu":
        return -differing_bits(a, b)  # (n, m)
    a, b = bits(a), bits(b)  # (n, bits), (m, bits) of 0 and 1
    return dot_products(2 * a - 1, b) - a.sum(1, dtype=torch.int32)[:, None]  # (n, m): h - l - s


def plain_top_k(
    queries: Tensor, corpus: Tensor, k: int, score_function: ScoreFunction = cos_sim
) -> tuple[Tensor, Tensor]:
    """The k rows of `corpus` with the highest scores for each query, best first: scores and rows, (n, min(k, m)) each.

    queries: (n, dim); corpus: (m, dim). Takes room for all n * m scores, and sorts them.
    """
    scores = score_function(queries, corpus)  # (n, m)
    scores, rows = scores.sort(dim=1, descending=True, stable=True)  # stable: of equal scores the lower row comes first
    return scores[:, :k], rows[:, :k]


@torch.no_grad()
def top_k(
    queries: Vectors,
    corpus: Vectors,
    k: int,
    score_function: ScoreFunction = cos_sim,
    *,
    query_block: int = 256,
    corpus_block: int | None = None,
) -> tuple[Vectors, Vectors]:
    """What `plain_top_k` gives, block by block: for as many vectors as you have, in memory or on disk.

    queries: (n, dim); corpus: (m, dim). Tensors or arrays, each; an array may be a memory map, which is read block by
        block. float64, float32, float16, bfloat16 or int8, or for `hamming_sim` packed bits, uint8 or int8
        (n, dim / 8). Two dtypes meet in float32, or float64. (NumPy has no bfloat16:
        torch.from_numpy(map_of_uint16).view(torch.bfloat16).)
    score_function: (a, dim), (b, dim) -> (a, b), one of similarity.py or `hamming_sim`, say. `cos_sim` and `dot_score`
        are not called, but computed in faster ways: products of int8 without rounding, all others in float32 or
        float64.
    Returns scores (float32, or float64 for float64 vectors) and row numbers (int64), both (n, min(k, m)), as arrays
    where `queries` is one, on the device of `queries` otherwise.

    Of equal scores the lower row number comes first, so the result does not depend on the blocks, but for the last
    digit of a score. A block of scores takes query_block * corpus_block numbers. Without corpus_block that is 16 MB of
    float32, which a cache may hold: 16,384 vectors are taken, and for up to 128 queries 32,768.
    Raises ValueError for k below 1, vectors of two dimensions, and NaN or infinite values, which have no place in an
    order; TypeError for what is no tensor, array or numbers.
    """
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1")
    as_arrays = isinstance(queries, np.ndarray)
    queries, corpus = _tensor(queries, "queries"), _tensor(corpus, "corpus")
    if queries.shape[1] != corpus.shape[1]:
        dims = f"queries have the dimension {queries.shape[1]}, corpus {corpus.shape[1]}"
        raise ValueError(f"{dims}: were they made by two different models?")
    if score_function is hamming_sim and {queries.dtype, corpus.dtype} - {torch.uint8, torch.int8}:
        given = f"{queries.dtype} and {corpus.dtype}"
        raise TypeError(f"hamming_sim compares packed bits, uint8 or int8, not {given}: see quantization.py")
    query_norms = lengths(queries)  # (n,)
    _raise_unless_finite(queries, "queries", query_norms)

    dtype = torch.promote_types(torch.promote_types(queries.dtype, corpus.dtype), torch.float32)
    cosine, dot = score_function is cos_sim, score_function is dot_score
    product = dot_products if cosine or dot else score_function
    # one query: as fast in float32
    coarse = (cosine or dot) and len(queries) > 1 and has_coarse_products(queries, corpus)
    corpus_block = corpus_block or (16_384 if len(queries) > 128 else 32_768)
    of_blocks = zip(queries.split(query_block), query_norms.split(query_block))
    parts = [RunningBest(part, norms, k) for part, norms in of_blocks]
    place = None  # products of float16 are emulated on CPUs; for a query alone `dot_products` converts fewer at a time
    if corpus.dtype == torch.float16 and not (dot and len(queries) == 1):
        place = queries.new_empty(min(corpus_block, len(corpus)), corpus.shape[1], dtype=torch.float32)
    for start in range(0, len(corpus) if len(queries) else 0, corpus_block):
        block = corpus[start : start + corpus_block].to(queries.device)  # (block, dim)
        if place is not None:
            block = place[: len(block)].copy_(block)
        if coarse or cosine or (not dot and block.is_floating_point()):
            # (block,), rounded to bfloat16 where that is enough, which is faster
            norms = torch.linalg.vector_norm(block, dim=1).float() if coarse else lengths(block)
            _raise_unless_finite(block, "corpus", norms, start)
        for best in parts:
            if coarse and best.full and best.update_from_coarse(block, norms, cosine, start):
                continue
            scores = product(best.queries, block)  # (queries of a part, block)
            if dot and not coarse:  # a number times NaN or infinite is neither finite, nor is any sum with it
                _raise_unless_finite(block, "corpus", scores[0], start)
            if cosine:
                scores = scores.to(dtype).div_((lengths(block) if coarse else norms).clamp_min(1e-12))
            best.update(scores, start)

    shape = len(queries), min(k, len(corpus))
    if 0 in shape:
        scores, rows = queries.new_empty(shape, dtype=dtype), queries.new_empty(shape, dtype=torch.long)
    else:
        scores, rows = torch.cat([best.scores for best in parts]).to(dtype), torch.cat([best.rows for best in parts])
    if cosine:
        scores = scores / query_norms.clamp_min(1e-12)[:, None]  # left out so far: they do not change the order
    return (scores.numpy(), rows.numpy()) if as_arrays else (scores, rows)


def _tensor(vectors: Vectors, name: str) -> Tensor:
    """A tensor (vectors, dim) that shares the memory of an array."""
    if not isinstance(vectors, (Tensor, np.ndarray)):
        raise TypeError(f"{name} is a {type(vectors).__name__}; expected a torch tensor or a NumPy array")
    vectors = tensor_of(vectors, name)
    if vectors.ndim != 2 or not vectors.shape[1]:
        shape = tuple(vectors.shape)
        raise ValueError(f"{name} has the shape {shape}; expected (vectors, dim), with a dim of at least 1")
    if vectors.dtype == torch.bool:
        raise TypeError(f"{name} is a tensor of {vectors.dtype}; expected numbers, or uint8 for packed bits")
    return vectors


def _raise_unless_finite(vectors: Tensor, name: str, numbers: Tensor, start: int = 0):
    """The quick look is one number of each vector, its length, say: where it is not finite, the vector may not be."""
    if not math.isfinite(numbers.sum()) and len(bad := (~vectors.isfinite().all(dim=1)).nonzero()):
        found = f"{len(bad)} of {len(vectors)} vectors of {name} hold NaN or infinite values"
        raise ValueError(f"{found}, row {start + int(bad[0])} first")
