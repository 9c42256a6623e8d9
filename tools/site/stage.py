"""The sources of the site: copies of the repository's documents and notebooks, with its links, alt texts and contents.

Notebooks keep their stored outputs; nothing is executed. Sphinx is not needed to make the copies, nor to test them.
"""

import re
import shutil

import glossary
import nbformat
import site_status
from notebook_files import available, read_notebook, text_of
from repository import ROOT
from site_links import moved
from site_pages import pages, title_of, toctrees

FRONT_MATTER = re.compile(r"\A---\n.*?^---\n", re.S | re.M)  # of model cards, for the model hub
FOLDED = {"setup", "install"}  # tags of cells that do something in Colab only
PROMPT = "The cell that fetches what Colab lacks"
NAME = re.compile(r"(?<=\[)\d\d_\w+(?=\]\()")  # a link to a notebook by its file's name: its question says more


def stage(folder, root=ROOT):
    """Write the sources of all pages into `folder`, which is emptied first; returns {file: page}."""
    shutil.rmtree(folder, ignore_errors=True)
    places, pictures = pages(root), set()
    titles = {name: f"{name[:2]} {title_of(file)}" for name, file in available(root).items()}
    entries = glossary.read(root / "docs" / "glossary.md")

    def prose(text, source):
        text = NAME.sub(lambda match: titles.get(match[0], match[0]), text)
        text, shown = moved(text, source, places, root)
        pictures.update(shown)
        return text

    for source, page in places.items():
        target = folder / (page + source[source.rindex(".") :])
        target.parent.mkdir(parents=True, exist_ok=True)
        if page == "status":
            text = site_status.page(root)
        elif source.endswith(".ipynb"):
            notebook = read_notebook(root / source)
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = prose(cell.source, source)
            prepare(notebook, [entry.term for entry in entries if source == f"notebooks/{entry.notebook}.ipynb"])
            text = nbformat.writes(notebook)
        else:
            text = prose(FRONT_MATTER.sub("", text_of(root / source)), source)
        if page == "index":
            text = "\n\n".join([text, *toctrees(root), ""])
        target.write_text(text, encoding="utf-8")
    for picture in pictures:
        target = folder / "pictures" / picture
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / picture, target)
    return places


def prepare(notebook, terms):
    """Say in MyST-NB's words, in place: what is folded, what images show, and which terms the notebook introduces."""
    for cell in notebook.cells:
        if FOLDED & set(cell.metadata.get("tags", [])):
            cell.metadata.tags = [*cell.metadata.tags, "hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": PROMPT, "code_prompt_hide": PROMPT}
        if "alt" in cell.metadata:
            cell.metadata["mystnb"] = {"image": {"alt": cell.metadata.alt}}
    if terms:  # below the title; with ! for "main" the search puts this page first
        index = "```{index} " + ", ".join(f"!{term}" for term in terms) + "\n```"
        first = notebook.cells[0]
        first.source = re.sub(r"^# .*$", lambda match: f"{match[0]}\n\n{index}", first.source, count=1, flags=re.M)
