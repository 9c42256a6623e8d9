"""What was measured so far: a recipe that is started again measures only what is missing."""

import json
from pathlib import Path

from course_lib.support.files import atomic_file


class Measured(dict):
    """{key, a tuple: what was found}, kept in a file with a line each: `measured.add(key, found)` writes it down.

    A line without an end was being written when the recipe was killed: it is taken out, and measured again.
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self.path = path
        whole, end, cut = path.read_text(encoding="utf-8").rpartition("\n")
        if cut:
            with atomic_file(path) as unfinished:
                unfinished.write_text(whole + end, encoding="utf-8")
        super().__init__((tuple(key), found) for key, found in map(json.loads, whole.splitlines()))

    def add(self, key: tuple, found):
        self[key] = found
        with open(self.path, "a", encoding="utf-8") as file:
            print(json.dumps([key, found]), file=file, flush=True)
