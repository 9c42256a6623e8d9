"""recipes/shared/leaks.py: what is measured on is known by name, and never taken for nothing."""

import pytest

from recipes.shared.leaks import forbidden_sentences


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty folder as COURSE_DATA."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path


def test_forbidden_sentences(root):
    for name in ("stsbenchmark", "sick"):
        (root / name).mkdir()
    (root / "stsbenchmark/dev.tsv").write_text("score\tsentence1\tsentence2\n1\tA man.\tThe DOG\n")
    (root / "sick/trial.tsv").write_text("pair_ID\tsentence_A\tsentence_B\n1\ta man\tx-y\n")
    assert forbidden_sentences() == {"a man", "the dog", "x y"}


def test_forbidden_sentences_are_not_taken_for_none(monkeypatch, root):
    with pytest.raises(FileNotFoundError, match="stsbenchmark/dev"):
        forbidden_sentences()
    monkeypatch.delenv("COURSE_DATA")
    with pytest.raises(FileNotFoundError, match="COURSE_DATA is not set"):
        forbidden_sentences()


@pytest.mark.usefixtures("course_data")
def test_the_real_ones():
    forbidden = forbidden_sentences()
    assert "a man with a hard hat is dancing" in forbidden
    assert "the young boys are playing outdoors and the man is smiling nearby" in forbidden
    assert 2500 < len(forbidden) < 2 * (1500 + 500)
