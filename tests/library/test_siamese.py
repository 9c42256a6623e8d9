"""course_lib.siamese: one encoder reads all texts of a batch, and the loss gets its columns."""

import pytest
import torch
from torch import nn

from course_lib.data import NLIExample, ScoredPair
from course_lib.finetuning.contrastive import ContrastiveLoss
from course_lib.losses import CosineSimilarityLoss, MultipleNegativesRankingLoss, SoftmaxLoss, TripletLoss
from course_lib.siamese import siamese_objective, text_and_number_columns


class Lengths(nn.Module):
    """An encoder of texts such as "p0"; it counts its calls."""

    def __init__(self):
        super().__init__()
        self.weight, self.calls = nn.Parameter(torch.ones(3)), []

    def forward(self, texts):
        self.calls.append(texts)
        return torch.tensor([[len(t), ord(t[0]) / 50, float(t[1:])] for t in texts]) * self.weight


def vectors(*texts):
    return Lengths()(list(texts))


@pytest.mark.parametrize(
    "loss, batch, expected",
    [
        (
            SoftmaxLoss(3),
            [NLIExample("p0", "h0", 2), NLIExample("p1", "h11", 0)],
            lambda loss: loss(vectors("p0", "p1"), vectors("h0", "h11"), torch.tensor([2, 0])),
        ),
        (
            CosineSimilarityLoss(),
            [ScoredPair("p0", "h0", 0.5), ScoredPair("p1", "h11", 0.0)],
            lambda loss: loss(vectors("p0", "p1"), vectors("h0", "h11"), torch.tensor([0.5, 0.0])),
        ),
        (
            ContrastiveLoss(),
            [("p0", "h0", 1), ("p1", "h11", 0)],
            lambda loss: loss(vectors("p0", "p1"), vectors("h0", "h11"), torch.tensor([1, 0])),
        ),
        (
            TripletLoss(),
            [("a0", "p0", "n0"), ("a1", "p1", "n11")],
            lambda loss: loss(vectors("a0", "a1"), vectors("p0", "p1"), vectors("n0", "n11")),
        ),
        (
            MultipleNegativesRankingLoss(),
            [{"anchor": "a0", "positive": "p0"}, {"anchor": "a1", "positive": "p1"}],
            lambda loss: loss(vectors("a0", "a1"), vectors("p0", "p1")),
        ),
        (
            MultipleNegativesRankingLoss(),
            [("a0", "p0", "n0"), ("a1", "p1"), ("a2", "p2", "n2", "m2")],
            lambda loss: loss(vectors("a0", "a1", "a2"), vectors("p0", "p1", "p2"), vectors("n0", "n2"), vectors("m2")),
        ),
    ],
    ids=lambda x: type(x).__name__,
)
def test_the_loss_gets_its_columns(loss, batch, expected):
    encoder = Lengths()
    value = siamese_objective(encoder, loss)(batch)
    assert torch.equal(value, expected(loss)) and value.requires_grad and len(encoder.calls) == 1


def test_hard_negatives_are_one_column_that_may_be_empty():
    """Also where no example of a batch has one: several processes must then hand the same columns around."""
    assert text_and_number_columns([("a", "b"), ("c", "d")]) == ([["a", "c"], ["b", "d"], []], [])
    assert text_and_number_columns([("a", "b", "n", "m"), ("c", "d", "o")])[0][2] == ["n", "o", "m"]


def test_numbers_have_columns_of_their_own_wherever_they_stand():
    assert text_and_number_columns([(1, "a", "b"), (0, "c", "d")]) == ([["a", "c"], ["b", "d"]], [[1, 0]])
    assert text_and_number_columns([("a", "b", "n", 0.5)]) == ([["a"], ["b"], ["n"]], [[0.5]])


@pytest.mark.parametrize("example", ["a text", ("a", 1), (1, 2), torch.ones(2)])
def test_one_text_is_no_pair(example):
    with pytest.raises(ValueError, match="two or more in each example, got"):
        siamese_objective(Lengths(), SoftmaxLoss(3))([example])
