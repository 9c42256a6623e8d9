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

Seconds are those of {conditions}. *Compared* outputs are those that `make test` requires to come out as they are
stored. *Rows* are statements of the [texts from which the course began](sources.md) that the notebook checks.

| notebook | seconds | code cells | figures | compared outputs | exercises | rows |
|---|--:|--:|--:|--:|--:|--:|
"""
VERSIONS = """
## Versions

The course is {version}. Its tests run on Python {pythons}, on {systems}. The lock says what `make` installs; the bound
is what the library asks for at least; Colab's versions are those with which `make colab` rehearses
(Python {colab_python}).

| package | bound | lock | Colab |
|---|---|---|---|
"""


def seconds(recorded, root=ROOT):
    """{notebook: its recorded seconds}, with a word where the code is no longer what was timed."""
    return {
        name: f"{float(row['seconds']):.0f}"
        + ("" if row["code"] == code_of(available(root)[name]) else ", then changed")
        for name, row in recorded.items()
        if name in available(root)
    }


def conditions(recorded):
    """On what the seconds were measured, in words."""
    found = {(row["date"], row["cores"], row["processor"], row["python"], row["torch"]) for row in recorded.values()}
    words = [
        f"`make run` on {cores} cores ({processor}), Python {python}, torch {torch}, {date}"
        for date, cores, processor, python, torch in sorted(found)
    ]
    return "; or of ".join(words) or "`make run`, where they are recorded"


def notebook_rows(root=ROOT):
    times = seconds(read(root), root)
    covered = [line.split(",")[1] for line in text_of(root / "tests" / "coverage.csv").splitlines()[1:]]
    for name, file in available(root).items():
        cells = [cell for cell in read_notebook(file).cells if cell.cell_type == "code"]
        tags = [cell.metadata.get("tags", []) for cell in cells]
        figures = sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)
        numbers = [
            len(cells),
            figures,
            sum("nbval-check-output" in t for t in tags),
            sum("exercise" in t for t in tags),
        ]
        yield [
            f"[{name[:2]} {title_of(file)}](notebooks/{name}.ipynb)",
            times.get(name, "not recorded"),
            *numbers,
            covered.count(name),
        ]


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
    return "".join([HEAD.format(conditions=conditions(read(root))), *lines, said, *versions])
