"""How course/cross-encoder-mini is made: its searches, its near pairs, and what the two heads are asked."""

import numpy as np
import pytest
import torch

from recipes import cross_encoder_mini as recipe
from recipes.cross_encoder_mini import fresh, near_pairs, pairs_of, read, searches, tasks, together

PAIRS = [("a cat sits here", "the cat sits"), ("dogs run", "a train is late today"), ("one", "one")]


@pytest.fixture(scope="module")
def model():
    return fresh("course/bert-mini")


def test_examples_hold_several_pairs_and_lose_none():
    labelled = [(f"a {i}", f"b {i}", i) for i in range(19)]
    examples = together(labelled)
    assert [len(example) for example in examples] == [8, 8, 3] and [p for e in examples for p in e] == labelled
    assert pairs_of(examples[2]) == [("a 16", "b 16"), ("a 17", "b 17"), ("a 18", "b 18")]
    assert pairs_of(("query", "own", "other")) == [("query", "own"), ("query", "other")]


def test_the_first_head_reads_pairs_as_the_scorer_does_and_the_second_what_occurs_in_both(model):
    logits, by_token = read(model, PAIRS)
    assert torch.allclose(logits, model["scorer"](PAIRS).squeeze(1), atol=1e-5)
    head = model["token_head"]
    with torch.no_grad():
        before = head.weight.clone(), head.bias.clone()
        head.weight.zero_(), head.bias.fill_(50.0)  # "all tokens occur in the other text"
    try:
        wrong = read(model, PAIRS)[1].item() / 50  # each token that does not costs 50: their share
    finally:
        with torch.no_grad():
            head.weight.copy_(before[0]), head.bias.copy_(before[1])
    tokens = [[model["scorer"].tokenizer.encode(text, add_special_tokens=False).ids for text in pair] for pair in PAIRS]
    missing = [i not in other for a, b in tokens for one, other in ((a, b), (b, a)) for i in one]
    assert wrong == pytest.approx(np.mean(missing), abs=1e-4) and 0.2 < wrong < 0.9
    assert by_token.item() > 0


def test_searches_are_lost_without_the_right_paragraph_first(model, monkeypatch):
    search, near, labels = tasks(model)

    def answers(model, pairs):
        return torch.tensor([10.0 if document == "right" else -10.0 for _, document in pairs]), torch.tensor(0.0)

    monkeypatch.setattr(recipe, "read", answers)
    assert search([("q", "right", "x", "y")]).item() < 1e-6 and search([("q", "x", "right", "y")]).item() > 19
    assert near([(("q", "right", 1.0), ("q", "x", 0.0))]).item() < 1e-3 and near([(("q", "right", 0.0),)]).item() > 9


def test_a_search_has_its_own_paragraph_and_three_others_near_it(monkeypatch):
    groups = [tuple((f"query {4 * g + k}", f"document {4 * g + k}") for k in range(4)) for g in range(10)]
    monkeypatch.setattr(recipe, "paragraph_pairs", lambda allowed, count: groups)

    class OnALine:  # text number n lies at n degrees
        def encode(self, texts, **options):
            angles = np.radians([float(text.split()[1]) for text in texts])
            return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    found = searches(lambda text: True, OnALine())
    assert len(found) == 40
    for query, *documents in found:
        number, others = query.split()[1], [int(d.split()[1]) for d in documents[1:]]
        assert documents[0] == f"document {number}" and len({*documents}) == 4
        assert all(abs(other - int(number)) <= recipe.CANDIDATES for other in others)


def test_near_pairs_carry_the_teachers_cosines():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(300, 8)).astype(np.float16)
    texts = [f"text {i}" for i in range(299)] + ["word " * 40]
    found = near_pairs(texts, vectors)
    unit = vectors.astype(np.float32) / np.linalg.norm(vectors.astype(np.float32), axis=1, keepdims=True)
    for a, b, cosine in found:
        i, j = int(a.split()[1]), int(b.split()[1])
        assert i != j and cosine == pytest.approx(max(0.0, float(unit[i] @ unit[j])), abs=1e-5)
    assert {a for a, _, _ in found} == set(texts[:299])  # every text, but for the long one
    assert np.mean([cosine for *_, cosine in found]) > np.clip(unit @ unit.T, 0, 1).mean() + 0.1
