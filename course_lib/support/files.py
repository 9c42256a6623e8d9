"""A file that is never half written."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Write a file of the target's name in a folder beside it; when all went well, it is flushed and takes its place.

        with atomic_file("results.csv") as unfinished:
            unfinished.write_text("model,value\\n")

    At every moment the target is the old file or the new one, whole. On an error nothing changes, and the room that
    the attempt took is free again. A process killed on the way leaves the folder NAME.unfinished, with whatever it or a
    library had begun there, which the next call clears. For one writer at a time. Folders that do not exist yet are
    made. A link stays: the file that it names is the target.
    """
    path = Path(os.path.realpath(path))
    folder = path.with_name(path.name + ".unfinished")
    folder.unlink(missing_ok=True) if folder.is_file() else shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    unfinished = folder / path.name
    try:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
