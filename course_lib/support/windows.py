"""A stream of texts, read a window at a time, and the rows that their vectors are written to.

So more texts than memory holds can be encoded, from a generator into a memory map.
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from course_lib.support.text_inputs import checked_text

WINDOW = 16_384  # texts of a generator that are read, sorted and encoded together


class Windows:
    """Texts, and for each a row of `dim` numbers: in `out`, if the caller gives it, else in new arrays, float32.

    texts: of `text_inputs.text_source`; each window is checked when its turn comes.
    A sequence is one window; any other iterable is read 16,384 texts at a time. total: how many texts there are,
    or None where only the end will tell. Raises ValueError for an unfit `out`.
    """

    def __init__(self, texts: Iterable, dim: int, out: np.ndarray | None = None):
        self.texts, self.dim, self.out = texts, dim, out
        self.total = total = len(texts) if hasattr(texts, "__len__") else None
        if out is None:
            self.out = None if total is None else np.empty((total, dim), dtype=np.float32)
        elif not isinstance(out, np.ndarray) or not out.flags.writeable:
            given = "a read-only array" if isinstance(out, np.ndarray) else f"a {type(out).__name__}"
            raise TypeError(f"out is {given}; expected an array or a memory map that can be written to")
        elif out.ndim != 2 or out.shape[1] != dim or len(out) < (total or 0) or out.dtype.kind != "f":
            expected = f"({'texts' if total is None else total}, {dim})"
            raise ValueError(f"out is {out.dtype} {out.shape}; expected floats {expected}")
        self.done, self.pieces = 0, [np.empty((0, dim), dtype=np.float32)]

    def __iter__(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """A window's texts, and their rows, to be written to. TypeError naming the position of what is no text."""
        iterator = iter(self.texts)
        while window := list(iterator if self.total is not None else itertools.islice(iterator, WINDOW)):
            first, self.done = self.done, self.done + len(window)
            if self.out is None:
                self.pieces.append(np.empty((len(window), self.dim), dtype=np.float32))
            elif self.done > len(self.out):
                there = f"out has room for {len(self.out)} texts, and there are more"
                raise ValueError(f"{there}; {first} are written")
            texts = [checked_text(text, position) for position, text in enumerate(window, first)]
            yield texts, self.pieces[-1] if self.out is None else self.out[first : self.done]

    def rows(self) -> np.ndarray:
        """The rows of all texts that were read, (texts, dim)."""
        return np.concatenate(self.pieces) if self.out is None else self.out[: self.done]
