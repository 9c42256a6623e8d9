"""course_lib.finetuning.cosent against the loss of sentence-transformers, values and gradients in float64."""

import math

import pytest
import torch
from parity import Given, assert_equal, columns, pairs, random_labels
from sentence_transformers.sentence_transformer import losses as reference

from course_lib.finetuning.cosent import CoSENTLoss


@pytest.mark.parametrize("scale", [20.0, 1.0])
@pytest.mark.parametrize(
    "scores",
    [
        torch.rand(40, generator=torch.Generator().manual_seed(1)),
        random_labels(high=6),
        random_labels(high=2),
        torch.zeros(40),
        torch.arange(40) - 20,
    ],
    ids=["different", "six grades", "two grades", "equal", "descending and negative"],
)
def test_cosent_equals_sentence_transformers(scale, scores):
    u, v = pairs()
    theirs = reference.CoSENTLoss(Given(), scale)(columns([u, v]), scores)
    assert_equal(CoSENTLoss(scale)(u, v, scores), theirs, [u, v])


def test_cosent_by_hand():
    u, v = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])  # cosines 1 and 0
    assert CoSENTLoss()(u, v, torch.tensor([0.9, 0.1])).item() == pytest.approx(math.log(1 + math.exp(-20)), abs=1e-7)
    assert CoSENTLoss()(u, v, torch.tensor([0.1, 0.9])).item() == pytest.approx(20, abs=1e-6)
    assert CoSENTLoss()(u, v, torch.tensor([3, 3])).item() == 0
