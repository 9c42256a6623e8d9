"""The picture at the top of the README is of today's models, and small enough for a page."""

import json

import pytest
from PIL import Image

from course_lib.side_by_side import SIX
from recipes import picture
from recipes.shared.places import RESULTS


def test_it_is_drawn_from_todays_models():
    with Image.open(picture.FILE) as image:
        assert json.loads(image.text["drawn from"]) == picture.drawn_from(), "run python recipes/picture.py"
        assert image.width >= 1200
    assert picture.FILE.stat().st_size <= 300_000


def test_other_weights_or_another_score_are_seen(monkeypatch, tmp_path):
    before = picture.drawn_from()
    table = (RESULTS / "05.csv").read_text(encoding="utf-8")
    score = before["sbert-mini"].split()[1]
    (tmp_path / "05.csv").write_text(table.replace(f"spearman_cosine,{score},", "spearman_cosine,1.00,"), "utf-8")
    monkeypatch.setattr("recipes.shared.results.RESULTS", tmp_path)
    changed = picture.drawn_from()
    assert changed["sbert-mini"].endswith(" 1.00") and changed["bert-mini"] == before["bert-mini"]
    monkeypatch.setattr(picture, "weights_sha256", lambda folder: "0")
    assert picture.drawn_from()["bert-mini"].startswith("0 ")


def test_what_it_shows():
    """Three heatmaps of the six sentences over their scores, one colour bar, and the page that answers, marked."""
    figure = picture.draw({"glove-mini": 39.0, "bert-mini": 65.2, "sbert-mini": 80.0})
    maps = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in maps] == list(picture.MODELS)
    assert [ax.get_xlabel().split()[-1] for ax in maps] == ["39.0", "65.2", "80.0"]
    assert all(len(ax.texts) == len(SIX) ** 2 for ax in maps)
    assert [ax.get_ylabel() for ax in figure.axes].count("cosine") == 1
    by_words, by_meaning = (ax for ax in figure.axes if not ax.axison)
    assert picture.WANTED in by_meaning.texts[1].get_text() and picture.WANTED not in by_words.texts[1].get_text()
    (marked,) = [text for text in by_meaning.texts if "✓" in text.get_text()]
    assert picture.WANTED in marked.get_text()


@pytest.fixture(autouse=True)
def closed():
    yield
    picture.plt.close("all")
