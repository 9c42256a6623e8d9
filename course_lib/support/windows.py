"""A stream of texts, read a window at a time, and the rows that their vectors are written to.

So more texts than memory holds can be encoded, from a generator into a memory map.
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

WINDOW = 16_384  # texts of a generator that are read, sorted and encoded together


class Windows:
    """Texts, and for each a row of `dim` numbers: in `out`, if the caller gives it, else in new arrays, float32.

    A sequence is one window; any other iterable is read 16,384 texts at a time. total: how many texts there are,
    or None where only the end will tell. Raises TypeError for what is not iterable, ValueError for an unfit `out`.
    """

    def __init__(self, texts: Iterable, dim: int, out: np.ndarray | None = None):
        if not isinstance(texts, Iterable):
            raise TypeError(f"sentences is {texts!r}; expected a string, or a list or generator of strings")
        self.texts, self.dim, self.out = texts, dim, out
        self.total = total = len(texts) if hasattr(texts, "__len__") else None
        if out is None:
            self.out = None if total is None else np.empty((total, dim), dtype=np.float32)
        elif out.ndim != 2 or out.shape[1] != dim or len(out) < (total or 0) or out.dtype.kind != "f":
            expected = f"({'texts' if total is None else total}, {dim})"
            raise ValueError(f"out is {out.dtype} {out.shape}; expected floats {expected}")
        self.done, self.pieces = 0, [np.empty((0, dim), dtype=np.float32)]

    def __iter__(self) -> Iterator[tuple[int, list, np.ndarray]]:
        """The position of a window's first text, its texts, and their rows, to be written to."""
        iterator = iter(self.texts)
        while window := list(iterator if self.total is not None else itertools.islice(iterator, WINDOW)):
            first, self.done = self.done, self.done + len(window)
            if self.out is None:
                self.pieces.append(np.empty((len(window), self.dim), dtype=np.float32))
            elif self.done > len(self.out):
                there = f"out has room for {len(self.out)} texts, and there are more"
                raise ValueError(f"{there}; {first} are written")
            yield first, window, self.pieces[-1] if self.out is None else self.out[first : self.done]

    def rows(self) -> np.ndarray:
        """The rows of all texts that were read, (texts, dim)."""
        return np.concatenate(self.pieces) if self.out is None else self.out[: self.done]
