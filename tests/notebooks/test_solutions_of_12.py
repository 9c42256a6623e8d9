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
SHORT, MINE, FRONT = (EXERCISES[f"12.{i}"] for i in (1, 2, 3))


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


def by_counting(sizes, draws):
    """As a learner may write it: a difference is shown where at most one draw in forty lies on the other side."""
    ahead = lambda a, b: np.mean(draws[a] <= draws[b]) <= 0.025
    kept = []
    for name in sizes:
        rivals = [other for other in sizes if sizes[other] <= sizes[name] and not ahead(name, other)]
        if not any(sizes[other] < sizes[name] or ahead(other, name) for other in rivals):
            kept.append(name)
    return kept


def by_highest_mean(sizes, draws):
    """From the smallest on, each whose mean is higher than all before."""
    kept, highest = [], -np.inf
    for name in sorted(sizes, key=lambda key: (sizes[key], -draws[key].mean())):
        if draws[name].mean() > highest:
            kept, highest = [*kept, name], draws[name].mean()
    return [name for name in sizes if name in kept]


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
    "means alone": (FRONT, by_highest_mean, "You compare means"),
}


@pytest.mark.parametrize("name", NEAR)
def test_a_near_answer_is_told_its_kind_of_mistake(name):
    exercise, answer, message = NEAR[name]
    result = judge(exercise, answer)
    assert result.kind == "known mistake" and message in result.message


def test_the_front_by_counting_draws_is_right_too():
    assert judge(FRONT, by_counting), judge(FRONT, by_counting).message


@pytest.mark.parametrize("case", FRONT.cases)
def test_the_front_depends_on_differences_and_not_on_the_order(case):
    """Luck that all forms share leaves it as it is, and so does naming the forms in another order."""
    sizes, draws = FRONT.cases[case]
    shared = 50 * np.random.default_rng(1).normal(size=len(next(iter(draws.values()))))
    expected = FRONT.solution(sizes, draws)
    assert FRONT.solution(sizes, {name: of + shared for name, of in draws.items()}) == expected
    assert FRONT.solution(dict(reversed(sizes.items())), draws) == expected[::-1] != []
