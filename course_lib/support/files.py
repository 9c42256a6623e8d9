"""A file that is never half written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Write a file beside the target; when all went well, it is flushed to the disk and takes the target's place.

        with atomic_file("results.csv") as unfinished:
            unfinished.write_text("model,value\\n")

    At every moment the target is the old file or the new one, whole. On an error nothing changes, and the room that
    the attempt took is free again. A process killed on the way leaves NAME.unfinished beside the target, which the next
    call overwrites. For one writer at a time. Folders that do not exist yet are made. A link stays: the file that it
    names is the target.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
