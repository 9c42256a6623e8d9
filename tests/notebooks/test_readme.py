"""The README: each notebook by its question, with its Colab link; links that lead somewhere; code that is true."""

import contextlib
import io
import re

import check_notebooks
import nbformat
import pytest
from repository import REPOSITORY, ROOT, colab_url, pages_url

README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = sorted(file.stem for file in (ROOT / "notebooks").glob("*.ipynb"))
ROW = re.compile(r"^\| (\d\d) \| \[(.+)\]\(notebooks/(\w+)\.ipynb\) \| (\d+) \| \[Colab\]\((\S+)\) \|$", flags=re.M)
PARTS = {"Where it comes from": 0, "A sentence embedding": 5, "Training": 9, "Putting it to use": 13}


def test_table_of_notebooks():
    """Every notebook in order, in four parts: its number, the question that is its title, minutes, Colab."""
    found = ROW.findall(README)
    assert [(number, name, colab) for number, _, name, _, colab in found] == [
        (name[:2], name, colab_url(name)) for name in NAMES
    ]
    for _, title, name, minutes, _ in found:
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        time = re.search(r"^\| Time \| (an hour|\d+ minutes)", notebook.cells[0].source, flags=re.M)[1]
        assert (title, minutes) == (check_notebooks.headings(notebook)[0][1], re.sub(r"\D", "", time) or "60"), name


def test_table_has_four_parts():
    lines = re.findall(r"^\| (?:\| \*\*(.+)\*\* |(\d\d) )\|", README, flags=re.M)
    begins = {part: int(lines[i + 1][1]) for i, (part, _) in enumerate(lines) if part}
    assert begins == PARTS


def test_paths_name_notebooks_that_are_there():
    paths = README.split("| you want | read |")[1].split("\n\n")[0]
    assert set(re.findall(r"\b\d\d\b", paths)) <= {name[:2] for name in NAMES}


def test_every_link_to_the_repository_is_to_the_same():
    assert f"]({pages_url()})" in README and f"git+https://github.com/{REPOSITORY}\n" in README
    for file in ("README.md", "CONTRIBUTING.md", "CITATION.cff"):
        text = (ROOT / file).read_text(encoding="utf-8")
        found = set(re.findall(r"github(?:\.com)?/([\w-]+/[\w-]+)", text))
        assert found <= {REPOSITORY}, file
        assert set(re.findall(r"https://[\w.-]+\.github\.io/\S*?(?=[)\s])", text)) <= {pages_url()}, file


@pytest.mark.parametrize(
    "file", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda file: file.name
)
def test_local_links_exist(file):
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", file.read_text(encoding="utf-8")):
        assert (file.parent / link).exists(), f"{file.name} links to {link}"


def test_the_snippet_prints_what_stands_below_it():
    code, printed = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", README, flags=re.S).groups()
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})
    assert output.getvalue() == printed != ""


def test_the_picture_has_an_alt_text():
    ((alt, file),) = re.findall(r"!\[(.*?)\]\((.+?)\)", README)
    assert file == "docs/picture.png" and len(alt) > 100


def test_readme_cites_as_the_citation_file_does():
    cited = dict(re.findall(r"^  (\w+) += \{+(.*?)\}+,$", README, flags=re.M))
    file = (ROOT / "CITATION.cff").read_text(encoding="utf-8").split("references:")[0]
    assert cited["title"] == re.search(r'^title: "(.*)"$', file, flags=re.M)[1]
    assert cited["author"] == re.search(r"^  - name: (.*)$", file, flags=re.M)[1]
    assert cited["url"] == re.search(r'^repository-code: "(.*)"$', file, flags=re.M)[1]
    assert re.search(r'^date-released: "(\d{4})-', file, flags=re.M)[1] == cited["year"]
