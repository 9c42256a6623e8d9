"""Checks of data/nli.tsv, the small natural language inference set of the course."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

DATA = Path(__file__).resolve().parents[2] / "data"
LABELS = ["entailment", "neutral", "contradiction"]
COLUMNS = ["group", "domain", "style", "premise", *LABELS]
CLASSIFIER = LogisticRegression(max_iter=1000, random_state=0)
NEGATIONS = {"no", "not", "never", "nobody", "nothing", "none", "without", "neither", "nor"}
FUNCTION_WORDS = NEGATIONS | set(
    "a an the this that these those and or but if so as than then there it its he she they we you i him her "
    "them us his their our your my is are was were be been do does did has have had will would can may must "
    "should of in on at to from by for with into off over about after before until when who all any".split()
)


def read_tsv(path):
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def rows():
    header, *body = read_tsv(DATA / "nli.tsv")
    assert header == COLUMNS
    return [dict(zip(COLUMNS, row, strict=True)) for row in body]


@pytest.fixture(scope="module")
def pairs(rows):
    """Tuples (group, premise, hypothesis, label), three from each row."""
    return [(r["group"], r["premise"], r[label], label) for r in rows for label in LABELS]


def words(text):
    return re.findall(r"[a-z0-9]+(?:n't)?", text.lower())


def stems(text):
    """Content words without their ending, cut to five letters: 'opened', 'opens' become 'open'."""
    return {re.sub("(s|e|es|ed|ing)$", "", w)[:5] for w in words(text) if w not in FUNCTION_WORDS}


def pair_features(premises, hypotheses, encode):
    """Features of premise-hypothesis pairs, one row a pair.

    From the sentence vectors u and v: |u - v|, u * v and the cosine. From the words: how many content
    words of the hypothesis are in the premise, how many are not, and whether just one side is negated.
    """
    sentences = sorted({*premises, *hypotheses})
    vectors = dict(zip(sentences, encode(sentences)))
    table = []
    for p, h in zip(premises, hypotheses):
        u, v, ps, hs = vectors[p], vectors[h], stems(p), stems(h)
        p_negated, h_negated = (any(w in NEGATIONS or w.endswith("n't") for w in words(s)) for s in (p, h))
        shared, missing = len(hs & ps), len(hs - ps)
        overlap = [shared, missing, missing / max(1, len(hs)), missing == 0, missing == 1, p_negated != h_negated]
        table.append(np.concatenate([np.abs(u - v), u * v, [u @ v], overlap]))
    return np.array(table, dtype=float)


def accuracy(model, features, pairs):
    """Mean accuracy over five folds; all three pairs of a group lie in the same fold."""
    groups, _, _, labels = zip(*pairs)
    return cross_val_score(model, features, labels, groups=groups, cv=GroupKFold(n_splits=5)).mean()


def test_format(rows):
    assert len(rows) >= 500
    for r in rows:
        assert re.fullmatch(r"g\d{3}", r["group"])
        assert all(cell and cell == cell.strip() for cell in r.values())
        assert 6 <= len(r["premise"].split()) <= 30
        assert all(3 <= len(r[label].split()) <= 16 for label in LABELS)
    assert len({r["domain"] for r in rows}) >= 18
    frames = Counter(tuple(r[label].lower().split()[:5]) for r in rows for label in LABELS)
    assert max(frames.values()) <= 0.05 * 3 * len(rows)
    for column in ["group", "premise", *LABELS]:
        assert len({r[column].lower() for r in rows}) == len(rows), f"double entry in {column}"


def test_hypothesis_alone_does_not_give_the_label(pairs):
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), CLASSIFIER)
    assert accuracy(model, [p[2] for p in pairs], pairs) < 0.45


def test_pair_carries_the_label(pairs, minilm):
    features = pair_features([p[1] for p in pairs], [p[2] for p in pairs], minilm.encode)
    assert accuracy(CLASSIFIER, features, pairs) >= 0.60


def test_second_labels_agree(rows):
    header, *body = read_tsv(DATA / "nli_second_labels.tsv")
    assert header == ["group", "label_shown", "second_label"]
    assert {g for g, _, _ in body} <= {r["group"] for r in rows}
    assert all(gold in LABELS and second in LABELS for g, gold, second in body)
    assert len({(g, gold) for g, gold, _ in body}) == len(body) >= 100
    assert np.mean([gold == second for _, gold, second in body]) >= 0.90
