"""Exercise 16.1 puts a test of near misses beside a blind reader: other ways to write it are right, too."""

import pytest
import torch
from repository import ROOT

from course_lib.exercises import judge, load_exercises

EXERCISE = load_exercises(ROOT / "notebooks" / "solutions" / "16.py")["16.1"]


def by_loop(own, missed, looks, looks_missed):
    """As one would write it first: one picture after the other."""
    right, guessed, there = [], [], []
    for mine, other, look, look_missed in zip(own.tolist(), missed.tolist(), looks, looks_missed):
        right.append(mine > other)
        guessed.append(0.5 if look == look_missed else 1)
        if look == look_missed:
            there.append(mine > other)
    return [sum(some) / len(some) for some in (right, guessed, there)]


def as_tensors(own, missed, looks, looks_missed):
    """Tensors of no dimension, weighted instead of chosen."""
    known = {look: number for number, look in enumerate({*looks, *looks_missed})}
    numbers = torch.tensor([[known[look] for look in some] for some in (looks, looks_missed)])  # (2, n)
    same = (numbers[0] == numbers[1]).double()
    nearer = (own - missed).gt(0).double()
    return nearer.mean(), 1 - same.mean() / 2, (nearer * same).sum() / same.sum()


@pytest.mark.parametrize("answer", [by_loop, as_tensors])
def test_other_ways_are_right(answer):
    assert judge(EXERCISE, answer)


def test_a_mean_of_parts_is_the_whole():
    """A reader that can tell all others and a model that is right on all of these: the mixture of 0.84 and 0.16."""
    n, same = 100, 16
    looks, looks_missed = [(k,) for k in range(n)], [(k if k < same else -1,) for k in range(n)]
    own, missed = torch.ones(n), torch.zeros(n)
    own[: same // 2] = -1.0
    model, blind, there = EXERCISE.solution(own, missed, looks, looks_missed)
    assert abs(model - 0.92) < 1e-6 and abs(blind - 0.92) < 1e-6 and there == 0.5


def overwrites(own, missed, looks, looks_missed):
    answer = EXERCISE.solution(own, missed, looks, looks_missed)
    own.zero_()
    return answer


def two_numbers(own, missed, looks, looks_missed):
    return EXERCISE.solution(own, missed, looks, looks_missed)[:2]


@pytest.mark.parametrize("answer, told", [(overwrites, "overwrites"), (two_numbers, "3")])
def test_a_near_answer_is_told_what_is_off(answer, told):
    result = judge(EXERCISE, answer)
    assert not result and told in result.message
