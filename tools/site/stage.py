"""The sources of the site: copies of the repository's documents and notebooks, with its links, alt texts and contents.

Notebooks keep their stored outputs; nothing is executed. Sphinx is not needed to make the copies, nor to test them.
"""

import re
import shutil

import glossary
import nbformat
import site_status
from notebook_files import read_notebook, text_of
from repository import ROOT
from site_links import moved
from site_pages import pages, toctrees

FRONT_MATTER = re.compile(r"\A---\n.*?^---\n", re.S | re.M)  # of model cards, for the model hub
FOLDED = {"setup", "install"}  # tags of cells that do something in Colab only
PROMPT = "The cell that fetches what Colab lacks"


def stage(folder, root=ROOT):
    """Write the sources of all pages into `folder`, which is emptied first; returns {file: page}."""
    shutil.rmtree(folder, ignore_errors=True)
    places, pictures = pages(root), set()
    entries = glossary.read(root / "docs" / "glossary.md")
    for source, page in places.items():
        target = folder / (page + source[source.rindex(".") :])
        target.parent.mkdir(parents=True, exist_ok=True)
        if page == "status":
            text, shown = site_status.page(root), set()
        elif source.endswith(".ipynb"):
            notebook, shown = notebook_of(source, places, entries, root)
            text = nbformat.writes(notebook)
        else:
            text, shown = moved(FRONT_MATTER.sub("", text_of(root / source)), source, places, root)
        if page == "index":
            text = "\n\n".join([text, *toctrees(root), ""])
        target.write_text(text, encoding="utf-8")
        pictures |= shown
    for picture in pictures:
        target = folder / "pictures" / picture
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / picture, target)
    return places


def notebook_of(source, places, entries, root=ROOT):
    """(the notebook for its page, pictures that its text shows)."""
    notebook, pictures = read_notebook(root / source), set()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source, shown = moved(cell.source, source, places, root)
            pictures |= shown
        if FOLDED & set(cell.metadata.get("tags", [])):
            cell.metadata.tags = [*cell.metadata.tags, "hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": PROMPT, "code_prompt_hide": PROMPT}
        if "alt" in cell.metadata:  # where MyST-NB looks for it
            cell.metadata["mystnb"] = {"image": {"alt": cell.metadata.alt}}
    name = source.removeprefix("notebooks/").removesuffix(".ipynb")
    if terms := [entry.term for entry in entries if entry.notebook == name]:
        index = (
            "```{index} " + ", ".join(f"!{term}" for term in terms) + "\n```"
        )  # ! is "main": the search puts it first
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(index, id="terms"))
    return notebook, pictures
