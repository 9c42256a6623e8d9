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

PRECISIONS = ("int8", "ubinary")
ROWS = 65_536  # taken together


def truncate(vectors: Vectors, dim: int) -> Vectors:
    """The first `dim` numbers of each vector, scaled to length 1: (n, more) -> (n, dim), zeros staying zeros.

    Worth doing with models that were trained for it (Matryoshka: Kusupati et al. 2022, arXiv 2205.13147). ValueError
    where the vectors have fewer numbers.
    """
    if not 1 <= dim <= vectors.shape[-1]:
        raise ValueError(f"dim is {dim}; expected 1 to {vectors.shape[-1]}, which the vectors have")
    first = vectors[..., :dim]
    if isinstance(first, Tensor):
        return torch.nn.functional.normalize(first, dim=-1)
    return first / np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-12)


def value_ranges(vectors: Vectors) -> np.ndarray:
    """The smallest and largest value of each dimension: (n, dim) -> (2, dim). Take a few thousand typical vectors."""
    if vectors.ndim != 2 or len(vectors) < 2:
        shape = tuple(vectors.shape)
        raise ValueError(f"expected at least 2 vectors, (vectors, dim), to take ranges from, got the shape {shape}")
    vectors = vectors.detach().cpu().numpy() if isinstance(vectors, Tensor) else vectors
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
        array = vectors.detach().cpu()
        array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()  # numpy has no bfloat16
        return torch.from_numpy(quantize(array, precision, ranges)).to(vectors.device)
    if vectors.dtype.kind != "f":
        raise TypeError(f"vectors are {vectors.dtype}; expected floats: were they quantized before?")
    dim, bits = vectors.shape[-1], precision == "ubinary"
    width, dtype = (-(-dim // 8), np.uint8) if bits else (dim, np.int8)
    codes = np.empty((*vectors.shape[:-1], width), dtype)
    if not bits and vectors.size:
        ranges = np.asarray(value_ranges(vectors) if ranges is None else ranges, dtype=np.float32)
        if ranges.shape != (2, dim):
            raise ValueError(f"ranges has the shape {ranges.shape}; expected (2, {dim}), of these vectors' dimensions")
    for part in [slice(i, i + ROWS) for i in range(0, len(vectors), ROWS)] if vectors.ndim > 1 else [slice(None)]:
        some = vectors[part]  # (rows, dim)
        if np.isnan(some).any():
            raise ValueError("there are NaN among the vectors, for which there is no code")
        if bits:
            codes[part] = np.packbits(some > 0, axis=-1)
        else:
            codes[part] = np.clip(np.floor((some - ranges[0]) / _steps(ranges)), 0, 255) - 128
    return codes


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
    dim = queries.shape[-1]
    if len(codes) != len(vectors) or vectors.shape[-1] != dim:
        shapes = f"codes have the shape {tuple(codes.shape)}, vectors {tuple(vectors.shape)}"
        raise ValueError(f"{shapes} and queries {tuple(queries.shape)}; expected (m, ...), (m, dim) and (n, dim)")
    as_arrays = isinstance(queries, np.ndarray)
    queries, candidates = (torch.from_numpy(queries) if as_arrays else queries).float(), k * rescore_multiplier
    if not queries.isfinite().all():
        raise ValueError("some queries hold NaN or infinite values")
    if codes.shape[-1] == -(-dim // 8):
        _, rows = top_k(quantize(queries, "ubinary"), codes, candidates, hamming_sim)  # (n, candidates)
    elif codes.shape[-1] == dim and codes.dtype in (np.int8, torch.int8):
        if ranges is None:
            raise ValueError("int8 codes need the ranges that they were made with")
        steps = torch.from_numpy(_steps(np.asarray(ranges, dtype=np.float32)))  # (dim,)
        weighted = queries * steps.to(queries.device)  # (n, dim)
        scale = 127 / weighted.abs().amax(1, keepdim=True).clamp_min(1e-30)  # (n, 1)
        _, rows = top_k((weighted * scale).round().to(torch.int8), codes, candidates, dot_score)
    else:
        raise ValueError(
            f"codes are {codes.dtype} of the shape {tuple(codes.shape)}; "
            f"expected int8 of {dim} numbers, or bits in {-(-dim // 8)} bytes"
        )
    rows = rows.sort(dim=1).values  # lower rows first, which a stable sort keeps among equals
    parts = zip(queries.split(1024), rows.split(1024))
    scores = torch.cat([_scores_of_rows(q, r, vectors) for q, r in parts])  # (n, candidates)
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    scores, rows = scores[:, :k], rows.gather(1, order)[:, :k]  # (n, k) each
    return (scores.numpy(), rows.numpy()) if as_arrays else (scores, rows)


def _scores_of_rows(queries: Tensor, rows: Tensor, vectors: Vectors) -> Tensor:
    """Dot products of query i with the vectors of rows[i]: (n, dim), (n, candidates) -> (n, candidates)."""
    if isinstance(vectors, np.ndarray):
        found = torch.from_numpy(vectors[rows.cpu().numpy()])  # (n, candidates, dim), read from disk if need be
    else:
        found = vectors[rows.to(vectors.device)]
    return torch.einsum("nd,ncd->nc", queries, found.to(queries.device).float())
