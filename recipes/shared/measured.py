"""What was measured so far: a recipe that is started again measures only what is missing."""

import json
import os
from pathlib import Path

from course_lib.support.reading import numbered_lines, reading
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
        with reading(path, "measurements"):
            content = path.read_bytes()
        if not content.endswith(b"\n"):  # a process was killed while it wrote the last line
            os.truncate(path, content.rfind(b"\n") + 1)
        super().__init__()
        for number, line in numbered_lines(path):
            try:
                key, found = json.loads(line)
                self[tuple(key)] = found
            except (ValueError, TypeError, RecursionError) as error:
                raise ValueError(f"{path}, line {number}: not a measurement ({error}); take the line out") from error

    def add(self, key: tuple, found):
        self[key] = found
        with open(self.path, "a", encoding="utf-8") as file:
            print(json.dumps([key, found]), file=file, flush=True)
