"""Do the notebooks run in Google Colab? A rehearsal: Colab's versions, its working directory, the course not installed.

    python tools/colab.py                       every notebook
    python tools/colab.py 05_mean_pooling       some

Each notebook gets a kernel in an empty folder that stands for /content. There the set-up cell, run twice, fetches the
course by git, which is told to take the files as they lie here for the repository on GitHub; then every cell is run.
A cell that fails is an error, and so is a cell whose checked output is not the stored one, or a package that has
changed; the few that notebooks themselves install (repository.py) are removed first. The environment lies in
build/colab/venv, made on the first call. Not Colab's in it: torch, of which no CPU build of Colab's version is to be
had (here the locked one); Python (here the one that runs this); packages that Colab ships in versions not listed below
(here what pip takes). The clone comes from the disk, so its seconds are not Colab's.
"""

import argparse
import copy
import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import nbformat
from build_notebooks import clean
from check_notebooks import code_cells, output_text, tags
from environments import TORCH, environment
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from notebook_files import available, choose, read_notebook
from repository import BRANCH, NOT_IN_COLAB, REPOSITORY, ROOT

COLAB_PYTHON = "3.13"
COLAB = {  # what Colab ships, August 2026
    "torch": "2.11",
    "transformers": "5.15",
    "sentence-transformers": "5.7",
    "numpy": "2.1",
    "scikit-learn": "1.6",
    "matplotlib": "3.10",
    "ipython": "7.34",
    "ipykernel": "6.17",
}
ALSO_IN_COLAB = {
    "accelerate",
    "datasets",
    "huggingface_hub",
    "ipython",
    "pandas",
    "pillow",
    "psutil",
    "pyarrow",
    "safetensors",
    "scipy",
    "seaborn",
    "tokenizers",
    "tqdm",
}
PACKAGES = [
    TORCH,
    "accelerate",
    "datasets",
    "seaborn==0.13.*",
    *(f"{name}=={version}.*" for name, version in COLAB.items() if name != "torch"),
]

KERNEL = "import google.colab\nfrom ipykernel.kernelapp import launch_new_instance\n\nlaunch_new_instance()\n"
BEFORE = """
import importlib.metadata, importlib.util, os, sys
assert "google.colab" in sys.modules and os.listdir() == [] and importlib.util.find_spec("course_lib") is None
installed = {(d.name, d.version) for d in importlib.metadata.distributions()}"""
AFTER = """
import course_lib
assert course_lib.__file__.startswith(os.path.join(os.getcwd(), "course")), course_lib.__file__
assert installed == {(d.name, d.version) for d in importlib.metadata.distributions()}"""


def publish(folder: Path) -> dict[str, str]:
    """A git repository in `folder` of the course's files as they lie here, and the environment in which git takes it
    for the one on GitHub."""
    git = ["git", "-c", "user.name=colab.py", "-c", "user.email=colab@localhost", "-c", "core.compression=0"]
    subprocess.run([*git, "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", folder], check=True)
    git += [f"--git-dir={folder}", f"--work-tree={ROOT}"]
    subprocess.run([*git, "add", "--all"], cwd=ROOT, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=As it lies here"], cwd=ROOT, check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
    return kept | {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{folder.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://github.com/{REPOSITORY}",
    }


def in_folder(source: str, content: Path) -> str:
    """The set-up cell with `content` in place of /content."""
    if source.count('"/content/') != 2:
        raise ValueError(f"the set-up cell names /content {source.count('/content')} times; expected two folders in it")
    return source.replace('"/content/', f'"{content.as_posix()}/')


def kernel(python: Path, folder: Path) -> AsyncKernelManager:
    """A kernel of that Python in which google.colab has been imported, as in Colab; `folder` takes what it needs."""
    (folder / "google" / "colab").mkdir(parents=True)
    (folder / "google" / "colab" / "__init__.py").touch()
    (folder / "start.py").write_text(KERNEL, encoding="utf-8")
    (folder / "kernels" / "colab").mkdir(parents=True)
    spec = {
        "argv": [str(python), str(folder / "start.py"), "-f", "{connection_file}"],
        "display_name": "Colab",
        "language": "python",
        "env": {"IPYTHONDIR": str(folder / "ipython"), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
    }
    (folder / "kernels" / "colab" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return AsyncKernelManager(
        kernel_name="colab", kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(folder / "kernels")])
    )


def run(file: Path, python: Path, folder: Path, variables: dict[str, str]) -> tuple[nbformat.NotebookNode, list[str]]:
    """Run a notebook as in Colab, in a fresh `folder`. Returns what was executed, and a line for each thing wrong."""
    content = folder / "content"
    shutil.rmtree(folder, ignore_errors=True)
    content.mkdir(parents=True)
    notebook = read_notebook(file)
    stored = [output_text(cell) for cell in code_cells(notebook)]
    at = next(i for i, cell in enumerate(notebook.cells) if "setup" in tags(cell))
    setup = notebook.cells[at].source = in_folder(notebook.cells[at].source, content)
    extra = [nbformat.v4.new_code_cell(source) for source in (BEFORE, setup, AFTER)]
    cells, notebook.cells = (
        notebook.cells,
        [*notebook.cells[:at], extra[0], notebook.cells[at], *extra[1:], *notebook.cells[at + 1 :]],
    )
    client = NotebookClient(
        notebook, timeout=600, km=kernel(python, folder), resources={"metadata": {"path": str(content)}}
    )
    try:
        client.execute(env=variables, cleanup_kc=True)
    except CellExecutionError as error:
        return notebook, [f"{error.ename}: {error.evalue}"]
    finally:
        notebook.cells = cells
    printed = [output_text(cell) for cell in code_cells(clean(copy.deepcopy(notebook)))]
    return notebook, [
        f"In [{number}] prints otherwise than stored: {cell.source.splitlines()[0]}"
        for number, (cell, new, old) in enumerate(zip(code_cells(notebook), printed, stored), 1)
        if "nbval-check-output" in tags(cell) and new != old
    ]


def seconds(cells) -> float:
    """Seconds in which the kernel was busy with these cells."""
    times = [cell.metadata["execution"] for cell in cells if "execution" in cell.metadata]
    return sum(
        (
            datetime.fromisoformat(t["iopub.status.idle"]) - datetime.fromisoformat(t["iopub.status.busy"])
        ).total_seconds()
        for t in times
        if "iopub.status.idle" in t
    )


def freeze(python: Path) -> str:
    return subprocess.run([python, "-m", "pip", "freeze", "--all"], check=True, capture_output=True, text=True).stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names of notebooks, such as 05_mean_pooling")
    names = choose(parser.parse_args().names)
    work = ROOT / "build" / "colab"
    python = environment(work / "venv", PACKAGES)
    subprocess.run(
        [python, "-m", "pip", "uninstall", "--quiet", "--yes", *NOT_IN_COLAB], check=True
    )  # what an earlier rehearsal installed
    before = freeze(python)
    versions = dict(line.split("==") for line in before.splitlines() if "==" in line)
    print("here:  python", platform.python_version(), *(f"{name} {versions[name]}" for name in COLAB))
    print("Colab: python", COLAB_PYTHON, *(f"{name} {version}" for name, version in COLAB.items()), flush=True)
    shutil.rmtree(work / "course.git", ignore_errors=True)
    variables = publish(work / "course.git")
    variables.pop("PYTHONPATH", None)
    failed = []
    for name in names:
        notebook, wrong = run(available()[name], python, work / name, variables)
        nbformat.write(notebook, work / f"{name}.ipynb")
        setup = [cell for cell in notebook.cells if "setup" in tags(cell)]
        taken = f"{seconds(code_cells(notebook)):.1f} s, set-up {seconds(setup):.1f} s"
        print(f"{'FAIL' if wrong else 'pass'}    {name}  {taken}", *wrong, sep="\n        ", flush=True)
        failed += [name] if wrong else []
        shutil.rmtree(work / name, ignore_errors=True)
    same = set(before.splitlines()) <= set(freeze(python).splitlines())  # what notebooks installed stands beside it
    print(f"{len(names) - len(failed)} of {len(names)} passed; installed packages {'unchanged' if same else 'CHANGED'}")
    return 0 if same and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
