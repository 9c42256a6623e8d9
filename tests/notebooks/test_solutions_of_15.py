"""Exercise 15.2 chooses a threshold at the real share of duplicates; other ways to write it are right, too."""

import numpy as np
import pytest
from repository import ROOT

from course_lib.exercises import judge, load_exercises
from course_lib.retrieval.paraphrases import calibrate

EXERCISES = load_exercises(ROOT / "notebooks" / "solutions" / "15.py")
CHOOSE = EXERCISES["15.2"]


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
