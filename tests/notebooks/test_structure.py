"""Every notebook has the course's anatomy; the checker finds each defect of a broken one."""

import shutil

import example_notebook
import nbformat
import pytest
from check_notebooks import problems


def test_notebook_has_the_anatomy(notebook):
    assert problems(notebook) == []


def test_example_is_fine(built):
    assert problems(built) == []


def cell_with(notebook, text):
    return next(cell for cell in notebook.cells if text in cell.source)


def replace(notebook, old, new):
    cell = cell_with(notebook, old)
    cell.source = cell.source.replace(old, new)


def set_output(notebook, source, **output):
    cell_with(notebook, source).outputs = [nbformat.from_dict(output)]


def add_cells(notebook, number):
    notebook.cells += [nbformat.v4.new_markdown_cell("More.") for _ in range(number)]


PRINT, PLOT, ASSERT = "print(numbers)", "plt.plot", "assert numbers"
STREAM = {"output_type": "stream", "name": "stdout"}

DEFECTS = {
    "badge": (lambda nb: replace(nb, "colab.research", "example"), "does not begin with the Colab badge"),
    "badge of another notebook": (lambda nb: replace(nb, "90_example.ipynb", "05_x.ipynb"), "Colab badge"),
    "two H1": (lambda nb: replace(nb, "## A question", "# A question"), "one H1 is wanted"),
    "no H1": (lambda nb: replace(nb, "# An example", "An example"), "one H1 is wanted"),
    "jump": (lambda nb: replace(nb, "## A question", "### A question"), "jumps from level 1 to 3"),
    "words": (lambda nb: [replace(nb, example_notebook.WORDS.strip(), "") for _ in range(13)], "words of markdown"),
    "too many words": (
        lambda nb: replace(nb, "## A question", "## A question\n\n" + "word " * 2000),
        "words of markdown",
    ),
    "many cells": (lambda nb: add_cells(nb, 20), "cells, not 30 to 50"),
    "few code cells": (
        lambda nb: [nb.cells.remove(cell_with(nb, "print('step'")) for _ in range(6)],
        "code cells, not 12",
    ),
    "long cell": (lambda nb: replace(nb, ASSERT, "\n" * 35 + ASSERT), "lines, more than 35"),
    "long line": (lambda nb: replace(nb, ASSERT, ASSERT + "  #" + 120 * "-"), "columns, more than 120"),
    "no set-up": (lambda nb: replace(nb, "find_spec", "find"), "not the set-up cell"),
    "no parameters": (lambda nb: cell_with(nb, "seed = 0").metadata.update(tags=[]), "one cell tagged parameters"),
    "unused parameter": (
        lambda nb: replace(nb, "seed = 0", "seed = 0\nunused = 1"),
        "parameter 'unused' is never used",
    ),
    "computed parameter": (lambda nb: replace(nb, "seed = 0", "seed = int(0)"), "more than assignments of literals"),
    "magic": (lambda nb: replace(nb, ASSERT, "%matplotlib inline"), "not plain Python"),
    "no execution count": (
        lambda nb: cell_with(nb, PRINT).update(execution_count=None),
        "execution counts are not 1 to",
    ),
    "order": (lambda nb: cell_with(nb, PRINT).update(execution_count=9), "execution counts are not 1 to"),
    "error": (
        lambda nb: set_output(nb, ASSERT, output_type="error", ename="KeyError", evalue="", traceback=[]),
        "ends in an error",
    ),
    "stderr": (
        lambda nb: set_output(nb, ASSERT, output_type="stream", name="stderr", text="warning"),
        "writes to stderr",
    ),
    "widget": (
        lambda nb: set_output(
            nb, ASSERT, output_type="display_data", metadata={}, data={"application/vnd.jupyter.widget-view+json": {}}
        ),
        "holds a widget",
    ),
    "widget state": (lambda nb: nb.metadata.update(widgets={}), "widget state"),
    "metadata": (lambda nb: nb.metadata.update(papermill={}), "the notebook's metadata are not"),
    "cell metadata": (lambda nb: cell_with(nb, ASSERT).metadata.update(execution={}), "has the metadata execution"),
    "no alt": (lambda nb: cell_with(nb, PLOT).outputs[0].metadata.clear(), "without an alt text"),
    "short alt": (
        lambda nb: cell_with(nb, PLOT).outputs[0].metadata["image/png"].update(alt="A plot"),
        "without an alt text",
    ),
    "address": (
        lambda nb: set_output(nb, PRINT, **STREAM, text="<object at 0x7f1234567890>"),
        "prints a memory address",
    ),
    "path": (lambda nb: set_output(nb, PRINT, **STREAM, text="/home/me/course"), "prints a path"),
    "compared cells": (
        lambda nb: [c.metadata.update(tags=[]) for c in nb.cells if c.source.startswith("step")],
        "1 cells are tagged nbval-check-output",
    ),
    "nothing to compare": (lambda nb: cell_with(nb, PRINT).update(outputs=[]), "has no text to compare"),
    "size": (lambda nb: set_output(nb, PRINT, **STREAM, text="x" * 500_000), "are not under 500,000"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_found(defect, built, tmp_path):
    breaks, message = DEFECTS[defect]
    notebook = nbformat.read(built, as_version=4)
    breaks(notebook)
    nbformat.write(notebook, tmp_path / built.name)
    found = problems(tmp_path / built.name)
    assert any(message in line for line in found), found


@pytest.mark.parametrize(
    "damage, message",
    [(lambda b: b"\xef\xbb\xbf" + b, "byte-order mark"), (lambda b: b[:-9], "is no notebook: NotJSONError")],
)
def test_a_file_that_jupyter_cannot_open(damage, message, built, tmp_path):
    (tmp_path / built.name).write_bytes(damage(built.read_bytes()))
    (found,) = problems(tmp_path / built.name)
    assert message in found and built.name in found


def test_broken_and_whole_differ_in_nothing_else(built, tmp_path):
    """Reading and writing alone makes no defect: what the test above finds is what was broken."""
    nbformat.write(nbformat.read(built, as_version=4), tmp_path / built.name)
    assert problems(tmp_path / built.name) == []
    shutil.copy(built, tmp_path / "91_other.ipynb")
    assert len(problems(tmp_path / "91_other.ipynb")) == 1
