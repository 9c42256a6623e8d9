"""seconds.csv: how long each notebook ran on this machine, and on what, for the site's page `status`.

    make run && .venv/bin/python tools/site/site_seconds.py

Read are the results of `make run` with the notebooks' own parameters; what has no such result keeps its line.
"""

import csv
import hashlib
import io
import platform
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from machine import cores, cpu_name
from notebook_files import available, read_notebook, text_of
from repository import ROOT

FILE = "tools/site/seconds.csv"
FIELDS = ("notebook", "seconds", "date", "cores", "processor", "python", "torch", "code")


def read(root=ROOT):
    """{notebook: its line of seconds.csv}; nothing where nothing is recorded."""
    file = root / FILE
    return {row["notebook"]: row for row in csv.DictReader(io.StringIO(text_of(file)))} if file.exists() else {}


def code_of(file):
    """A fingerprint of a notebook's code: seconds are those of the code that ran."""
    cells = [cell.source for cell in read_notebook(file).cells if cell.cell_type == "code"]
    return hashlib.sha256("\n\n".join(cells).encode()).hexdigest()[:12]


def measured(root=ROOT):
    """{notebook: a new line}, of each that ran to its end with its own parameters."""
    found = {}
    for name in available(root):
        built = root / "build" / f"{name}.ipynb"
        run = read_notebook(built).metadata.get("papermill", {}) if built.exists() else {}
        if run.get("duration") and not run.get("parameters"):
            on = (run["start_time"][:10], cores(), cpu_name(), platform.python_version(), version("torch"))
            found[name] = dict(zip(FIELDS, (name, f"{run['duration']:.1f}", *on, code_of(built))))
    return found


if __name__ == "__main__":
    new = measured()
    lines = read() | new
    with open(ROOT / FILE, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines[name] for name in available() if name in lines)
    print(f"{FILE}: {len(new)} notebooks measured, {len(available().keys() & lines.keys())} recorded")
