"""The guesser that counts: probabilities, half of them on a token that is shown, and better than a blind guess."""

import math

import pytest
import torch

from course_lib.models.masked_lm import mask_tokens
from recipes.token_frequencies import guess

COUNTS = torch.tensor([1.0, 2.0, 5.0, 2.0])
MASK = 0


def test_a_hidden_token_gets_the_shares():
    (row,) = guess(COUNTS, torch.tensor([MASK]), MASK).exp()
    torch.testing.assert_close(row, COUNTS / 10)


def test_a_token_that_is_shown_gets_half():
    (row,) = guess(COUNTS, torch.tensor([3]), MASK).exp()
    torch.testing.assert_close(row, COUNTS / 20 + torch.tensor([0, 0, 0, 0.5]))
    assert row.sum().item() == pytest.approx(1)


def test_its_loss_is_what_arithmetic_says():
    """80% hidden cost the entropy, 10% kept ln 2 or less, 10% random both."""
    torch.manual_seed(0)
    size, count = 1000, 100_000
    counts = torch.ones(size)
    ids = torch.randint(1, size, (count,))
    masked, places, truth = mask_tokens(ids, torch.arange(count), count // 2, MASK, size)
    loss = torch.nn.functional.nll_loss(guess(counts, masked[places], MASK), truth).item()
    assert loss == pytest.approx(0.9 * math.log(size) + 0.2 * math.log(2), abs=0.05)
    assert loss < math.log(size)
