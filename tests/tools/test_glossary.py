"""Every term of the glossary is linked at its first use in a notebook, and every term a notebook defines is in it."""

import functools
import re

import build_notebooks
import jupytext
import nbformat
import pytest
from glossary import DEFINED, LINK, Entry, linked, places, read, undefined
from repository import ROOT

ENTRIES = read()
SCRIPTS = sorted((ROOT / "notebooks" / "scripts").glob("*.py"))
FILE = """# Glossary

## bag of words

A text without order. Two sentences at most.

Notebook [90_example](../notebooks/90_example.ipynb).

## key
<!-- linked only where it is defined -->

What is compared.

Also: keys to find. Symbol $k$, shape `(n,)`. Notebook [91_other](../notebooks/91_other.ipynb).

## NLI (the task)

A task.

Notebook [90_example](../notebooks/90_example.ipynb).
"""


def markdown(script):
    return [cell.source for cell in jupytext.read(script, fmt="py:percent").cells if cell.cell_type == "markdown"]


def test_read(tmp_path):
    (tmp_path / "glossary.md").write_text(FILE)
    found = read(tmp_path / "glossary.md")
    assert found == [
        Entry("bag of words", ("bag of words",), "A text without order. Two sentences at most.", "90_example", False),
        Entry("key", ("key", "keys to find"), "What is compared.", "91_other", True),
        Entry("NLI (the task)", ("NLI (the task)",), "A task.", "90_example", False),
    ]
    assert [entry.anchor for entry in found] == ["bag-of-words", "key", "nli-the-task"]
    assert read(tmp_path / "none.md") == []


def test_entries():
    assert len(ENTRIES) > 50
    terms = [entry.term.lower() for entry in ENTRIES]
    assert terms == sorted(terms)
    assert len({entry.anchor for entry in ENTRIES}) == len(ENTRIES)
    forms = [form.lower() for entry in ENTRIES for form in entry.forms]
    assert sorted(set(forms)) == sorted(forms), "two entries have the same form"
    for entry in ENTRIES:
        assert 1 <= len(re.findall(r"[.?!](?= [A-Z]|$)", entry.text)) <= 2, f"{entry.term}: one or two sentences"
        assert "**" not in entry.text and "\n" not in entry.text


@functools.cache
def used(script):
    return [place[-1] for place in places(markdown(script), ENTRIES)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.anchor)
def test_the_notebook_named_by_an_entry_uses_it(entry):
    script = ROOT / "notebooks" / "scripts" / f"{entry.notebook}.py"
    assert script.exists(), f"{entry.term}: there is no notebook {entry.notebook!r}"
    assert entry in used(script), f"{entry.notebook} does not use {entry.term!r}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_links_of_a_notebook(script):
    assert undefined(markdown(script), ENTRIES) == [], (
        "set in *italics*, so defined, without an entry (emphasis is _so_)"
    )
    assert not LINK.search(script.read_text(encoding="utf-8")), "the build makes the links to the glossary"
    text = "\n\n".join(cell.source for cell in build_notebooks.convert(script).cells if cell.cell_type == "markdown")
    anchors = [anchor for _, anchor in re.findall(r"\[([^\]]*)\]\(\.\./docs/glossary\.md#([^)]*)\)", text)]
    assert len(set(anchors)) == len(anchors) > 5
    assert set(anchors) <= {entry.anchor for entry in ENTRIES}
    for shown, anchor in re.findall(r"\[([^\]]*)\]\(\.\./docs/glossary\.md#([^)]*)\)", text):
        entry = next(entry for entry in ENTRIES if entry.anchor == anchor)
        assert any(re.fullmatch(pattern, shown) for _, pattern in entry.patterns()), (shown, anchor)


A, B, C, K = (
    Entry("mean pooling", ("mean pooling", "masked mean"), "", "", False),
    Entry("pooling", ("pooling",), "", "", False),
    Entry("pooling mode", ("pooling mode",), "", "", False),
    Entry("key", ("key",), "", "", True),
)
CASES = {
    "first use only": (
        ["A pooling.", "Pooling again, and pooling."],
        ["A [pooling](../docs/glossary.md#pooling).", "Pooling again, and pooling."],
    ),
    "longer terms first": (
        ["Mean pooling is pooling."],
        ["[Mean pooling](../docs/glossary.md#mean-pooling) is [pooling](../docs/glossary.md#pooling)."],
    ),
    "inside a longer term": (["See mean pooling."], ["See [mean pooling](../docs/glossary.md#mean-pooling)."]),
    "with the same first word": (["A pooling mode."], ["A [pooling mode](../docs/glossary.md#pooling-mode)."]),
    "another form": (["masked means"], ["[masked means](../docs/glossary.md#mean-pooling)"]),
    "in italics": (["A *pooling* is."], ["A *[pooling](../docs/glossary.md#pooling)* is."]),
    "a common word": (
        ["The key is the *key*, or *keys*."],
        ["The key is the *[key](../docs/glossary.md#key)*, or *keys*."],
    ),
    "in a table": (
        ["| | |\n|---|---|\n| a | pooling |"],
        ["| | |\n|---|---|\n| a | [pooling](../docs/glossary.md#pooling) |"],
    ),
    "no prose": (
        [
            "# pooling\n\n`pooling` $pooling$ $$\npooling$$ [pooling](x.ipynb) ![pooling](x) <a title='pooling'>\n\n"
            "```\npooling\n```\n\n"
            "<details><summary>Answer</summary>pooling</details>\n\n## References\n\n- pooling"
        ],
        None,
    ),
    "part of a word": (["re-pooling, poolings-like, spoolings, Poolingx"], None),
    "capitals": (["POOLING"], None),
    "references end the cell only": (
        ["## References\n\npooling", "pooling"],
        ["## References\n\npooling", "[pooling](../docs/glossary.md#pooling)"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_linked(case):
    before, after = CASES[case]
    found = linked(before, [A, B, C, K])
    assert found == (before if after is None else after)
    assert linked(found, [A, B, C, K]) == found  # idempotent
    assert linked(found, []) == before  # and it can be taken back


def test_undefined():
    assert undefined(
        [
            "*pooling*, *Pooling* and *masked means*, but *masks*; **bold**, _emphasis_, 2 * 3 * 4, `*code*`",
            "## References\n\n*Title*",
        ],
        [A, B],
    ) == ["masks"]


def test_prose_is_taken_over_without_executing(tmp_path, capsys):
    (tmp_path / "notebooks" / "scripts").mkdir(parents=True)
    script, file = tmp_path / "notebooks" / "scripts" / "90_x.py", tmp_path / "notebooks" / "90_x.ipynb"
    text = '# %% [markdown]\n# Some prose.\n\n# %% tags=["a"]\ndef f():\n    """A word."""\n\nprint("once")\n'
    script.write_text(text)
    assert build_notebooks.main([], tmp_path) == 0
    stored = nbformat.read(file, as_version=4)
    stored.cells[1].outputs[0].text = "from the first run"
    nbformat.write(stored, file)

    script.write_text(text.replace("Some", "Other") + "\n# %% [markdown]\n# A token more.\n")
    assert build_notebooks.main([], tmp_path, prose=True) == 0
    now = nbformat.read(file, as_version=4)
    assert [cell.source for cell in now.cells][::2] == ["Other prose.", "A [token](../docs/glossary.md#token) more."]
    assert now.cells[1].outputs[0].text == "from the first run" and now.cells[1].execution_count == 1
    assert build_notebooks.in_step(script, file)

    layout = text.replace('("once")', '(\n    "once"\n)  # and no more').replace("A word", "A\n    word")
    script.write_text(layout)  # the same code
    assert build_notebooks.main([], tmp_path, prose=True) == 0
    now = nbformat.read(file, as_version=4).cells[1]
    assert now.source.count("\n") == 6 and now.outputs[0].text == "from the first run"
    assert build_notebooks.in_step(script, file)

    script.write_text(layout + "assert f() is None\nif True:\n    assert True\n")  # asserts print nothing
    assert build_notebooks.main([], tmp_path, prose=True) == 1  # but the `if` around them is new code
    script.write_text(layout + "assert f() is None\n")
    assert build_notebooks.main([], tmp_path, prose=True) == 0
    now = nbformat.read(file, as_version=4).cells[1]
    assert now.source.endswith("assert f() is None") and now.outputs[0].text == "from the first run"
    assert build_notebooks.in_step(script, file)

    before = file.read_bytes()
    # Code, tags or words of a docstring have changed: it has to be executed.
    for old, new in (("once", "twice"), ('"a"', '"b"'), ("A word", "Another word")):
        script.write_text(text.replace(old, new))
        assert build_notebooks.main([], tmp_path, prose=True) == 1 and file.read_bytes() == before
    assert "code has changed" in capsys.readouterr().out


def test_common_words_are_marked_as_in_the_file():
    assert DEFINED in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert {"key", "value", "query"} <= {entry.term for entry in ENTRIES if entry.common}
