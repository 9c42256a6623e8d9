"""The README lists the notebooks there are, each with its Colab badge."""

import re

from repository import REPOSITORY, ROOT, colab_url

README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = sorted(file.stem for file in (ROOT / "notebooks").glob("*.ipynb"))


def test_table_of_notebooks():
    listed = re.findall(r"^\| \[(\w+)\]\(notebooks/(\w+)\.ipynb\)", README, flags=re.M)
    assert listed == [(name, name) for name in NAMES]
    for name in NAMES:
        line = next(line for line in README.splitlines() if line.startswith(f"| [{name}]"))
        assert colab_url(name) in line


def test_every_link_to_the_repository_is_to_the_same():
    for file in ("README.md", "CONTRIBUTING.md", "CITATION.cff"):
        text = (ROOT / file).read_text(encoding="utf-8")
        found = set(re.findall(r"github(?:\.com)?/([\w-]+/[\w-]+)", text))
        assert found <= {REPOSITORY}, file


def test_local_links_exist():
    for file in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", file.read_text(encoding="utf-8")):
            assert (file.parent / link).exists(), f"{file.name} links to {link}"


def test_readme_cites_as_the_citation_file_does():
    cited = dict(re.findall(r"^  (\w+) += \{+(.*?)\}+,$", README, flags=re.M))
    file = (ROOT / "CITATION.cff").read_text(encoding="utf-8").split("references:")[0]
    assert cited["title"] == re.search(r'^title: "(.*)"$', file, flags=re.M)[1]
    assert cited["author"] == re.search(r"^  - name: (.*)$", file, flags=re.M)[1]
    assert cited["url"] == re.search(r'^repository-code: "(.*)"$', file, flags=re.M)[1]
    assert re.search(r'^date-released: "(\d{4})-', file, flags=re.M)[1] == cited["year"]
