"""Smaller vectors: 8 bits a number, 1 bit a number, fewer numbers; and a search that repairs most of what that loses.

    codes = quantize(vectors, "ubinary")                       # a 32nd of the memory
    scores, rows = rescored_top_k(queries, codes, vectors, 10)    # candidates by bits, then in order by the vectors

`quantize` gives what sentence_transformers.quantize_embeddings gives (version 6). The vectors for rescoring may lie in
a memory map: only the candidates' rows are read.

Left out on purpose: "uint8" and "binary", the same codes plus and less 128; rescoring from the codes alone; product
quantisation.
"""

import numpy as np
import torch
from torch import Tensor

from course_lib.retrieval.search import Vectors, hamming_sim, top_k
from course_lib.similarity import dot_score
from course_lib.support.vectors import array_of, check_finite, floats_of, tensor_of, tensor_or_array

PRECISIONS = ("int8", "ubinary")
ROWS = 65_536  # taken together


def truncate(vectors: Vectors, dim: int) -> Vectors:
    """The first `dim` numbers of each vector, scaled to length 1: (n, more) -> (n, dim), zeros staying zeros.

    Worth doing with models that were trained for it (Matryoshka: Kusupati et al. 2022, arXiv 2205.13147). ValueError
    where the vectors have fewer numbers.
    """
    vectors = tensor_or_array(vectors, "vectors")
    if not vectors.ndim or not 1 <= dim <= vectors.shape[-1]:
        have = vectors.shape[-1] if vectors.ndim else "a number alone"
        raise ValueError(f"dim is {dim}; expected 1 to {have}, which the vectors have")
    first = vectors[..., :dim]
    if isinstance(first, Tensor):
        first = floats_of(first, "vectors")
        return torch.nn.functional.normalize(first, dim=-1)
    lengths = np.linalg.norm(first, axis=-1, keepdims=True)
    return first / np.maximum(lengths, max(1e-12, np.finfo(lengths.dtype).tiny))  # 1e-12 is 0 in float16


def value_ranges(vectors: Vectors) -> np.ndarray:
    """The smallest and largest value of each dimension: (n, dim) -> (2, dim). Take a few thousand typical vectors."""
    vectors = array_of(vectors, "vectors")
    if vectors.ndim != 2 or len(vectors) < 2:
        shape = tuple(vectors.shape)
        raise ValueError(f"expected at least 2 vectors, (vectors, dim), to take ranges from, got the shape {shape}")
    check_finite(torch.from_numpy(vectors))
    return np.stack([vectors.min(axis=0), vectors.max(axis=0)])


def quantize(vectors: Vectors, precision: str, ranges: np.ndarray | None = None) -> Vectors:
    """Vectors as codes: a tensor for a tensor, an array for an array, which may be a memory map.

    vectors: float (n, dim). precision:
        "int8"     (n, dim): each dimension's range (start, end) is cut into 256 steps, -128 to 127; what lies outside
                   is clipped
        "ubinary"  uint8 (n, ceil(dim / 8)): one bit for each number, 1 where it is above 0, the first number's bit the
                   highest of its byte
    ranges: (2, dim) from `value_ranges`; without, those of `vectors`. Keep them: vectors of one collection need one
    set. Raises ValueError for an unknown precision, ranges of another shape, and NaN; TypeError for vectors that are
    not floats.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; expected one of {PRECISIONS}")
    if isinstance(vectors, Tensor):
        return torch.from_numpy(quantize(array_of(vectors, "vectors"), precision, ranges)).to(vectors.device)
    vectors = array_of(vectors, "vectors")
    if vectors.dtype.kind != "f":
        raise TypeError(f"vectors are {vectors.dtype}; expected floats: were they quantized before?")
    if not vectors.ndim or not vectors.shape[-1]:
        raise ValueError(f"vectors have the shape {vectors.shape}; expected (n, dim), with a dim of at least 1")
    dim, bits = vectors.shape[-1], precision == "ubinary"
    width, dtype = (-(-dim // 8), np.uint8) if bits else (dim, np.int8)
    codes = np.empty((*vectors.shape[:-1], width), dtype)
    if not bits and vectors.size:
        ranges = _checked_ranges(value_ranges(vectors) if ranges is None else ranges, dim)
    for part in [slice(i, i + ROWS) for i in range(0, len(vectors), ROWS)] if vectors.ndim > 1 else [slice(None)]:
        some = vectors[part]  # (rows, dim)
        if np.isnan(some).any():
            row = f", row {part.start + np.isnan(some).any(-1).argmax()} first" if vectors.ndim == 2 else ""
            raise ValueError(f"there are NaN among the vectors, for which there is no code{row}")
        if bits:
            codes[part] = np.packbits(some > 0, axis=-1)
        else:
            codes[part] = np.clip(np.floor((some - ranges[0]) / _steps(ranges)), 0, 255) - 128
    return codes


def _checked_ranges(ranges, dim: int) -> np.ndarray:
    """The ranges, float32 (2, dim). ValueError for another shape, and for what are no lowest and highest values."""
    ranges = array_of(ranges, "ranges").astype(np.float32)
    if ranges.shape != (2, dim):
        raise ValueError(f"ranges has the shape {ranges.shape}; expected (2, {dim}), of these vectors' dimensions")
    if wrong := np.flatnonzero(~(np.isfinite(ranges).all(0) & (ranges[0] <= ranges[1]))).tolist():
        of = ranges[:, wrong[0]].tolist()
        raise ValueError(f"the range of dimension {wrong[0]} is {of}; expected its lowest and its highest value")
    return ranges


def _steps(ranges: np.ndarray) -> np.ndarray:
    """Width of a code in each dimension, (dim,); 1 where all values are equal."""
    steps = (ranges[1] - ranges[0]) / 255
    return np.where(steps == 0, 1, steps).astype(np.float32)


@torch.no_grad()
def rescored_top_k(
    queries: Vectors,
    codes: Vectors,
    vectors: Vectors,
    k: int,
    ranges: np.ndarray | None = None,
    rescore_multiplier: int = 4,
) -> tuple[Vectors, Vectors]:
    """Search in two stages: rescore_multiplier * k candidates by the codes, the k best of them by the `vectors`.

    queries: float (n, dim), not quantized. codes: (m, ...), "int8" or "ubinary" from `quantize`, told apart by their
    width. vectors: float (m, dim), what the codes were made of, compared by dot products: of length 1, for cosines.
    ranges: for int8 those of `quantize`. Returns scores and row numbers (n, min(k, m)) as `top_k` does. A true
    neighbour is missed only where it is no candidate.

    An int8 code stands for start + step * (code + 128) of its dimension. So the dot product with a query is a constant
    of the query plus the codes' dot product with query * step, which is made int8 too, each query by a scale of its
    own. Raises ValueError for shapes that do not belong together, missing ranges, and as `top_k` does.
    """
    if rescore_multiplier < 1:
        raise ValueError(f"rescore_multiplier is {rescore_multiplier}; expected at least 1")
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1")
    as_arrays = not isinstance(queries, Tensor)
    queries, vectors = tensor_of(queries, "queries").float(), tensor_of(vectors, "vectors")
    codes, dim, candidates = tensor_of(codes, "codes"), queries.shape[-1:].numel(), k * rescore_multiplier
    shapes = [tuple(x.shape) for x in (codes, vectors, queries)]
    if any(len(shape) != 2 for shape in shapes) or len(codes) != len(vectors) or vectors.shape[1] != dim:
        found = f"codes have the shape {shapes[0]}, vectors {shapes[1]} and queries {shapes[2]}"
        raise ValueError(f"{found}; expected (m, ...), (m, dim) and (n, dim)")
    check_finite(queries, of="queries")
    if codes.shape[-1] == -(-dim // 8):
        _, rows = top_k(quantize(queries, "ubinary"), codes, candidates, hamming_sim)  # (n, candidates)
    elif codes.shape[-1] == dim and codes.dtype == torch.int8:
        if ranges is None:
            raise ValueError("int8 codes need the ranges that they were made with")
        steps = torch.from_numpy(_steps(_checked_ranges(ranges, dim)))  # (dim,)
        weighted = queries * steps.to(queries.device)  # (n, dim)
        scale = 127 / weighted.abs().amax(1, keepdim=True).clamp_min(1e-30)  # (n, 1)
        _, rows = top_k((weighted * scale).round().to(torch.int8), codes, candidates, dot_score)
    else:
        raise ValueError(
            f"codes are {str(codes.dtype).removeprefix('torch.')} of the shape {tuple(codes.shape)}; "
            f"expected int8 of {dim} numbers, or bits in {-(-dim // 8)} bytes"
        )
    rows = rows.sort(dim=1).values  # lower rows first, which a stable sort keeps among equals
    parts = zip(queries.split(1024), rows.split(1024))
    scores = torch.cat([_scores_of_rows(q, r, vectors) for q, r in parts])  # (n, candidates)
    if len(bad := rows[~scores.isfinite()]):
        raise ValueError(f"some vectors hold NaN or infinite values, row {bad.min()} among them")
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    scores, rows = scores[:, :k], rows.gather(1, order)[:, :k]  # (n, k) each
    return (scores.numpy(), rows.numpy()) if as_arrays else (scores, rows)


def _scores_of_rows(queries: Tensor, rows: Tensor, vectors: Tensor) -> Tensor:
    """Dot products of query i with the vectors of rows[i]: (n, dim), (n, candidates) -> (n, candidates)."""
    found = vectors[rows.to(vectors.device)]  # (n, candidates, dim), read from disk if need be
    return torch.einsum("nd,ncd->nc", queries, found.to(queries.device).float())
