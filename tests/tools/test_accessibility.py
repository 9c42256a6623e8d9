"""Colours can be told apart by colour-blind readers; maps are ordered by lightness; pages say what they are made of."""

import re
import shutil
from html.parser import HTMLParser

import glossary
import matplotlib
import nbformat
import numpy as np
import pages
import pytest
from colours import DISTINCT, SEEN, closest, contrast, lab
from matplotlib.colors import to_rgb
from repository import ROOT

matplotlib.use("Agg")

from course_lib import drawing
from course_lib.plotting import PALETTE, SCALES


def test_lab_is_right():
    assert lab([[1, 1, 1], [0, 0, 0]], "normal") == pytest.approx(np.array([[100, 0, 0], [0, 0, 0]]), abs=0.01)
    assert lab([[1, 0, 0]], "normal")[0] == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    for vision in SEEN:  # greys stay what they are
        assert lab([[0.5, 0.5, 0.5]], vision)[0] == pytest.approx([53.39, 0, 0], abs=0.01)


@pytest.mark.parametrize("vision", SEEN)
def test_categories_can_be_told_apart(vision):
    assert closest(PALETTE, vision) >= DISTINCT
    boxes = [to_rgb(colour) for colour in (drawing.TEXT, drawing.NETWORK, drawing.HEAD)]
    assert closest(boxes, vision) >= DISTINCT


def test_the_test_finds_colours_that_look_alike():
    red_and_green = [(0.80, 0.30, 0.20), (0.45, 0.47, 0.10)]
    assert closest(red_and_green, "normal") > 3 * DISTINCT and closest(red_and_green, "deuteranopia") < DISTINCT


@pytest.mark.parametrize("vision", SEEN)
def test_sequential_map_rises_in_lightness(vision):
    name, low, high = SCALES["unit"]
    lightness = lab(matplotlib.colormaps[name](np.linspace(0, 1, 51)), vision)[:, 0]
    assert (low, high) == (0, 1) and np.diff(lightness).min() > 0.3 and np.ptp(lightness) > 60


@pytest.mark.parametrize("vision", SEEN)
def test_diverging_map_falls_in_lightness_to_both_sides_which_differ(vision):
    name, low, high = SCALES["cosine"]
    seen = lab(matplotlib.colormaps[name](np.linspace(0, 1, 41)), vision)
    assert low == -high and seen[20, 0] == seen[:, 0].max() > 90
    assert np.diff(seen[:21, 0]).min() > 0 and np.diff(seen[20:, 0]).max() < 0
    sides = np.linalg.norm(seen[:18] - seen[:22:-1], axis=1)  # a value and its negative, 0.15 and more from zero
    assert sides.min() >= DISTINCT


def test_other_maps_would_fail():
    rainbow = lab(matplotlib.colormaps["jet"](np.linspace(0, 1, 51)), "normal")[:, 0]
    assert np.diff(rainbow).min() < -1
    seen = lab(matplotlib.colormaps["RdYlGn"](np.linspace(0, 1, 41)), "deuteranopia")
    assert np.linalg.norm(seen[:18] - seen[:22:-1], axis=1).min() < DISTINCT


def test_text_of_the_drawings_can_be_read():
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    for fill in (drawing.TEXT, drawing.NETWORK, drawing.HEAD, drawing.PLAIN):
        assert contrast((0, 0, 0), to_rgb(fill)) >= 4.5
    assert contrast(to_rgb("#1d4e79"), to_rgb(drawing.PLAIN)) >= 4.5  # the name of the network


class Page(HTMLParser):
    """What a page is made of: language, title, landmarks, headings, header cells, images."""

    def __init__(self, text):
        super().__init__()
        self.language, self.title, self.landmarks, self.headings, self.scopes, self.images = None, "", [], [], [], []
        self.within, self.empty_headers = "", 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "html":
            self.language = attributes.get("lang")
        elif tag in ("main", "nav", "header", "footer"):
            self.landmarks.append(tag)
        elif tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self.headings.append(int(tag[1]))
        elif tag == "th":
            self.scopes.append(attributes.get("scope"))
        elif tag == "img":
            self.images.append(attributes.get("alt"))
        self.within = tag

    def handle_data(self, data):
        if self.within == "title":
            self.title += data

    def handle_endtag(self, tag):
        self.within = ""


def page_problems(text):
    page = Page(text)
    yield from ["no language"] * (page.language != "en")
    yield from ["no title of its own"] * (len(page.title.split()) < 2)
    yield from ["no main part"] * (page.landmarks.count("main") != 1)
    yield from ["not one H1, first"] * (page.headings[:1] != [1] or page.headings.count(1) != 1)
    yield from ["a heading level is skipped"] * any(b > a + 1 for a, b in zip(page.headings, page.headings[1:]))
    yield from ["a header cell without scope"] * any(scope not in ("col", "row") for scope in page.scopes)
    yield from ["an image without alt text"] * any(not alt for alt in page.images)


TABLES = """[![Open in Colab](https://example.org/badge.svg)](https://example.org/colab)

# A report

Of [tokens](../docs/glossary.md#token); next [06](06_sbert.ipynb), or [elsewhere](https://example.org/x.ipynb).

| | |
|---|---|
| You need | nothing |
| It takes | 5 min |

## Numbers

| name | number | |
|:--|--:|--|
| a | $x_1 \\lt 2$ | `$1` |

$$ \\sum_i x_i $$

A mistake: $\\unknown x$.
"""


@pytest.fixture(scope="module")
def report():
    """A notebook with tables and a figure as an HTML page."""
    figure = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    output = nbformat.v4.new_output("display_data", data={"image/png": pixel, "text/plain": "<Figure>"})
    cells = [
        nbformat.v4.new_markdown_cell(TABLES),
        nbformat.v4.new_code_cell(
            figure, metadata={"alt": 'A line from "1" to 2 < 3.'}, outputs=[output], execution_count=1
        ),
    ]
    return pages.html_of(nbformat.v4.new_notebook(cells=cells), "90_example")


def test_report(report):
    page = Page(report)
    assert list(page_problems(report)) == [] and page.title == "A report"
    assert page.images == ['A line from "1" to 2 < 3.']
    assert page.scopes == ["row", "row", "col", "col"]  # the first table has no column titles
    for link in ("glossary.html#token", "06_sbert.html", "https://example.org/x.ipynb"):
        assert f'href="{link}"' in report
    assert '<th scope="row">You need</th>\n<td>nothing</td>' in report


def test_report_shows_formulas_and_loads_nothing(report):
    assert report.count("<math") == 2 and report.count('display="block"') == 1
    assert '<a href="https://example.org/colab">Open in Colab</a>' in report
    assert "<code>$1</code>" in report and "<code>\\unknown x</code>" in report
    assert not re.findall(r'(?:src="|<link[^>]*href="|url\(["\']?|@import ["\'])(?!data:)(?:https?:)?//', report)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('lang="en"', "", "no language"),
        ("<title>A report", "<title>x", "no title"),
        ("<main>", "<div>", "no main part"),
        ("<h1", "<h2", "not one H1"),
        ("<h2", "<h4", "skipped"),
        (' scope="row"', "", "without scope"),
        ("alt=", "longdesc=", "without alt"),
    ],
)
def test_defect_of_a_page_is_found(report, old, new, message):
    assert old in report and any(message in problem for problem in page_problems(report.replace(old, new)))


def test_a_page_is_written_in_one_step(tmp_path, monkeypatch):
    """Half a page would be newer than its notebook, so that no later run would write it again."""
    (tmp_path / "05.html").write_text("old", encoding="utf-8")

    def killed_half_way(path, text, **options):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text[: len(text) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(type(tmp_path), "write_text", killed_half_way)
    with pytest.raises(KeyboardInterrupt):
        pages.write(tmp_path / "05.html", "new" * 100)
    assert (tmp_path / "05.html").read_text(encoding="utf-8") == "old"


def test_index_page():
    assert list(page_problems(pages.PAGE.format(rows="<tr><td>a</td></tr>", glossary=""))) == []


def test_glossary_page(tmp_path):
    assert not pages.glossary_page(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "build").mkdir()
    shutil.copy(ROOT / "docs" / "glossary.md", tmp_path / "docs")
    assert pages.glossary_page(tmp_path)
    text = (tmp_path / "build" / "glossary.html").read_text(encoding="utf-8")
    assert list(page_problems(text)) == []
    entries = glossary.read()
    assert all(f'<h2 id="{entry.anchor}">' in text for entry in entries) and text.count("<h2") == len(entries)
    assert 'href="05_mean_pooling.html"' in text


def test_page_of_a_class():
    from class_tables import COLUMNS, page

    row = dict(zip(COLUMNS, ("Ann", "05.1", "wrong", "returns nothing", "1.0", "Ann.ipynb", "k")))
    text = page([row, row | {"learner": "Bob", "exercise": ""}])
    assert list(page_problems(text)) == [] and Page(text).scopes.count("row") == 4
