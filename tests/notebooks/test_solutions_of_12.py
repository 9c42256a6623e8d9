"""Exercises of notebook 12 know the answers that are near, and agree with what the library and scikit-learn do."""

import numpy as np
import pytest
import torch
from repository import ROOT
from sklearn.metrics.pairwise import cosine_similarity

from course_lib.exercises import judge, load_exercises
from course_lib.finetuning.mining import mine_hard_negatives
from recipes.shared.mined_measures import measured

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "12.py")
CUT, MINE, SHARE = (EXERCISES[f"12.{i}"] for i in (1, 2, 3))


@pytest.mark.parametrize("case", CUT.cases)
def test_solution_is_scikit_learns_cosine(case):
    a, b, dim = CUT.cases[case]
    assert np.allclose(CUT.solution(a, b, dim), cosine_similarity(a[:, :dim], b[:, :dim]), atol=1e-6)


def by_hand(anchors, texts, own):
    """As a learner may write it: one anchor after the other, an absolute margin."""
    chosen = []
    for anchor, at in zip(anchors, own):
        cosines = [float(anchor @ t / np.linalg.norm(anchor) / np.linalg.norm(t)) for t in texts]
        left = [k for k, cosine in enumerate(cosines) if k != at and cosine < cosines[at] - 0.15]
        chosen.append(max(left, key=cosines.__getitem__) if left else None)
    return chosen


def not_near_the_positive(anchors, texts, own):
    scores, near = cosine_similarity(anchors, texts), cosine_similarity(texts[own], texts) > 0.65
    return np.where(near, -1, scores).argmax(axis=1)


def by_the_library(anchors, texts, own):
    """What mine_hard_negatives finds, given names for the vectors."""
    named = {f"anchor {i}": v for i, v in enumerate(anchors)} | {f"text {i}": v for i, v in enumerate(texts)}

    class Encoder:
        def encode(self, asked, **_):
            return np.stack([named[text] for text in asked]).astype(np.float32)

    pairs, corpus = (
        [(f"anchor {i}", f"text {at}") for i, at in enumerate(own)],
        [f"text {i}" for i in range(len(texts))],
    )
    options = dict(relative_margin=0.2, num_negatives=1, range_max=len(texts) - 1)
    found = {a: int(n.split()[1]) for a, _, n in mine_hard_negatives(pairs, Encoder(), corpus, **options).examples}
    return [found.get(f"anchor {i}") for i in range(len(anchors))]


@pytest.mark.parametrize("mine", [by_hand, not_near_the_positive, by_the_library])
def test_every_way_that_reaches_the_marks_is_right(mine):
    assert judge(MINE, measured(mine)), judge(MINE, measured(mine)).message


def test_what_misses_a_mark_is_told_its_number():
    result = judge(MINE, measured(lambda *given: [None] * 30 + by_the_library(*given)[30:]))
    assert "30 negatives only" in result.message
    assert "expected for each of 60 anchors" in judge(MINE, measured(lambda *given: [0])).message
    assert judge(MINE, measured(lambda *given: None)).kind == "not attempted"


def dot_with_margin(anchors, texts, own):
    scores = anchors @ texts.T
    limits = 0.8 * scores[np.arange(len(own)), own]
    scores[(scores > limits[:, None]) | (np.arange(len(texts)) == own[:, None])] = -9
    return scores.argmax(axis=1)


NEAR = {
    "cut on the wrong axis": (CUT, lambda a, b, d: CUT.solution(a[:d], b[:d], a.shape[1]), "Which axis is which?"),
    "dot products": (CUT, lambda a, b, d: a[:, :d] @ b[:, :d].T, "You take dot products"),
    "normalised, then cut": (
        CUT,
        lambda a, b, d: (a / a.norm(dim=1, keepdim=True))[:, :d] @ (b / b.norm(dim=1, keepdim=True))[:, :d].T,
        "You normalise the whole vectors and cut afterwards",
    ),
    "rows by rows": (
        CUT,
        lambda a, b, d: torch.cosine_similarity(a[:, :d], b[:, :d], dim=1),
        "You compare vector i with vector i only",
    ),
    "the nearest is taken": (
        MINE,
        measured(lambda a, t, own: cosine_similarity(a, t).argmax(axis=1)),
        "the anchor's own positive",
    ),
    "by dot product": (
        MINE,
        measured(dot_with_margin),
        "different lengths",
    ),
    "pooled": (SHARE, lambda g: sum(f for *_, f in g) / sum(r for _, r, _ in g), "You add up what was read"),
    "mean of shares": (SHARE, lambda g: float(np.mean([f / r for _, r, f in g])), "as if they were of one size"),
    "per cent": (SHARE, lambda g: 100 * SHARE.solution(g), "You return per cent"),
    "only what was found": (SHARE, lambda g: sum(f for *_, f in g) / sum(n for n, *_ in g), "that nobody has read"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    exercise, answer, message = NEAR[name]
    result = judge(exercise, answer)
    assert result.kind == "known mistake" and message in result.message


def test_the_share_does_not_depend_on_how_many_were_read():
    assert SHARE.solution([(40, 40, 30), (160, 20, 5)]) == pytest.approx(SHARE.solution([(40, 4, 3), (160, 80, 20)]))
    assert SHARE.solution([(40, 40, 30), (160, 20, 5)]) == pytest.approx(70 / 200)
