"""Exercises of notebook 12 know the answers that are near, and agree with what the library and scikit-learn do."""

import numpy as np
import pytest
import torch
from repository import ROOT
from sklearn.metrics.pairwise import cosine_similarity

from course_lib.exercises import judge, load_exercises
from course_lib.finetuning.mining import mine_hard_negatives

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "12.py")
CUT, HARDEST, SHARE = (EXERCISES[f"12.{i}"] for i in (1, 2, 3))


@pytest.mark.parametrize("case", CUT.cases)
def test_solution_is_scikit_learns_cosine(case):
    a, b, dim = CUT.cases[case]
    assert np.allclose(CUT.solution(a, b, dim), cosine_similarity(a[:, :dim], b[:, :dim]), atol=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.3])
def test_solution_finds_what_mining_finds(margin):
    """A relative margin of m is an absolute one of m times the positive's score."""
    generator = torch.Generator().manual_seed(0)
    vectors = {f"text {i}": torch.randn(4, generator=generator).abs() for i in range(12)}
    texts = list(vectors)
    pairs = list(zip(texts[:6], texts[6:]))

    class Encoder:
        def encode(self, asked, **_):
            return torch.stack([vectors[text] for text in asked]).numpy()

    mined = mine_hard_negatives(pairs, Encoder(), relative_margin=margin, num_negatives=1)
    chosen = {anchor: negative for anchor, _, negative in mined.examples}
    positives = torch.stack([vectors[p] for _, p in pairs])
    for i, (anchor, _) in enumerate(pairs):
        scores = cosine_similarity(vectors[anchor][None], positives)[0].tolist()
        found = HARDEST.solution(scores, i, margin * scores[i])
        assert (None if found < 0 else pairs[found][1]) == chosen.get(anchor)


def last_of_equals(scores, positive, margin):
    allowed = [i for i, s in enumerate(scores) if i != positive and s <= scores[positive] - margin]
    return sorted(allowed, key=lambda i: (scores[i], i))[-1] if allowed else -1


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
    "last of equals": (HARDEST, last_of_equals, "The first one's is wanted"),
    "counted from 1": (
        HARDEST,
        lambda s, p, m: HARDEST.solution(s, p, m) + (HARDEST.solution(s, p, m) >= 0),
        "You count from 1",
    ),
    "relative margin": (HARDEST, lambda s, p, m: HARDEST.solution(s, p, m * s[p]), "a share of the positive's score"),
    "the positive itself": (
        HARDEST,
        lambda s, p, m: max((i for i in range(len(s)) if s[i] <= s[p] - m), key=lambda i: s[i], default=-1),
        "You return the positive itself",
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
