"""The site: every notebook, document and model card is a page of it, links lead somewhere, nothing is loaded."""

import os
import re
import subprocess

import check_site
import code_lines
import nbformat
import pytest
import site_pages
import site_seconds
import site_status
import stage
from dependencies import LOCK, read
from mathml import mathml
from notebook_files import available
from repository import REPOSITORY, ROOT, colab_url
from site_links import moved

SITE_PYTHON = ROOT / "build" / "site-env" / "bin" / "python"
PAGES = {"README.md": "index", "docs/glossary.md": "glossary", "notebooks/05_a.ipynb": "notebooks/05_a"}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "sources"
    stage.stage(folder)
    return folder


def listed(sources):
    """The pages that the contents name."""
    blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", (sources / "index.md").read_text("utf-8"), flags=re.S | re.M)
    lines = [line for block in blocks for line in block.splitlines() if line and not line.startswith(":")]
    return [re.sub(r".*<(.*)>", r"\1", line) for line in lines]


def test_every_notebook_document_and_card_is_in_the_contents(sources):
    wanted = {f"notebooks/{name}" for name in available()}
    wanted |= {file.stem for file in (ROOT / "docs").glob("*.md")}
    wanted |= {f"models/{file.parent.name}" for file in ROOT.glob("data/models/*/README.md")}
    wanted |= {"benchmarks", "contributing", "status"}
    pages = listed(sources)
    assert wanted <= set(pages) and len(pages) == len(set(pages))
    files = {file.relative_to(sources).with_suffix("").as_posix() for file in sources.rglob("*.[mi][dp]*")}
    assert files == {*pages, "index"}


def test_new_files_are_found(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "sessions.md").write_text("# Six sessions\n", encoding="utf-8")
    (tmp_path / "notebooks").mkdir()
    for name, title in (("00_start", "What?"), ("17_large", "How large?")):
        cells = [nbformat.v4.new_markdown_cell(f"[badge](x)\n\n# {title}\n\nText.")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
    contents = site_pages.contents(tmp_path)
    assert [site_pages.contents()[part][0][:2] for part in site_pages.PARTS][1:] == ["05", "09", "13"]
    assert contents["Where it comes from"] == ["00 What? <notebooks/00_start>"]
    assert contents["Putting it to use"] == ["17 How large? <notebooks/17_large>"]
    assert "sessions" in contents["Running, teaching, contributing"] and "Training" not in contents


def test_a_page_without_title_is_an_error(tmp_path):
    (tmp_path / "a.md").write_text("## Too low\n", encoding="utf-8")
    with pytest.raises(ValueError, match="a.md has no line that begins with '# '"):
        site_pages.title_of(tmp_path / "a.md")


@pytest.mark.parametrize(
    "source, text, wanted",
    [
        ("notebooks/05_a.ipynb", "[a](../docs/glossary.md#token)", "[a](../glossary.md#token)"),
        ("docs/glossary.md", "[a](../notebooks/05_a.ipynb)", "[a](notebooks/05_a.ipynb)"),
        ("README.md", "[a](docs/glossary.md), [b](#here)", "[a](glossary.md), [b](#here)"),
        ("docs/glossary.md", "[a](../Makefile)", f"[a](https://github.com/{REPOSITORY}/blob/main/Makefile)"),
        ("docs/glossary.md", "[a](../recipes)", f"[a](https://github.com/{REPOSITORY}/tree/main/recipes)"),
        ("README.md", "`[a](none.md)`\n```\n[a](none.md) `x`\n```\n", "`[a](none.md)`\n```\n[a](none.md) `x`\n```\n"),
        ("README.md", "| [![Open](https://x/b.svg)](https://x) |", "| [Open](https://x) |"),
        ("README.md", "`[![Open](https://x/b.svg)](https://x)`", "`[![Open](https://x/b.svg)](https://x)`"),
        ("README.md", "`a` [a](docs/glossary.md) `b`", "`a` [a](glossary.md) `b`"),
    ],
)
def test_links_are_moved(source, text, wanted):
    assert moved(text, source, PAGES) == (wanted, set())


def test_pictures_come_along():
    text, pictures = moved("![A figure](../docs/models.png)", "notebooks/05_a.ipynb", PAGES)
    assert (text, pictures) == ("![A figure](../pictures/docs/models.png)", {"docs/models.png"})


def test_a_link_to_no_file_is_an_error():
    with pytest.raises(ValueError, match=r"README.md links to docs/none.md, which is neither a page"):
        moved("[a](docs/none.md)", "README.md", PAGES)


@pytest.mark.parametrize("name", available())
def test_notebooks_come_with_their_outputs_alt_texts_and_colab_link(name, sources):
    """Whatever is not a title, a link or metadata stays as it is stored."""
    before = nbformat.read(available()[name], as_version=4)
    after = nbformat.read(sources / "notebooks" / f"{name}.ipynb", as_version=4)
    assert f"[Open in Colab]({colab_url(name)})" in after.cells[0].source
    assert not re.search(r"!\[[^\]]*\]\(http", "".join(cell.source for cell in after.cells))
    codes = [[cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in (before, after)]
    assert len(codes[0]) == len(codes[1]) > 0
    for old, new in zip(*codes):
        assert (new.source, new.outputs) == (old.source, old.outputs)
        if any("image/png" in output.get("data", {}) for output in new.outputs):
            assert len(new.metadata.mystnb.image.alt) >= 40
        assert ("hide-input" in new.metadata.get("tags", [])) == bool(
            {"setup", "install"} & {*old.metadata.get("tags", [])}
        )


def test_a_search_finds_the_notebook_that_introduces_a_term(sources):
    notebook = nbformat.read(sources / "notebooks" / "05_mean_pooling.ipynb", as_version=4)
    assert re.search(r"^```\{index\} .*!mean pooling(,|$)", notebook.cells[0].source, flags=re.M)


def test_links_to_notebooks_say_their_questions(sources):
    text = (sources / "glossary.md").read_text("utf-8")
    assert "[07 Which pooling, which concatenation, and how sure can you be?](notebooks/07_ablations.ipynb)" in text
    assert not re.search(r"\[\d\d_\w+\]\(", text)


def test_cards_begin_with_their_title(sources):
    for name in site_pages.cards():
        assert (sources / "models" / f"{name}.md").read_text("utf-8").lstrip().startswith("# "), name


FORMULA = re.compile(r"(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)|\$\$(?P<block>.+?)\$\$|\$(?P<line>[^$\n]+)\$", re.S)


def test_every_formula_can_be_shown(sources):
    """In the site and in the pages of a batch run."""
    texts = [file.read_text("utf-8") for file in sources.rglob("*.md")]
    for name in available():
        cells = nbformat.read(sources / "notebooks" / f"{name}.ipynb", as_version=4).cells
        texts += [cell.source for cell in cells if cell.cell_type == "markdown"]
    found = [match for text in texts for match in FORMULA.finditer(text) if match["block"] or match["line"]]
    assert len(found) > 50
    for match in found:
        assert mathml(match["block"] or match["line"], block=bool(match["block"])).startswith("<math")


def test_a_formula_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match=r"cannot read the formula 'x \\\\unknown y'"):
        mathml(r" x \unknown y")
    assert mathml(r"a \lt b \dots") == mathml(r"a < b \ldots")


def test_status_says_what_the_repository_says():
    rows = {row[0].split()[0][1:]: row for row in site_status.notebook_rows()}
    assert list(rows) == [name[:2] for name in available()]
    notebook = nbformat.read(available()["05_mean_pooling"], as_version=4)
    assert rows["05"][2] == sum(cell.cell_type == "code" for cell in notebook.cells)
    assert rows["05"][3] == sum("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", []))
    versions = {row[0]: row for row in site_status.version_rows()}
    assert f"=={versions['torch'][2]}" == str(LOCK["torch"].specifier) and all(row[2] for row in versions.values())
    text, said = site_status.page(), "Python 3.11, 3.12, 3.13, on ubuntu, macos, windows"
    assert said in text and "None" not in text and all(row[1] for row in rows.values())


def test_seconds_are_those_of_the_code_that_ran(tmp_path):
    cells = [nbformat.v4.new_markdown_cell("# Why?"), nbformat.v4.new_code_cell("1 + 1")]
    for folder in ("notebooks", "build", "tools/site"):
        (tmp_path / folder).mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(cells=cells)
    for name in ("01_a", "02_b", "03_c"):
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    for name, parameters in (("01_a", {}), ("02_b", {"seed": 1})):
        notebook.metadata["papermill"] = dict(duration=12.34, start_time="2026-11-30T01:00:00", parameters=parameters)
        nbformat.write(notebook, tmp_path / "build" / f"{name}.ipynb")
    found = site_seconds.measured(tmp_path)
    assert list(found) == ["01_a"] and found["01_a"]["seconds"] == "12.3" and found["01_a"]["date"] == "2026-11-30"
    assert site_status.time_of("01_a", notebook.cells, found, tmp_path) == "12 s"
    notebook.cells[1].source = "2 + 2"
    nbformat.write(notebook, tmp_path / "notebooks" / "01_a.ipynb")
    assert site_status.time_of("01_a", notebook.cells, found, tmp_path) == "12 s, then changed"
    assert "Python 3" in site_status.times(found) and "on 2026-11-30. Times in words" in site_status.times(found)
    said = nbformat.v4.new_markdown_cell(
        "# Why?\n\n| | |\n|---|---|\n| Time | an hour; the code runs in half a minute |"
    )
    assert site_status.time_of("02_b", [said], found, tmp_path) == "half a minute"


GOOD = '<a href="b.html#x">b</a><a href="https://example.org/">e</a><img src="p.png" alt="A point"><a href="#top">t</a>'
BAD = {
    '<a href="c.html">c</a>': "c.html is no file of the site",
    '<a href="b.html#y">b</a>': "b.html#y is no place of its page",
    '<a href="#z">z</a>': "#z is no place of its page",
    '<img src="p.png">': "an image without alt text, p.png",
    '<img src="q.png" alt="A point">': "q.png is no file of the site",
    '<img src="https://example.org/p.png" alt="A point">': "loads https://example.org/p.png",
    '<script src="//example.org/x.js"></script>': "loads //example.org/x.js",
    '<link rel="stylesheet" href="https://example.org/x.css">': "loads https://example.org/x.css",
    "<style>@import 'https://example.org/f.css';</style>": "loads https://example.org/f.css",
    '<p style="background: url(https://example.org/p.png)">p</p>': "loads https://example.org/p.png",
}


@pytest.fixture
def small_site(tmp_path):
    (tmp_path / "p.png").touch()
    (tmp_path / "b.html").write_text('<h1 id="x">b</h1><a href="index.html">a</a>', encoding="utf-8")
    (tmp_path / "index.html").write_text(GOOD, encoding="utf-8")
    return tmp_path


def test_lines_of_python_know_where_they_begin():
    opening = '<div class="highlight-python notranslate"><div class="highlight"><pre>'
    code = '<span></span>if<span class="w"> </span>a &lt; b:\n<span class="w">    </span>c\n\nd\n'
    page = f"<p>x</p>{opening}{code}</pre></div></div>{opening.replace('python', 'none')}{code}</pre></div></div>"
    found = code_lines.with_hanging_lines(page)
    assert re.findall(r"--begins: (\d)ch", found) == ["0", "4", "0", "0"]  # and those of no other language
    plain = [re.sub("<[^>]*>", "", text) for text in (page, found)]
    assert plain[0] == plain[1] and found.count("<span") == found.count("</span>")


def test_a_good_site_has_no_faults(small_site):
    assert check_site.problems(small_site) == []


@pytest.mark.parametrize("bad", BAD)
def test_a_fault_of_a_site_is_found(bad, small_site):
    (small_site / "index.html").write_text(GOOD + bad, encoding="utf-8")
    assert check_site.problems(small_site) == [f"index.html: {BAD[bad]}"]


def test_a_style_sheet_that_loads_is_found(small_site):
    (small_site / "a.css").write_text('@font-face { src: url("https://example.org/f.woff2"); }', encoding="utf-8")
    assert check_site.problems(small_site) == ["a.css: loads https://example.org/f.woff2"]


def test_the_sites_packages_are_exact_and_not_the_learners():
    pins = read((ROOT / "tools" / "site" / "requirements.txt").read_text("utf-8").splitlines())
    assert {"sphinx", "myst-nb", "sphinx-book-theme"} <= set(pins) and "torch" not in pins
    assert all([part.operator for part in pin.specifier] == ["=="] and pin.marker is None for pin in pins.values())
    assert not {"sphinx", "myst-nb", "sphinx-book-theme"} & set(LOCK)
    assert pins["docutils"].specifier == LOCK["docutils"].specifier  # the same formulas in both


def test_the_workflow_publishes_what_make_site_builds():
    text = (ROOT / ".github" / "workflows" / "site.yml").read_text("utf-8")
    commands = re.findall(r"^ *- run: (.*)$", text, flags=re.M)
    assert commands == ["make site"] and "path: build/site\n" in text
    rule = re.search(r"^build/site-env/\.installed:.*?\n\n", (ROOT / "Makefile").read_text("utf-8"), flags=re.S | re.M)[
        0
    ]
    assert "tools/site/requirements.txt" in rule and "requirements-lock" not in rule and "-e ." not in rule


@pytest.mark.skipif(not SITE_PYTHON.exists() or os.name == "nt", reason="no build/site-env: `make site` makes it")
def test_the_site_builds_without_a_warning(tmp_path):
    command = [SITE_PYTHON, ROOT / "tools" / "site" / "build_site.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and ": 0 faults" in done.stdout, done.stdout + done.stderr
    page = (tmp_path / "site" / "notebooks" / "05_mean_pooling.html").read_text("utf-8")
    assert "<math" in page and 'href="../glossary.html#mean-pooling"' in page
