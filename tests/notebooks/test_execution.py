"""Every notebook runs to its end, and what its compared cells print is what is stored. nbval executes each once."""

import copy
import os
import subprocess
import sys

import example_notebook
import nbformat
from check_notebooks import tags
from nbval.plugin import IPyNbFile
from parameters import defaults
from repository import ROOT


def nbval(file, **environment):
    """(exit code, output) of nbval on one notebook, in a process of its own."""
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300", "-p", "no:cacheprovider"]
    alone = ["-c", os.devnull, "--rootdir", str(file.parent)]  # without the settings and fixtures of these tests
    command = [sys.executable, "-m", "pytest", "-q", *options, *alone, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    return done.returncode, done.stdout + done.stderr


def test_nbval(notebook):
    code, output = nbval(notebook)
    assert code == 0, output


def alter(outputs):
    """The same outputs, but for a word before the first text."""
    altered = copy.deepcopy(outputs)
    first = next(output for output in altered if output.get("text"))
    first["text"] = "altered " + first["text"]
    return altered


def test_nbval_would_see_an_altered_output(notebook, request, monkeypatch):
    """Of each cell that is tagged so, as it is stored, and of no other."""
    monkeypatch.setattr(request.config.option, "nbval_lax", True)
    cells = list(IPyNbFile.from_parent(request.session, path=notebook).collect())
    compared = [cell for cell in cells if cell.options["check"]]
    assert [cell.cell for cell in compared] == [c.cell for c in cells if "nbval-check-output" in tags(c.cell)] != []
    for cell in compared:
        stored = cell.cell.outputs
        assert cell.cell.execution_count and cell.compare_outputs(stored, stored)
        assert not cell.compare_outputs(alter(stored), stored), cell.cell.source


def test_nbval_compares(built, built_course, tmp_path):
    """Run on the example, it passes on what is stored, and fails on an altered output and on an error."""
    home = {"COURSE_HOME": str(built_course)}
    code, output = nbval(built, **home)
    assert code == 0, output
    notebook = nbformat.read(built, as_version=4)
    del notebook.cells[6:]
    compared = next(cell for cell in notebook.cells if "nbval-check-output" in tags(cell))
    compared.outputs = alter(compared.outputs)
    notebook.cells.append(nbformat.v4.new_code_cell("assert seed == 1", execution_count=5))
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    code, output = nbval(tmp_path / "broken.ipynb", **home)
    assert code == 1 and "2 failed" in output, output
    assert "altered [0, 1, 2]" in output and "AssertionError" in output, output


def papermill(file, folder, **environment):
    """Run a notebook in `folder` with another seed; returns the executed notebook."""
    target = folder / "executed.ipynb"
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-p", "seed", "7", str(file), str(target)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(target, as_version=4)


def test_papermill_with_other_parameters_from_another_folder(tmp_path):
    notebooks = (ROOT / "notebooks").glob("*.ipynb")
    smallest = min(notebooks, key=lambda file: file.stat().st_size)
    assert "seed" in defaults(nbformat.read(smallest, as_version=4))
    executed = papermill(smallest, tmp_path)
    assert executed.metadata.papermill.parameters == {"seed": 7}
    assert [path.name for path in tmp_path.iterdir()] == ["executed.ipynb"]


def test_papermill_passes_parameters_on(built, built_course, tmp_path):
    executed = papermill(built, tmp_path, COURSE_HOME=str(built_course))
    printed = next(cell for cell in executed.cells if cell.source.startswith("numbers ="))
    assert printed.outputs[0].text == "[7, 8, 9]\n"


def test_example_name():
    assert not (ROOT / "notebooks" / f"{example_notebook.NAME}.ipynb").exists()
