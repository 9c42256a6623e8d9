"""coverage.csv: each row of the source documents that a notebook treats has a cell with an assert or a figure."""

import csv
import re

import nbformat
import pytest
from check_notebooks import code_cells, has_assert, images, tags
from repository import ROOT

ROWS = {
    *(f"1.{i}" for i in range(1, 47)),
    *(f"2.{i}" for i in range(1, 27)),
    *(f"3.{i}" for i in range(1, 8)),
    *(f"BP{i}" for i in range(1, 6)),
    *(f"CP{i}" for i in range(1, 5)),
    *(f"AT{i}" for i in range(1, 5)),
    *(f"4.{i}" for i in range(1, 25)),
}


def read_coverage(file):
    with open(file, newline="", encoding="utf-8") as lines:
        return [(line["row"], line["notebook"], line["tag"]) for line in csv.DictReader(lines)]


def coverage_problems(coverage, notebooks):
    """Everything wrong with (row, notebook, tag) lines, given the notebooks by name."""
    found = [f"{row} is no row of the source documents" for row, _, _ in coverage if row not in ROWS]
    found += [f"{line} stands twice" for line in sorted(set(coverage)) if coverage.count(line) > 1]
    for row, name, tag in coverage:
        if name not in notebooks:
            found.append(f"{row}: there is no notebook {name}")
            continue
        cells = [cell for cell in code_cells(notebooks[name]) if tag in tags(cell)]
        if not cells:
            found.append(f"{row}: {name} has no code cell tagged {tag}")
        elif not any(has_assert(cell) or images(cell) for cell in cells):
            found.append(f"{row}: the cell of {name} tagged {tag} holds neither an assert nor a figure")
    listed = {(name, tag) for _, name, tag in coverage}
    for name, notebook in notebooks.items():
        used = {tag for cell in notebook.cells for tag in tags(cell) if tag.startswith("row-")}
        found += [f"{name}: the tag {tag} is not in coverage.csv" for tag in sorted(used) if (name, tag) not in listed]
    return found


def test_there_are_116_rows():
    assert len(ROWS) == 116


def test_coverage():
    notebooks = {file.stem: nbformat.read(file, as_version=4) for file in (ROOT / "notebooks").glob("*.ipynb")}
    assert coverage_problems(read_coverage(ROOT / "tests" / "coverage.csv"), notebooks) == []


FINE = [("1.1", "90_example", "row-1.1"), ("1.2", "90_example", "row-1.2"), ("1.3", "90_example", "row-1.3")]


@pytest.mark.parametrize(
    "lines, message",
    [
        (FINE, None),
        (FINE[:2], "the tag row-1.3 is not in coverage.csv"),
        (FINE + FINE[:1], "stands twice"),
        (FINE + [("1.47", "90_example", "row-1.1")], "1.47 is no row"),
        (FINE + [("1.4", "91_other", "row-1.4")], "there is no notebook 91_other"),
        (FINE + [("1.4", "90_example", "row-1.4")], "no code cell tagged row-1.4"),
        (FINE + [("1.4", "90_example", "parameters")], "neither an assert nor a figure"),
    ],
)
def test_defect_is_found(lines, message, built):
    found = coverage_problems(lines, {"90_example": nbformat.read(built, as_version=4)})
    assert (len(found) == 1 and message in found[0]) if message else found == []


def test_every_row_of_the_sources_is_in_the_table_of_texts():
    table = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    spans = re.findall(r"(\d\.|BP|CP|AT)(\d+) to (?:\d\.|BP|CP|AT)(\d+)", table)
    assert sum(int(last) - int(first) + 1 for _, first, last in spans) == len(ROWS) == 116
    assert {f"{kind}{i}" for kind, first, last in spans for i in range(int(first), int(last) + 1)} == ROWS
