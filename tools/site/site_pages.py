"""Which pages the site has, where each lies on it, and in which order they are read.

Notebooks, documents and model cards are found, not listed: a new one is a page of the next build.
"""

import re

from notebook_files import available, read_notebook, text_of
from repository import ROOT

HOME = "README.md"
# Each part of the course, and the number of its first notebook.
PARTS = {"Where it comes from": 0, "A sentence embedding": 5, "Training": 9, "Putting it to use": 13}
LOOK_UP = {
    "docs/glossary.md": "glossary",
    "docs/effects.md": "effects",
    "docs/library.md": "library",
    "benchmarks/README.md": "benchmarks",
    "data/README.md": "data",
    "tools/site/status.md": "status",  # made by site_status.py
}
TEACH = {
    "docs/teaching.md": "teaching",
    "docs/sources.md": "sources",
    "docs/roadmap.md": "roadmap",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changes",
}


def pages(root=ROOT):
    """{file of the repository: its page, without suffix}, in the order of the contents; the home page first."""
    found = {HOME: "index"}
    found |= {f"notebooks/{name}.ipynb": f"notebooks/{name}" for name in available(root)}
    found |= LOOK_UP
    found |= {f"data/models/{name}/README.md": f"models/{name}" for name in cards(root)}
    others = {f"docs/{file.name}": file.stem for file in sorted((root / "docs").glob("*.md"))}
    found |= {file: page for file, page in others.items() if file not in LOOK_UP and file not in TEACH}
    return found | TEACH


def cards(root=ROOT):
    """Names of the models that have a card."""
    return [file.parent.name for file in sorted((root / "data" / "models").glob("*/README.md"))]


def title_of(file):
    """The first heading of level 1 of a notebook or a Markdown file. Errors: ValueError without one."""
    if file.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in read_notebook(file).cells if cell.cell_type == "markdown")
    else:
        text = text_of(file)
    if not (heading := re.search(r"^# +(.+?) *$", text, flags=re.M)):
        raise ValueError(f"{file} has no line that begins with '# ': its page would have no title")
    return heading[1]


def contents(root=ROOT):
    """{caption: lines of its toctree}: notebooks by number and question, models by name, documents by their titles."""
    found = {}
    starts = [*PARTS.values(), 100]
    for caption, first, end in zip(PARTS, starts, starts[1:]):
        found[caption] = [
            f"{name[:2]} {title_of(file)} <notebooks/{name}>"
            for name, file in available(root).items()
            if first <= int(name[:2]) < end
        ]
    found["To look up"] = list(LOOK_UP.values())
    found["Models"] = [f"{name} <models/{name}>" for name in cards(root)]
    listed = {"index", *LOOK_UP.values()}
    found["Running, teaching, contributing"] = [
        page for page in pages(root).values() if page not in listed and "/" not in page
    ]
    return {caption: lines for caption, lines in found.items() if lines}


def toctrees(root=ROOT):
    """The contents as MyST writes them, hidden: they stand at the side of each page."""
    for caption, lines in contents(root).items():
        yield "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *lines, "```"])
