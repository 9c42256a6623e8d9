"""The quiz key has every folded answer of a notebook, with its own question."""

import subprocess
import sys

import nbformat
import pytest
import quiz_key
from check_notebooks import limits
from repository import ROOT

TEXT = """## Questions

**1.** First?

Still the first?

<details><summary>Answer</summary>One, <em>of course</em>.</details>

**2.** Second?

<details><summary>Answer</summary>
Two.
</details>"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "notebooks").mkdir()
    cells = [
        nbformat.v4.new_markdown_cell("# Title\n\n<details><summary>A hint</summary>No question.</details>"),
        nbformat.v4.new_markdown_cell(TEXT),
        nbformat.v4.new_code_cell("'<details>'"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "90_example.ipynb")
    return tmp_path


def test_questions_and_answers(root):
    assert quiz_key.main([], root=root) == (
        "## 90_example\n\n**1.** First?\n\nStill the first?\n\n> One, <em>of course</em>.\n\n**2.** Second?\n\n> Two."
    )
    assert (
        quiz_key.main(["90_example.ipynb"], answers=False, root=root)
        == "## 90_example\n\n**1.** First?\n\nStill the first?\n\n**2.** Second?"
    )
    with pytest.raises(SystemExit, match="unknown notebook: 91\nnotebooks: 90_example"):
        quiz_key.main(["91"], root=root)


def test_every_notebook_of_the_course_has_its_answers():
    done = subprocess.run([sys.executable, "tools/quiz_key.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        folded = file.read_text(encoding="utf-8").count("<summary>Answer</summary>")
        part = done.stdout.split(f"## {file.stem}\n")[1].split("\n## ")[0]
        assert part.count("\n> ") == folded >= limits(file.stem)["questions"][0], file.stem
        assert [line[:4] for line in part.splitlines() if line.startswith("**")] == [
            f"**{i}." for i in range(1, folded + 1)
        ]
