"""Model cards are in step with what was recorded, their code runs, others' scores beside theirs are of the same set."""

import contextlib
import io
import re

import pytest
from repository import ROOT

from recipes import cards as recipe
from recipes.shared import cards

FOLDERS = sorted(path for path in (ROOT / "data" / "models").iterdir() if path.is_dir())


def test_every_card_is_what_the_recorded_numbers_make():
    made = {name: card for rows in recipe.recorded() for name, card in cards.cards(rows).items()}
    assert sorted(made) == [folder.name for folder in FOLDERS]
    for name, card in made.items():
        stored = (cards.model_folder(name) / "README.md").read_text(encoding="utf-8")
        assert stored == card, f"the card of {name} is not in step: run python recipes/cards.py"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_code_of_a_card_comes_first_and_runs(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    code = re.search(r"\A---\n.*?---\n\n# .*\n\n```python\n(.*?)```", card, flags=re.S)[1]
    found, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, found)
    assert printed.getvalue() or len(found.get("vectors", found.get("scores", found.get("hits")))) in (1, 2)
    assert re.findall(r"^## (.*)$", card, flags=re.M)[-1] == "Recipe"


def test_scores_of_others_are_of_the_same_set(monkeypatch):
    tables = {
        "14.csv": [
            {"experiment": "reranking", "model": "BM25", "data": "scifact", "metric": "ndcg@10", "value": "60.2"},
            {"experiment": "scifact", "model": "BM25", "data": "scifact", "metric": "ndcg@10", "value": "66.64"},
            {"experiment": "reranking", "model": "BM25", "data": "scifact", "metric": "ndcg@10", "value": "56.4"},
            {
                "experiment": "scifact",
                "model": f"RRF of BM25, {cards.MINILM}",
                "data": "scifact",
                "metric": "ndcg@10",
                "value": "71.1",
            },
        ],
        "models.csv": [
            {"model": cards.MINILM, "measure": "stsbenchmark/dev spearman", "value": "86.72"},
            {"model": cards.MINILM, "measure": "trec_questions accuracy", "value": "76.6"},
        ],
    }
    monkeypatch.setattr(cards, "read_rows", tables.get)
    scores = [
        {"data": "stsbenchmark/dev", "metric": "spearman_cosine", "value": "84.72", "pooling": "mean"},
        {"data": "scifact", "metric": "ndcg@10", "value": "34.33", "pooling": "mean"},
        {"data": "snli/dev", "metric": "accuracy", "value": "64.99", "pooling": "mean"},
    ]
    assert cards.score_table(scores).splitlines() == [
        "| pooling | data | metric | value | BM25 | all-MiniLM-L6-v2 |",
        "| --- | --- | --- | --- | --- | --- |",
        "| mean | stsbenchmark/dev | spearman_cosine | 84.7 | - | 86.7 |",
        "| mean | scifact | ndcg@10 | 34.3 | 66.6 | - |",
        "| mean | snli/dev | accuracy | 65.0 | - | - |",
    ]
    assert "BM25" not in cards.score_table(scores[:1])
