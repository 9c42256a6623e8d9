"""references.bib: well-formed, with the introduction's references corrected, complete for its notebook."""

import re

import nbformat
import pytest
from repository import ROOT

REFERENCES = ROOT / "references.bib"
FIELD = re.compile(r"^  (\w+) += \{(.*)\},$")


def read_entries():
    """[{kind, key, field: value...}] of a file with one field a line."""
    entries = []
    for line in REFERENCES.read_text(encoding="utf-8").splitlines():
        if head := re.match(r"@(\w+)\{([\w-]+),$", line):
            entries.append({"kind": head[1], "key": head[2]})
        elif field := FIELD.match(line):
            assert field[1] not in entries[-1], line
            entries[-1][field[1]] = field[2]
        else:
            assert line in ("", "}") or line.startswith("%"), f"not understood: {line!r}"
    return entries


ENTRIES = read_entries()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["key"])
def test_entries_are_complete(entry):
    assert {"author", "title", "year"} <= set(entry)
    assert re.fullmatch(r"(19|20)\d\d", entry["year"])
    assert all(value.count("{") == value.count("}") for value in entry.values())
    assert entry["kind"] == "misc" or entry.get("booktitle") or entry.get("journal") or entry.get("url")
    assert re.fullmatch(r"https://[\w./-]+", entry.get("url", "https://none"))


def test_keys_differ():
    assert len({entry["key"] for entry in ENTRIES}) == len(ENTRIES)


def test_the_seven_references_of_the_introduction():
    """With what the introduction leaves out: first authors' names, the sixth title's start, who made the library."""
    seven = {int(entry["number"]): entry for entry in ENTRIES if "number" in entry}
    wanted = {
        1: ("Rumelhart", "Learning Internal Representations by Error Propagation", "1986"),
        2: ("Hochreiter", "Long Short-Term Memory", "1997"),
        3: ("Bahdanau", "Neural Machine Translation by Jointly Learning to Align and Translate", "2015"),
        4: ("Vaswani", "Attention Is All You Need", "2017"),
        5: ("Devlin", "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", "2019"),
        6: ("Reimers", "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks", "2019"),
        7: ("{UKP Lab", "Sentence Transformers", "2019"),
    }
    assert sorted(seven) == sorted(wanted)
    for number, (author, title, year) in wanted.items():
        assert seven[number]["author"].startswith(author) and (seven[number]["title"], seven[number]["year"]) == (
            title,
            year,
        )
    assert "Hinton" in seven[1]["author"] and "Williams" in seven[1]["author"]


def test_references_of_notebook_08_are_in_the_file():
    notebook = nbformat.read(ROOT / "notebooks" / "08_the_library.ipynb", as_version=4)
    section = next(cell.source.split("## References")[1] for cell in notebook.cells if "## References" in cell.source)
    links = set(re.findall(r"\]\((https?://[^)]+)\)", section))
    assert len(links) >= 5 and links <= {entry.get("url") for entry in ENTRIES}
