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
    folder = clear(path)
    folder.mkdir(parents=True)
    unfinished = folder / path.name
    try:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        clear(path)


def clear(path: Path) -> Path:
    """Remove what `atomic_file` has begun for this target, in this process or in one that was killed; its folder."""
    folder = path.with_name(path.name + ".unfinished")
    if folder.is_file():  # as older versions of this file left it
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return folder
