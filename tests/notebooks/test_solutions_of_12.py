"""Exercises of notebook 12 know the answers that are near, and agree with what the library and scikit-learn do."""

import numpy as np
import pytest
from repository import ROOT
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity

from course_lib.exercises import judge, load_exercises
from course_lib.finetuning.mining import mine_hard_negatives
from recipes.shared.mined_measures import measured

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "12.py")
SHORT, MINE, SHARE = (EXERCISES[f"12.{i}"] for i in (1, 2, 3))


@pytest.mark.parametrize("case", SHORT.cases)
def test_solution_is_scikit_learns_pca_and_cosine(case):
    queries, pages, dim = SHORT.cases[case]
    turn = PCA(dim).fit(pages).components_.T  # (wide, dim)
    assert np.allclose(SHORT.solution(queries, pages, dim), cosine_similarity(queries @ turn, pages @ turn))


def test_fitting_by_singular_values_is_right_too():
    def by_svd(queries, pages, dim):
        turn = np.linalg.svd(pages - pages.mean(axis=0))[2][:dim].T
        return cosine_similarity(queries @ turn, pages @ turn)

    assert judge(SHORT, by_svd)


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


def by_formula(parts):
    """One total for all groups, and of each its weight, how many there are, were read and were false."""
    ((total, groups),) = parts
    share = sum(weight * false / read for weight, _, read, false in groups) / total
    squares = [(w / total) ** 2 * f / r * (1 - f / r) / r for w, n, r, f in groups if r < n]
    return share, 2 * sum(squares) ** 0.5


NEAR = {
    "no length 1 after the cut": (
        SHORT,
        lambda q, p, d: PCA(d).fit(p).components_.dot(q.T).T @ PCA(d).fit(p).components_.dot(p.T),
        "You take dot products",
    ),
    "scikit-learn centres": (
        SHORT,
        lambda q, p, d: cosine_similarity(PCA(d).fit(p).transform(q), PCA(d).fit(p).transform(p)),
        "You centre the vectors",
    ),
    "not centred when fitted": (
        SHORT,
        lambda q, p, d: cosine_similarity(*(x @ np.linalg.svd(p)[2][:d].T for x in (q, p))),
        "most of the length",
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
    "pooled": (
        SHARE,
        lambda g: by_formula([(sum(r for _, r, _ in g), [(r, n, r, f) for n, r, f in g])]),
        "by what was read of it",
    ),
    "per cent": (SHARE, lambda g: [100 * x for x in SHARE.solution(g)], "You return per cent"),
    "one standard error": (SHARE, lambda g: (SHARE.solution(g)[0], SHARE.solution(g)[1] / 2), "one standard error"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    exercise, answer, message = NEAR[name]
    result = judge(exercise, answer)
    assert result.kind == "known mistake" and message in result.message


def test_the_share_does_not_depend_on_how_many_were_read():
    share, of_less = (
        SHARE.solution(groups)[0] for groups in ([(40, 40, 30), (160, 20, 5)], [(40, 4, 3), (160, 80, 20)])
    )
    assert share == pytest.approx(of_less) == pytest.approx(70 / 200)


@pytest.mark.parametrize("case", SHARE.cases)
def test_two_spreads_hold_what_other_samples_would_give(case):
    """Each group read in part is drawn anew at the rate that was found; one that was read whole stays."""
    (groups,) = SHARE.cases[case]
    draw, everything = np.random.default_rng(0), sum(count for count, _, _ in groups)
    again = sum(
        count / everything * (false if read == count else draw.binomial(read, false / read, size=20_000)) / read
        for count, read, false in groups
    )
    share, spread = SHARE.solution(groups)
    assert (again.mean(), 2 * again.std()) == pytest.approx((share, spread), rel=0.03)
