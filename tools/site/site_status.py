"""The page `status`: what the repository says of each notebook, and which versions of packages it names."""

import ast
import re

from notebook_files import available, read_notebook, text_of
from repository import ROOT
from site_pages import title_of
from site_seconds import code_of, read

HEAD = """\
# Status

Gathered from the repository when this site was built. Nothing was run for it: the outputs on the notebooks' pages are
those that are stored in them.

## The notebooks

{times} *Compared* outputs are those that `make test` requires to come out as they are stored. *Rows* are statements of
the [texts from which the course began](sources.md) that the notebook checks.

| notebook | runs in | code cells | figures | compared outputs | exercises | rows |
|---|---|--:|--:|--:|--:|--:|
"""
VERSIONS = """
## Versions

The course is {version}. Its tests run on Python {pythons}, on {systems}. The lock says what `make` installs; the bound
is what the library asks for at least; Colab's versions are those with which `make colab` rehearses
(Python {colab_python}).

| package | bound | lock | Colab |
|---|---|---|---|
"""


def time_of(name, cells, recorded, root=ROOT):
    """How long a notebook runs: as it was recorded, or as its own table says, in words."""
    if row := recorded.get(name):
        changed = row["code"] != code_of(available(root)[name])
        return f"{float(row['seconds']):.0f} s" + (", then changed" if changed else "")
    said = re.search(r"^\| Time \|.*\bruns in (.+?) *\|$", cells[0].source, flags=re.M)
    return said[1] if said else ""


def times(recorded):
    """What the column of times is, in a sentence."""
    found = {(row["cores"], row["processor"], row["python"], row["torch"], row["date"]) for row in recorded.values()}
    runs = [
        f"`make run` on {cores} cores ({processor}), Python {python}, torch {torch}, on {date}"
        for cores, processor, python, torch, date in sorted(found)
    ]
    seconds = f"Seconds are those of {'; or of '.join(runs)}. " if runs else ""
    return f"{seconds}Times in words are those that the notebook says of itself."


def notebook_rows(root=ROOT):
    recorded = read(root)
    covered = [line.split(",")[1] for line in text_of(root / "tests" / "coverage.csv").splitlines()[1:]]
    for name, file in available(root).items():
        cells = read_notebook(file).cells
        code = [cell for cell in cells if cell.cell_type == "code"]
        tags = [cell.metadata.get("tags", []) for cell in code]
        figures = sum("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
        compared, exercises = (sum(tag in t for t in tags) for tag in ("nbval-check-output", "exercise"))
        link = f"[{name[:2]} {title_of(file)}](notebooks/{name}.ipynb)"
        time = time_of(name, cells, recorded, root)
        yield [link, time, len(code), figures, compared, exercises, covered.count(name)]


def constant(file, name):
    """The value of a constant at the top of a Python file, which is not run. Errors: LookupError without one."""
    for node in ast.parse(text_of(file)).body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == name for target in node.targets):
            return ast.literal_eval(node.value)
    raise LookupError(f"{file} sets no constant {name}")


def version_rows(root=ROOT):
    lock = dict(re.findall(r"^([\w.-]+)==([\w.]+) *$", text_of(root / "requirements-lock.txt"), flags=re.M))
    lock = {name.replace("_", "-").lower(): version for name, version in lock.items()}
    colab = constant(root / "tools" / "colab.py", "COLAB")
    for name, bound in re.findall(r"^([\w.-]+)>=([\w.]+)", text_of(root / "requirements.txt"), flags=re.M):
        yield [name, bound, lock.get(name.replace("_", "-").lower(), ""), colab.get(name, "")]


def matrix(root=ROOT):
    """(Pythons, systems) of the workflow that tests the course, as it lists them."""
    text = text_of(root / ".github" / "workflows" / "tests.yml")
    pythons, systems = (
        re.search(rf"^ +{key}: \[(.*)\]", text, flags=re.M)[1].replace('"', "") for key in ("python", "os")
    )
    return pythons, systems


def page(root=ROOT):
    """The page's Markdown, with links as they are on the site."""
    pythons, systems = matrix(root)
    lines = ["| " + " | ".join(map(str, row)) + " |\n" for row in notebook_rows(root)]
    said = VERSIONS.format(
        version=constant(root / "course_lib" / "__init__.py", "__version__"),
        colab_python=constant(root / "tools" / "colab.py", "COLAB_PYTHON"),
        pythons=pythons,
        systems=systems,
    )
    versions = ["| " + " | ".join(row) + " |\n" for row in version_rows(root)]
    return "".join([HEAD.format(times=times(read(root))), *lines, said, *versions])
