"""Some files of a folder exchanged for others, all or none; whatever else lies in the folder is never touched.

The new files lie ready, whole, in a folder of their own inside of it. One rename of that folder decides: before it the
old files are there; after it the new ones are as good as there. Then the old ones move out and the new ones in, a
rename each. A process killed among these leaves the rest to `settle`, which every load and save calls first. Until the
last rename `config.json` is away, so that another program finds no model there, rather than half of each.

Left out on purpose: fsync. The order of renames survives a killed process, not a power cut.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

UNDER_WAY = ".exchange"  # in the folder: new/, old/, and old.json, the names of the files that go
HEADS = ("config.json", "modules.json")  # out first, in last


def exchange(folder: Path, work: Path, old: Callable[[Path], Iterable[str]]):
    """Move the files below `work`/new to their places in the folder, and those of its files that are old out of it.

    work: a folder in `folder`; it is gone afterwards. old: from the folder with the new files to the names of the old
    ones. On an OSError (a file is in use, say) all is as it was.
    """
    new = file_names(work / "new")
    under_way = folder / UNDER_WAY
    while work.exists():
        settle(folder)
        names = plan(work, old(work / "new"))
        try:
            os.rename(work, under_way)
        except OSError:
            if not under_way.exists():  # else another process was faster: its turn first
                raise
    if names != set(now := old(under_way / "new")):  # another process has come and gone between the look and the rename
        plan(under_way, now, "now.json")
        os.replace(under_way / "now.json", under_way / "old.json")
    try:
        finish(under_way)
    except OSError:
        if under_way.exists():  # else another process has finished it
            for name in new:
                if not (under_way / "new" / name).exists():
                    move(folder / name, under_way / "new" / name)
            for name in file_names(under_way / "old"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                move(under_way / "old" / name, folder / name)
            os.rename(under_way, work)
            raise


def plan(work: Path, old: Iterable[str], file: str = "old.json") -> set[str]:
    """Write down which files go, and make room for them; their names."""
    for name in old:
        (work / "old" / name).parent.mkdir(parents=True, exist_ok=True)
    (work / file).write_text(json.dumps(sorted(old, key=turn)), encoding="utf-8")
    return set(old)


def finish(under_way: Path):
    """Move what is still to be moved. Several processes may do so at a time."""
    folder = under_way.parent
    old = json.loads((under_way / "old.json").read_text(encoding="utf-8"))
    for name in old:
        if not os.path.lexists(under_way / "old" / name):  # else what has its name now is new
            move(folder / name, under_way / "old" / name)
    for place in {(folder / name).parent for name in old} - {folder}:
        with suppress(OSError):  # it holds something else
            place.rmdir()
    for place in sorted(path for path in (under_way / "new").rglob("*") if path.is_dir()):
        (folder / place.relative_to(under_way / "new")).mkdir(exist_ok=True)
    for name in sorted(file_names(under_way / "new"), key=turn, reverse=True):
        move(under_way / "new" / name, folder / name)
    done = Path(tempfile.mkdtemp(prefix=prefix(folder), dir=folder))
    with suppress(FileNotFoundError):
        os.rename(under_way, done / "old")
    shutil.rmtree(done, ignore_errors=True)


def settle(folder: Path, seconds: float = 1.0):
    """Finish the exchange that a killed process left. seconds: to wait before, as such a process may be alive.

    Raises FileNotFoundError where that cannot be done, in a folder that is read-only, say.
    """
    under_way = folder.resolve() / UNDER_WAY
    for _ in range(50):
        if not under_way.exists():
            return
        time.sleep(seconds / 50)
    try:
        finish(under_way)
    except (OSError, ValueError) as error:
        if under_way.exists():
            raise FileNotFoundError(
                f"{folder}: a process that saved a model here was killed. The new model lies whole in "
                f"{under_way / 'new'}, and cannot be put in its place ({error}); move its files there yourself"
            ) from error


def move(old: Path, new: Path):
    """Rename a file, over one that is there; nothing where another process has done it."""
    try:
        os.replace(old, new)
    except FileNotFoundError:
        if os.path.lexists(old):
            raise


def turn(name: str) -> tuple[int, int]:
    """When a file moves out; it moves in the other way round."""
    *places, name = name.split("/")
    return HEADS.index(name) if name in HEADS else len(HEADS), len(places)


def file_names(folder: Path) -> list[str]:
    """All files and links below a folder, as "1_Pooling/config.json"."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def prefix(folder: Path) -> str:
    """How the names of work folders begin, which are thrown away."""
    return f".{folder.name}.unfinished-"
