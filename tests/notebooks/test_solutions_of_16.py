"""Exercise 16.1 puts a recall of held-out scenes beside a blind reader's: other ways to write it are right, too."""

from collections import Counter

import pytest
import torch
from repository import ROOT

from course_lib.exercises import judge, load_exercises

EXERCISE = load_exercises(ROOT / "notebooks" / "solutions" / "16.py")["16.1"]


def by_loop(cosines, looks, held_out):
    """As one would write it first: every held-out scene, one direction after the other."""
    n, right, chances = len(looks), 0, []
    for i in range(n):
        if held_out[i]:
            right += all(cosines[i, i] >= cosines[i, j] for j in range(n))
            right += all(cosines[i, i] >= cosines[j, i] for j in range(n))
            chances.append(1 / sum(looks[i] == looks[j] for j in range(n)))
    return [right / (2 * len(chances)), sum(chances) / len(chances)]


def by_ranks(cosines, looks, held_out):
    """As tensors, by how many others are nearer."""
    own, wanted = cosines.diagonal(), torch.tensor(held_out)
    nearer = torch.stack([(cosines > own[:, None]).sum(1), (cosines > own[None]).sum(0)])  # (2, n)
    counts = Counter(looks)
    chances = torch.tensor([1 / counts[look] for look in looks])
    return (nearer == 0)[:, wanted].double().mean(), chances[wanted].mean()


def drawn_guesses(cosines, looks, held_out):
    """The blind reader really guesses, and many times: near, but not right."""
    generator = torch.Generator().manual_seed(0)
    fits = torch.tensor([[a == b for b in looks] for a in looks]).float()
    guesses = torch.multinomial(fits, 200, replacement=True, generator=generator)  # (n, 200)
    right = (guesses == torch.arange(len(looks))[:, None]).float().mean(1)
    return EXERCISE.solution(cosines, looks, held_out)[0], right[torch.tensor(held_out)].mean().item()


@pytest.mark.parametrize("answer", [by_loop, by_ranks])
def test_other_ways_are_right(answer):
    assert judge(EXERCISE, answer)


def test_a_guess_that_is_drawn_is_not_the_chance():
    result = judge(EXERCISE, drawn_guesses)
    assert result.kind == "wrong" and "too" in result.message


def test_model_and_blind_reader_are_not_equal_by_the_way():
    for case in EXERCISE.cases.values():
        model, blind = EXERCISE.solution(*case)
        assert 0 <= model <= 1 and 0 < blind <= 1
    assert any(model < blind for model, blind in (EXERCISE.solution(*case) for case in EXERCISE.cases.values()))
