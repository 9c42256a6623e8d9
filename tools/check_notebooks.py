"""What the tests check in every notebook's file, without running it: `problems(file)` lists what is wrong.

python tools/check_notebooks.py                    every notebook
python tools/check_notebooks.py 05_mean_pooling
"""

import ast
import re
import sys
from pathlib import Path

from build_notebooks import KEPT_CELL_METADATA, NOTEBOOK_METADATA
from cell_code import checks, parsed
from notebook_files import available, choose, read_notebook
from parameters import defaults
from repository import SETUP, colab_badge

CHAPTER = {
    "cells": (30, 50),
    "code cells": (12, 24),
    "words of markdown": (1000, 2700),
    "exercises": (2, 3),
    "questions": (3, 9),
}
SHORTER = {  # what is no chapter
    "00_start_here": {
        "cells": (12, 20),
        "code cells": (8, 12),
        "words of markdown": (500, 1000),
        "exercises": (1, 1),
        "questions": (0, 3),
    }
}
CODE_LINES, CODE_COLUMNS = 35, 120
BYTES = 500_000
ALT = 40
COMPARED = 5


def limits(name):
    """{what: (least, most)} of notebook `name`."""
    return SHORTER.get(name, CHAPTER)


def tags(cell):
    return cell.metadata.get("tags", [])


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def images(cell):
    """(mime type, metadata) of each image a cell shows."""
    return [
        (mime, output.get("metadata", {}).get(mime, {}))
        for output in cell.get("outputs", [])
        for mime in output.get("data", {})
        if mime.startswith("image/")
    ]


def has_assert(cell):
    return any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))


def headings(notebook):
    """(level, text) of every heading, in order; lines of code blocks are none."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"^(```|~~~).*?^\1", "", cell.source, flags=re.M | re.S)
            found += [(len(m[1]), m[2].strip()) for m in re.finditer(r"^(#{1,6}) +(.+)$", text, flags=re.M)]
    return found


def words(notebook):
    """Number of words of the markdown cells, without code blocks, HTML tags, link targets and table rules."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for pattern in (r"(?ms)^(```|~~~).*?^\1", r"<[^>]+>", r"\]\([^)]*\)"):
        text = re.sub(pattern, " ", text)
    return sum(any(character.isalnum() for character in word) for word in text.split())


def exercises(notebook):
    """Names of the exercises a notebook checks: the first argument of each call of `check`."""
    return [name for cell in code_cells(notebook) for name in checks(parsed(cell.source))]


def problems(file, name=None):
    """Everything wrong with a notebook's file, one line each."""
    file = Path(file)
    try:
        notebook = read_notebook(file, mark=False)
    except ValueError as error:
        return [str(error)]
    code = code_cells(notebook)
    broken = [cell for cell in code if not parses(cell.source)]
    if broken:
        return [f"a code cell is not plain Python: {cell.source.splitlines()[0]!r}" for cell in broken]
    return [
        *size_problems(notebook, code, limits(name or file.stem)),
        *text_problems(notebook, name or file.stem),
        *code_problems(notebook, code),
        *output_problems(notebook, code),
        *storage_problems(notebook, file),
    ]


def parses(source):
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def size_problems(notebook, code, limits):
    numbers = {"cells": len(notebook.cells), "code cells": len(code), "words of markdown": words(notebook)}
    for what, number in numbers.items():
        if not limits[what][0] <= number <= limits[what][1]:
            yield f"{number} {what}, not {limits[what][0]} to {limits[what][1]}"


def text_problems(notebook, name):
    if not notebook.cells or not notebook.cells[0].source.startswith(colab_badge(name)):
        yield f"the first cell does not begin with the Colab badge: {colab_badge(name)}"
    found = headings(notebook)
    if [level for level, _ in found].count(1) != 1 or found[0][0] != 1:
        yield f"one H1 is wanted, as the first heading; there are {[t for level, t in found if level == 1]}"
    for (above, _), (level, text) in zip(found, found[1:]):
        if level > above + 1:
            yield f"heading {text!r} jumps from level {above} to {level}"


def code_problems(notebook, code):
    for cell in code:
        if len(cell.source.splitlines()) > CODE_LINES:
            yield f"{where(cell)} has {len(cell.source.splitlines())} lines, more than {CODE_LINES}"
        for line in cell.source.splitlines():
            if len(line) > CODE_COLUMNS:
                yield f"{where(cell)} has a line of {len(line)} columns, more than {CODE_COLUMNS}: {line.strip()[:50]}"
    if not code or "setup" not in tags(code[0]) or code[0].source != SETUP:
        yield "the first code cell is not the set-up cell of tools/repository.py, tagged setup"
    cells = [cell for cell in code if "parameters" in tags(cell)]
    if len(cells) != 1:
        yield f"one cell tagged parameters is wanted; there are {len(cells)}"
    for node in (node for cell in cells for node in ast.parse(cell.source).body):
        if not (isinstance(node, ast.Assign) and is_literal(node.value)):
            yield f"the parameters cell holds more than assignments of literals: {ast.unparse(node)!r}"
    used = {
        node.id
        for cell in code
        if "parameters" not in tags(cell)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    for parameter in defaults(notebook):
        if parameter not in used:
            yield f"parameter {parameter!r} is never used"


def output_problems(notebook, code):
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        yield f"execution counts are not 1 to {len(code)}: {[cell.execution_count for cell in code]}"
    for cell in code:
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"{where(cell)} ends in an error: {output.ename}"
            if output.get("name") == "stderr":
                yield f"{where(cell)} writes to stderr: {output.text.splitlines()[0]!r}"
            if any("widget" in mime for mime in output.get("data", {})):
                yield f"{where(cell)} holds a widget"
        for _, metadata in images(cell):
            if len(metadata.get("alt", "").strip()) < ALT:
                yield f"{where(cell)} shows an image without an alt text of {ALT} characters"
        text = output_text(cell)
        if re.search(r"0x[0-9a-f]{6,}", text):
            yield f"{where(cell)} prints a memory address"
        if re.search(r"(/home/|/root/|/Users/|/tmp/|[A-Z]:\\)", text):
            yield f"{where(cell)} prints a path of this machine"
    compared = [cell for cell in code if "nbval-check-output" in tags(cell)]
    for cell in compared:
        if not output_text(cell).strip():
            yield f"{where(cell)} is tagged nbval-check-output but has no text to compare"
    if len(compared) < COMPARED:
        yield f"{len(compared)} cells are tagged nbval-check-output, fewer than {COMPARED}"


def storage_problems(notebook, file):
    if file.stat().st_size >= BYTES:
        yield f"{file.stat().st_size:,} bytes are not under {BYTES:,}"
    if "widgets" in notebook.metadata:
        yield "the notebook's metadata holds widget state"
    elif notebook.metadata != NOTEBOOK_METADATA:
        yield f"the notebook's metadata are not {NOTEBOOK_METADATA}"
    for cell in notebook.cells:
        extra = sorted(set(cell.metadata) - set(KEPT_CELL_METADATA))
        if extra:
            yield f"{where(cell)} has the metadata {', '.join(extra)}"


def is_literal(node):
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def output_text(cell):
    """What nbval compares: streams and plain text, without images."""
    return "\n".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def where(cell):
    first = (cell.source.strip().splitlines() or [""])[0]
    number = f"In [{cell.execution_count}]" if cell.cell_type == "code" else "markdown"
    return f"cell {number} ({first[:50]!r})"


if __name__ == "__main__":
    found = {name: problems(available()[name]) for name in choose(sys.argv[1:])}
    for name, lines in found.items():
        print(f"{name}: {'fine' if not lines else ''}", *lines, sep="\n    " if lines else "")
    sys.exit(any(found.values()))
