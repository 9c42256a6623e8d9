"""Environments beside .venv, with other versions of packages, for the checks that need them (compat.py, colab.py)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from repository import ROOT

TORCH = (
    "torch==2.13.0"  # the one of requirements-lock.txt, so that pip has it already; test_colab.py keeps them in step
)


def python_of(folder: Path) -> Path:
    """The Python of a virtual environment, on every system."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def environment(folder: Path, packages: list[str]) -> Path:
    """The Python of an environment that holds these packages: made on the first call, anew when the list changes."""
    python, complete = python_of(folder), folder / "complete"
    wanted = "\n".join(packages)
    if not complete.exists() or complete.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        print(f"making {folder.relative_to(ROOT)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True
        )
        complete.write_text(wanted, encoding="utf-8")
    return python
