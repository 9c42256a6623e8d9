"""A figure is also told in words: an alt text, and prose after it that reads it."""

import nbformat
import pytest
from check_notebooks import images, where


def figure_problems(notebook):
    """Figures that no prose reads: the first Markdown after one is the next cell or the next but one, no section."""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and images(cell):
            after = [other for other in notebook.cells[number + 1 : number + 3] if other.cell_type == "markdown"][:1]
            if not after:
                yield f"{where(cell)}: no prose follows the figure"
            elif after[0].source.startswith("#"):
                yield f"{where(cell)}: a new section follows the figure, not a sentence that reads it"
            elif len(after[0].source.split("\n\n")[0].split()) < 8:
                yield f"{where(cell)}: the prose after the figure has fewer than eight words"
            if any(not metadata.get("alt") for _, metadata in images(cell)):
                yield f"{where(cell)}: no alt text"


def test_figures_are_read(notebook):
    assert list(figure_problems(nbformat.read(notebook, as_version=4))) == []


@pytest.mark.parametrize(
    "after, message",
    [
        ("The line goes up, by one at each step.", None),
        ("## Next\n\nThe line goes up, by one at each step.", "a new section"),
        ("It goes up.", "fewer than eight words"),
        (None, "no prose"),
    ],
)
def test_defect_of_a_figure_is_found(after, message, built):
    notebook = nbformat.read(built, as_version=4)
    number = next(i for i, cell in enumerate(notebook.cells) if images(cell))
    cells = [] if after is None else [nbformat.v4.new_markdown_cell(after)]
    notebook.cells[number + 1 :] = cells
    found = list(figure_problems(notebook))
    assert (len(found) == 1 and message in found[0]) if message else found == []
