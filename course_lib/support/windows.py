"""A stream of texts, read a window at a time, and the rows that their vectors are written to.

So more texts than memory holds can be encoded, from a generator into a memory map.
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

WINDOW = 16_384  # texts of a generator that are read, sorted and encoded together


def windows(texts: Iterable) -> Iterator[list]:
    """A sequence is one window; of anything else WINDOW texts at a time are read."""
    if hasattr(texts, "__len__"):
        yield list(texts)
        return
    iterator = iter(texts)
    while window := list(itertools.islice(iterator, WINDOW)):
        yield window


class Rows:
    """Where vectors of `dim` numbers go, a window of texts at a time: into the caller's `out`, or into new arrays.

    total: the number of texts, or None where it is not known. Raises ValueError where `out` does not fit.
    """

    def __init__(self, dim: int, total: int | None, out: np.ndarray | None = None):
        if out is not None and (
            out.ndim != 2 or out.shape[1] != dim or len(out) < (total or 0) or out.dtype.kind != "f"
        ):
            expected = f"({'texts' if total is None else total}, {dim})"
            raise ValueError(f"out is {out.dtype} {out.shape}; expected floats {expected}")
        self.dim, self.done, self.pieces = dim, 0, [np.empty((0, dim), dtype=np.float32)]
        self.out = np.empty((total, dim), dtype=np.float32) if out is None and total is not None else out

    def take(self, count: int) -> np.ndarray:
        """The next rows to write to, (count, dim)."""
        self.done += count
        if self.out is None:
            self.pieces.append(np.empty((count, self.dim), dtype=np.float32))
            return self.pieces[-1]
        if self.done > len(self.out):
            there = f"out has room for {len(self.out)} texts, and there are more"
            raise ValueError(f"{there}; {self.done - count} are written")
        return self.out[self.done - count : self.done]

    def all(self) -> np.ndarray:
        """All rows that were taken, (texts, dim)."""
        return np.concatenate(self.pieces) if self.out is None else self.out[: self.done]
