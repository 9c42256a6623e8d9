"""15.2 chooses a threshold at the real share of duplicates, 15.3 links close pairs; other ways are right, too."""

from collections import Counter

import numpy as np
import pytest
from repository import ROOT
from sklearn.cluster import AgglomerativeClustering

from course_lib.exercises import judge, load_exercises
from course_lib.retrieval.paraphrases import calibrate

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "15.py")
CHOOSE, LINK = EXERCISES["15.2"], EXERCISES["15.3"]


@pytest.mark.parametrize("case", CHOOSE.cases)
def test_solution_is_what_calibrate_finds_among_all_pairs(case):
    scores, same, times, wanted = CHOOSE.cases[case]
    all_pairs = np.repeat(
        np.arange(len(scores)), np.where(same, 1, times)
    )  # each other pair as often as it was drawn from
    called = CHOOSE.solution(scores, same, times, wanted)
    try:
        threshold = calibrate(scores[all_pairs], same[all_pairs].astype(int), wanted)
    except ValueError:  # no threshold has the precision
        threshold = np.inf
    assert (called == (scores >= threshold)).all()


def cumulated(scores, same, times, wanted):
    """Sorted once; a threshold between two different cosines."""
    order = np.argsort(-scores)
    right, wrong = np.cumsum(same[order]), np.cumsum(~same[order]) * times
    last_of_equals = np.append(np.diff(scores[order]) < 0, True)
    fitting = np.flatnonzero((right / (right + wrong) >= wanted) & last_of_equals)
    if len(fitting) == 0:
        return np.full(len(scores), False)
    lowest = scores[order][fitting[-1]]
    below = scores[scores < lowest].max(initial=lowest - 1)
    return scores > (lowest + below) / 2


def with_the_first_exercise(scores, same, times, wanted):
    """The precision on the thinned pairs, turned into that with all pairs, from the lowest threshold up."""
    for threshold in np.sort(scores):
        called = scores >= threshold
        thinned = same[called].mean()
        if thinned > 0 and EXERCISES["15.1"].solution(thinned, times) >= wanted:
            return called
    return np.zeros_like(same)


@pytest.mark.parametrize("answer", [cumulated, with_the_first_exercise])
def test_other_ways_are_right(answer):
    assert judge(CHOOSE, answer)


def writes_to_its_argument(scores, same, times, wanted):
    scores *= -1
    return CHOOSE.solution(-scores, same, times, wanted)


def not_a_mask(scores, same, times, wanted):
    return CHOOSE.solution(scores, same, times, wanted).astype(int)


def raises_where_none_fits(scores, same, times, wanted):
    called = CHOOSE.solution(scores, same, times, wanted)
    return scores >= scores[called].min()


@pytest.mark.parametrize(
    "answer, told",
    [
        (writes_to_its_argument, "overwrites"),
        (not_a_mask, "True and False"),
        (raises_where_none_fits, "no threshold has it"),
    ],
)
def test_a_near_answer_is_told_what_is_off(answer, told):
    result = judge(CHOOSE, answer)
    assert not result and told in result.message


@pytest.mark.parametrize("seed", range(20))
def test_linked_pairs_are_the_groups_of_scikit_learn(seed):
    vectors = np.random.default_rng(seed).normal(size=(30, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines, (i, j) = vectors @ vectors.T, np.triu_indices(30, k=1)
    order = np.argsort(-cosines[i, j])
    threshold = (0.9, 0.6, 0.3, -0.2)[seed % 4]
    close = [(int(i[n]), int(j[n])) for n in order if cosines[i[n], j[n]] >= threshold]
    link = AgglomerativeClustering(None, metric="cosine", linkage="complete", distance_threshold=1 - threshold)
    theirs = link.fit_predict(vectors)
    assert LINK.solution(close, 30) == [int(np.flatnonzero(theirs == label)[0]) for label in theirs]


def by_counts(pairs, n):
    """How many pairs between two groups have come is counted; groups are sets."""
    group = [frozenset([row]) for row in range(n)]
    come = Counter()
    for i, j in pairs:
        a, b = group[i], group[j]
        come[frozenset([a, b])] += 1
        if come[frozenset([a, b])] == len(a) * len(b):
            for other in set(group) - {a, b}:
                come[frozenset([a | b, other])] = come[frozenset([a, other])] + come[frozenset([b, other])]
            for row in a | b:
                group[row] = a | b
    return [min(rows) for rows in group]


def test_counted_pairs_are_right():
    assert judge(LINK, by_counts)
