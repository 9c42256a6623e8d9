"""What was measured so far: a recipe that is started again measures only what is missing."""

import json
import os
from pathlib import Path

from recipes.shared.made import made


class Measured(dict):
    """{key, a tuple: what was found}, kept in a file with a line each: `measured.add(key, found)` writes it down.

    of: a fingerprint of what it is measured on, where the keys do not say it (made.py). A line without an end was being
    written when the recipe was killed: it is taken out, and measured again.
    """

    def __init__(self, path: Path, of: str = ""):
        if of:
            made(path, of)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self.path = path
        lines = path.read_bytes().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):  # a process was killed while it wrote it
            os.truncate(path, path.stat().st_size - len(lines.pop()))
        super().__init__((tuple(key), found) for key, found in map(json.loads, lines))

    def add(self, key: tuple, found):
        self[key] = found
        with open(self.path, "a", encoding="utf-8") as file:
            print(json.dumps([key, found]), file=file, flush=True)
