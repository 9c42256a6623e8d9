"""Dot products of queries with a block of vectors, from the fastest library at hand for their dtype.

float32 goes through oneDNN, torch's other matrix library (see linear.py): twice as fast as MKL on AMD processors.
bfloat16 and int8 use the instructions that processors have had for them since about 2020, and are two and three to four
times as fast as float32. `benchmarks/search.py` prints what they reach on yours.

Left out on purpose: a product with bfloat16 in and float32 out, which torch has on GPUs only.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor

from course_lib.support.devices import native_bfloat16
from course_lib.support.linear import linear

TOGETHER = 8  # rows that a matrix times a vector takes at a time, or a multiple of them


def dot_products(a: Tensor, b: Tensor) -> Tensor:
    """(n, dim), (m, dim) -> (n, m): int32 and exact for int8, float64 if one is, else float32."""
    if a.dtype == b.dtype == torch.int8 and a.device.type == "cpu" and exact_int8():
        return torch._int_mm(a, b.T)
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    a = a.to(dtype)
    if len(a) == 1 and len(b):
        return torch.cat([of_one(part, a[0]) for part in converted(b, dtype)])[None]  # as fast as memory is read
    b = b.to(dtype)
    if 0 < len(a) < 32 and dtype == torch.float32 and a.device.type == "cpu":
        return linear(b, a).T.contiguous()  # a few queries: oneDNN is faster with the many vectors first
    return linear(a, b)


def of_one(vectors: Tensor, query: Tensor) -> Tensor:
    """(m, dim), (dim,) -> (m,): equal vectors get equal products, wherever they stand.

    MKL takes several rows at a time, and adds up what is left over in another order, which differs in the last digit.
    So the rest gets rows of zeros beside it.
    """
    whole = len(vectors) // TOGETHER * TOGETHER
    if whole == len(vectors):
        return torch.mv(vectors, query)
    rest = vectors.new_zeros(TOGETHER, vectors.shape[1])
    rest[: len(vectors) - whole] = vectors[whole:]
    return torch.cat([torch.mv(vectors[:whole], query), torch.mv(rest, query)[: len(vectors) - whole]])


def has_coarse_products(a: Tensor, b: Tensor) -> bool:
    """Is `a @ b.T` fast, with sums in float32, and only its results rounded? bfloat16, where the CPU knows how."""
    return a.dtype == b.dtype == torch.bfloat16 and a.device.type == "cpu" and native_bfloat16(a.device)


def bits(packed: Tensor) -> Tensor:
    """Packed bits (n, bytes) of uint8 or int8 -> int8 (n, 8 * bytes) of 0 and 1."""
    unpacked = np.unpackbits(packed.cpu().view(torch.uint8).numpy(), axis=1)
    return torch.from_numpy(unpacked.view(np.int8)).to(packed.device)


def differing_bits(a: Tensor, b: Tensor) -> Tensor:
    """How many bits differ: packed uint8 or int8 on the CPU, (n, bytes), (m, bytes) -> int32 (n, m).

    In words of 64 bits where the bytes fill them, one of `a` at a time.
    """
    word = np.uint64 if a.shape[1] % 8 == 0 else np.uint8
    a, b = (np.ascontiguousarray(packed.numpy()).view(word) for packed in (a, b))  # (n, words), (m, words)
    counted = [np.einsum("mw->m", np.bitwise_count(one ^ b), dtype=np.int32) for one in a]  # (m,) each
    return torch.from_numpy(np.stack(counted)) if counted else torch.empty(0, len(b), dtype=torch.int32)


def lengths(vectors: Tensor) -> Tensor:
    """Euclidean, (n, dim) -> (n,): float64 for float64, else float32. Not finite for NaN and infinite values."""
    dtype = torch.promote_types(vectors.dtype, torch.float32)
    return torch.cat([torch.linalg.vector_norm(part, dim=1) for part in converted(vectors, dtype)])


def converted(vectors: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
    """`vectors` whole where they are of `dtype` or not on the CPU, else in parts of up to 1,024 rows.

    The parts are copies in one place, which stays in the cache: each is overwritten by the next.
    """
    if vectors.dtype == dtype or vectors.device.type != "cpu" or not len(vectors):
        yield vectors.to(dtype)
        return
    place = torch.empty(min(1024, len(vectors)), vectors.shape[1], dtype=dtype)
    for part in vectors.split(len(place)):
        yield place[: len(part)].copy_(part)


@cache
def exact_int8() -> bool:
    """Does this processor add up products of int8 without overflow? Those without the VNNI instructions may not."""
    a = torch.full((64, 256), -128, dtype=torch.int8)
    return bool((torch._int_mm(a, a.T) == 256 * 128 * 128).all())
