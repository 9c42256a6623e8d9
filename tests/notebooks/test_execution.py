"""Every notebook runs to its end, and what its compared cells print is what is stored. nbval executes each once."""

import copy
import os
import subprocess
import sys

import example_notebook
import nbformat
import pytest
from check_notebooks import tags
from execute import NOT_STARTED
from nbval.plugin import IPyNbFile
from parameters import defaults
from repository import ROOT


def nbval(file):
    """(exit code, output) of nbval on one notebook, in a process of its own, without other plugins of pytest."""
    options = "-p nbval.plugin --nbval-lax --nbval-current-env --nbval-cell-timeout=300 -p no:cacheprovider".split()
    alone = ["-c", os.devnull, "--rootdir", str(file.parent)]  # without the settings and fixtures of these tests
    command = [sys.executable, "-m", "pytest", "-q", *options, *alone, str(file)]
    variables = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, env=variables)
        if NOT_STARTED not in done.stdout:
            break
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


@pytest.fixture
def beginning(built, tmp_path):
    """The example's cells up to its figure: the set-up, the parameters, one that is compared."""
    notebook = nbformat.read(built, as_version=4)
    del notebook.cells[6:]
    nbformat.write(notebook, tmp_path / "beginning.ipynb")
    return tmp_path / "beginning.ipynb"


def test_nbval_compares(beginning):
    """It passes on a cell that is as it was stored, and fails on an altered output and on an error."""
    notebook = nbformat.read(beginning, as_version=4)
    compared = next(cell for cell in notebook.cells if "nbval-check-output" in tags(cell))
    altered = nbformat.from_dict({**compared, "id": "altered", "outputs": alter(compared.outputs)})
    notebook.cells += [altered, nbformat.v4.new_code_cell("assert seed == 1", execution_count=5)]
    nbformat.write(notebook, beginning)
    code, output = nbval(beginning)
    assert code == 1 and "2 failed, 4 passed" in output, output
    assert "altered [0, 1, 2]" in output and "AssertionError" in output, output


def papermill(file, folder):
    """Run a notebook in `folder` with another seed; returns the executed notebook."""
    target = folder / "executed.ipynb"
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-p", "seed", "7", str(file), str(target)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(target, as_version=4)


def test_papermill_with_other_parameters_from_another_folder(tmp_path):
    """The notebook that takes least time."""
    file = ROOT / "notebooks" / "05_mean_pooling.ipynb"
    assert "seed" in defaults(nbformat.read(file, as_version=4))
    executed = papermill(file, tmp_path)
    assert executed.metadata.papermill.parameters == {"seed": 7}
    assert [path.name for path in tmp_path.iterdir()] == ["executed.ipynb"]


def test_papermill_passes_parameters_on(beginning, tmp_path):
    executed = papermill(beginning, tmp_path)
    printed = next(cell for cell in executed.cells if cell.source.startswith("numbers ="))
    assert printed.outputs[0].text == "[7, 8, 9]\n"


def test_example_name():
    assert not (ROOT / "notebooks" / f"{example_notebook.NAME}.ipynb").exists()
