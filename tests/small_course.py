"""A course of a few small notebooks, with the course's Makefile and tools: what tests of `make run` run."""

import os
import shutil
import subprocess
import sys
import time

import nbformat
from build_notebooks import convert
from repository import ROOT


def small_course(folder, scripts):
    """A repository in `folder` with a notebook for each {name: script}, everything in it older than now."""
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("course_lib", "data", "notebooks"):
        (folder / name).mkdir()
    for name, text in scripts.items():
        (folder / "script.py").write_text(text, encoding="utf-8")
        nbformat.write(convert(folder / "script.py"), folder / "notebooks" / f"{name}.ipynb")
    for name in (
        "requirements.txt",
        "requirements-lock.txt",
        "requirements-lock-dev.txt",
        "pyproject.toml",
        "installed",
    ):
        (folder / name).touch()
    for file in folder.rglob("*"):
        set_age(file, 100)
    set_age(folder / "installed", 90)  # newer than the lock: make does not build an environment
    return folder


def set_age(file, seconds):
    os.utime(file, (time.time() - seconds,) * 2)


def command(*arguments):
    """make with the Python that runs the tests; no environment is built."""
    return ["make", f"PY={sys.executable}", "INSTALLED=installed", *arguments]


def variables(**more):
    """The environment of a make that no other make has started."""
    return {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"} | more


def make(course, *arguments, **environment):
    return subprocess.run(command(*arguments), cwd=course, capture_output=True, text=True, env=variables(**environment))


def ran(output):
    """Names of the notebooks that a run says it executes, sorted."""
    return sorted(line.split()[1] for line in output.splitlines() if line.startswith("run "))
