"""Every notebook runs to its end, and what its compared cells print is what is stored. Each is executed once, by nbval."""

import copy
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import example
import nbformat
import pytest
from check_notebooks import parameters, tags
from conftest import NOTEBOOKS
from repository import ROOT


def nbval(file, **environment):
    """(exit code, output) of nbval on one notebook, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-current-env",
        "--nbval-cell-timeout=300",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(file.parent),
        "-q",
        str(file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def runs(request):
    """nbval of each notebook that is tested, two at a time with one thread each: on two cores in little more than half the time."""
    chosen = [
        item.callspec.params["notebook"]
        for item in request.session.items
        if getattr(item, "originalname", "") == "test_nbval"
    ]
    with ThreadPoolExecutor(2) as pool:
        yield {notebook: pool.submit(nbval, notebook, OMP_NUM_THREADS="1") for notebook in chosen}


def test_nbval(notebook, runs):
    code, output = runs[notebook].result()
    assert code == 0, output


def alter(notebook):
    """Change the stored text of the first compared cell, and drop all cells below it. Returns the altered cell."""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and "nbval-check-output" in tags(cell):
            for output in cell.outputs:
                if output.get("text"):
                    output["text"] = "altered " + output["text"]
                    del notebook.cells[number + 1 :]
                    return cell
    raise AssertionError("no compared cell prints anything")


def test_nbval_sees_an_altered_output(notebook, tmp_path):
    """In each notebook of the course: as stored up to its first compared cell, but for that cell's output."""
    stored = nbformat.read(notebook, as_version=4)
    cell = alter(stored)
    nbformat.write(stored, tmp_path / notebook.name)
    code, output = nbval(tmp_path / notebook.name)
    assert code == 1 and "1 failed" in output and cell.source.splitlines()[0] in output, output


def test_nbval_compares(built, built_course, tmp_path):
    """The same with the example: nbval passes on what is stored, and fails on an altered output and on an error."""
    home = {"COURSE_HOME": str(built_course)}
    code, output = nbval(built, **home)
    assert code == 0, output
    stored = nbformat.read(built, as_version=4)
    altered = copy.deepcopy(stored)
    alter(altered)
    nbformat.write(altered, tmp_path / "altered.ipynb")
    code, output = nbval(tmp_path / "altered.ipynb", **home)
    assert code == 1 and "altered [0, 1, 2]" in output, output
    failing = copy.deepcopy(stored)
    del failing.cells[4:]
    failing.cells.append(nbformat.v4.new_code_cell("assert seed == 1", execution_count=3))
    nbformat.write(failing, tmp_path / "failing.ipynb")
    code, output = nbval(tmp_path / "failing.ipynb", **home)
    assert code == 1 and "AssertionError" in output, output


def papermill(file, folder, **environment):
    """Run a notebook in `folder` with another seed; returns the executed notebook."""
    target = folder / "executed.ipynb"
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-p", "seed", "7", str(file), str(target)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(target, as_version=4)


@pytest.mark.skipif(not NOTEBOOKS, reason="there are no notebooks yet")
def test_papermill_with_other_parameters_from_another_folder(tmp_path):
    shortest = min(NOTEBOOKS, key=lambda file: file.stat().st_size)
    assert "seed" in parameters(nbformat.read(shortest, as_version=4))
    executed = papermill(shortest, tmp_path)
    assert executed.metadata.papermill.parameters == {"seed": 7}
    assert [path.name for path in tmp_path.iterdir()] == ["executed.ipynb"]


def test_papermill_passes_parameters_on(built, built_course, tmp_path):
    executed = papermill(built, tmp_path, COURSE_HOME=str(built_course))
    printed = next(cell for cell in executed.cells if cell.source.startswith("numbers ="))
    assert printed.outputs[0].text == "[7, 8, 9]\n"


def test_example_name():
    assert not (ROOT / "notebooks" / f"{example.NAME}.ipynb").exists()
