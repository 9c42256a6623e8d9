"""How course/reranker-mini is made: the lists it learns from, and the loss."""

import random

import numpy as np
import pytest
import torch

from course_lib.data import NLIExample
from recipes import reranker_mini as recipe
from recipes.reranker_mini import LIST, TEMPERATURE, WORDS, agreement, drawn_queries, list_loss, lists, pairs_of


def test_the_loss_is_least_where_the_scores_are_the_teachers():
    scores = torch.rand(3, LIST, generator=torch.Generator().manual_seed(0))
    batch = [(f"query {k}", tuple("abcdefgh"), tuple(line.tolist())) for k, line in enumerate(scores)]
    assert len(pairs_of(batch[0])) == LIST and pairs_of(batch[1])[2] == ("query 1", "c")
    exact = scores / TEMPERATURE + torch.tensor([[1.0], [5.0], [-3.0]])  # what all scores of a list share is free
    entropy = torch.distributions.Categorical(logits=exact).entropy().mean()
    assert list_loss(exact.flatten(), batch).item() == pytest.approx(entropy.item(), abs=1e-5)
    for other in (exact.flip(1), exact.roll(1, 0), exact / 2, exact * 2):
        assert list_loss(other.flatten(), batch).item() > entropy.item() + 0.01


def test_agreement_counts_the_lists_that_begin_alike():
    batch = [("q", ("a", "b"), (0.9, 0.1)), ("r", ("a", "b"), (0.1, 0.9)), ("s", ("a", "b"), (0.2, 0.8))]

    class ByLetter:
        def predict(self, pairs, activation_fn, show_progress_bar):
            return np.array([2.0 if document == "a" else 1.0 for _, document in pairs], dtype=np.float32)

    assert agreement(ByLetter(), batch)["same_first"] == pytest.approx(1 / 3)


@pytest.fixture
def texts() -> list[str]:
    """Thirty short ones, and forty sentences of seven words, each followed by the paragraph that it is from."""
    found = [f"is this question number {k} short?" for k in range(30)]
    for k in range(40):
        sentence = f"In the town of number{k} people bake bread."
        found += [sentence, " ".join([f"word{k}"] * 35 + [sentence] + ["and further words"] * 12)]
    return found


def test_queries_are_spoken_or_of_paragraphs_in_three_kinds(texts, monkeypatch):
    monkeypatch.setattr(recipe, "load_translations", lambda name: [])
    monkeypatch.setattr(
        recipe, "load_nli", lambda name: [NLIExample(texts[k], texts[k + 1], "neutral") for k in range(29)]
    )
    monkeypatch.setattr(recipe, "QUERIES", {"said": 20, "sentence": 10, "words": 10})
    found = drawn_queries(texts, random.Random(0))
    said = [(query, row) for query, row in found if row < 30]
    assert len(found) == 40 and len(said) == 20 and all(texts[row] == query for query, row in said)
    rest = [(query, row) for query, row in found if row >= 30]
    assert all(len(texts[row].split()) in recipe.distillation.PASSAGE_WORDS for _, row in rest)
    whole = [query for query, row in rest if query == texts[row - 1]]
    assert len(whole) == 10
    for query, row in rest:
        if query not in whole:  # some of the sentence's words, in their order
            words = [word.strip(".") for word in texts[row - 1].split()]
            places = [words.index(word) for word in query.split()]
            assert 3 <= len(places) <= 6 and places == sorted(places)


def test_a_list_has_different_texts_and_the_teachers_score_of_each(texts, monkeypatch):
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(len(texts), 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    row_of = {text: row for row, text in enumerate(texts)}

    class Teacher:
        def encode(self, asked, **options):
            return vectors[[row_of[text] for text in asked]]

    monkeypatch.setattr(recipe.SentenceEncoder, "load", lambda folder: Teacher())
    monkeypatch.setattr(recipe, "minilm_folder", lambda: "no folder")
    monkeypatch.setattr(recipe, "TEXTS", 40)
    paragraph = row_of[texts[31]]
    asked = [(texts[0], 0), (texts[30], 31), (texts[paragraph], paragraph)]
    monkeypatch.setattr(recipe, "drawn_queries", lambda texts, draw: asked)
    found = lists(texts, vectors)
    assert [query for query, *_ in found] == [query for query, _ in asked]
    for query, documents, scores in found:
        assert len(set(documents)) == LIST == len(scores) and query not in documents
        assert all(len(text.split()) in recipe.WORDS_OF_TEXT for text in documents)
        for text, score in zip(documents, scores):
            cosine = float(vectors[row_of[query]] @ vectors[row_of[text]])
            assert -1e-5 <= score - cosine <= WORDS + 1e-5
    _, documents, scores = found[1]  # the paragraph with all the words of its query has the most for words
    cosines = [float(vectors[30] @ vectors[row_of[text]]) for text in documents]
    by_words = dict(zip(documents, np.subtract(scores, cosines)))
    if texts[31] in by_words:
        assert by_words[texts[31]] == pytest.approx(WORDS, abs=1e-5)
    assert max(by_words.values()) > 0
