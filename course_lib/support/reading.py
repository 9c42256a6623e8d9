"""Files that cannot be read: which, and what to do about it, said alike whichever library did not understand them."""

import gzip
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

POINTER = b"version https://git-lfs.github.com/spec/"  # so begins what a clone without Git LFS has in place of a file
GZIP = b"\x1f\x8b"


@contextmanager
def reading(file: Path, what: str, advice: str = "copy or download it again"):
    """Any error of a library within becomes a ValueError that names the file, which "cannot be read as" `what`.

    FileNotFoundError stays what it is. To be put around calls of libraries alone.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except BaseException as error:
        if not is_error(error):
            raise
        if begins_with(file, POINTER):
            raise ValueError(pointer_only(file)) from error
        raise ValueError(f"{file} cannot be read as {what} ({str(error).strip()}); {advice}") from error


def of_kind(content: dict, kinds: Mapping[str, type], where) -> dict:
    """The content of a file, without the entries named in `kinds` that are null.

    Raises ValueError that says `where` one of them is of another kind than it must be. An int is a float too; NaN and
    infinities, which Python's JSON knows, are none.
    """
    kept = {name: value for name, value in content.items() if name not in kinds or value is not None}
    for name in kinds.keys() & kept.keys():
        value, kind = kept[name], kinds[name]
        fits = isinstance(value, (int, float) if kind is float else kind)
        unfit = isinstance(value, bool) and kind is not bool  # to Python an int
        if not fits or unfit or kind is float and isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} in {where} is {value!r}; expected {getattr(kind, '__name__', kind)}")
    return kept


def is_error(error: BaseException) -> bool:
    """Is it an error, rather than Ctrl-C? A panic of a library in Rust is one, though no Exception."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def begins_with(file: Path, content: bytes) -> bool:
    """Does the file begin so? False too where it cannot be opened."""
    try:
        with open(file, "rb") as opened:
            return opened.read(len(content)) == content
    except OSError:
        return False


def pointer_only(file: Path) -> str:
    """What is said of a pointer of Git LFS."""
    return f"{file} is a pointer of Git LFS, not the file itself; run `git lfs pull` there, or download the file"


def numbered_lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file, plain or packed with gzip whatever its name says, and their numbers, from 1.

    Raises ValueError, with the number of the last line before, where the file is no UTF-8, cut short or damaged.
    """
    if begins_with(file, POINTER):
        raise ValueError(pointer_only(file))
    number = 0
    try:
        with (gzip.open if begins_with(file, GZIP) else open)(file, "rt", encoding="utf-8-sig", newline="") as lines:
            for number, line in enumerate(lines, 1):  # -sig: skips a mark
                yield number, line
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text after line {number} ({error.reason}): save it as UTF-8") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{file} is damaged or cut short after line {number} ({error}): copy or download it again"
        ) from error
