"""course_lib.finetuning.matryoshka against the loss of sentence-transformers, values and gradients in float64."""

import math

import pytest
import torch
from parity import DIM, Given, assert_equal, columns, embeddings
from sentence_transformers.sentence_transformer import losses as reference
from torch.nn import functional as F

from course_lib.finetuning.contrastive import ContrastiveLoss, OnlineContrastiveLoss
from course_lib.finetuning.cosent import CoSENTLoss
from course_lib.finetuning.distillation import MSELoss, RelationalLoss
from course_lib.finetuning.matryoshka import MatryoshkaLoss
from course_lib.losses import CosineSimilarityLoss, MultipleNegativesRankingLoss, SoftmaxLoss, TripletLoss

LABELS = torch.arange(40) % 2
SCORES = torch.linspace(-1, 1, 40)


AROUND = [  # a loss of ours, how many columns of embeddings it takes, and what comes after them
    (MultipleNegativesRankingLoss(), 3, None),
    (TripletLoss(), 3, None),
    (CoSENTLoss(), 2, SCORES),
    (CosineSimilarityLoss(), 2, SCORES),
    (ContrastiveLoss(), 2, LABELS),
    (OnlineContrastiveLoss(), 2, LABELS),
    (MSELoss(), 1, embeddings(1, 40, seed=7)[0].detach()),
]


@pytest.mark.parametrize("loss, count, last", AROUND, ids=[type(loss).__name__ for loss, _, _ in AROUND])
@pytest.mark.parametrize("dims, weights", [([6, 3, 2], None), ([2, 6], [0.5, 2.0]), ([4], None)], ids=str)
def test_matryoshka_equals_sentence_transformers(loss, count, last, dims, weights):
    vectors, model = embeddings(count, 40), Given()
    theirs = reference.MatryoshkaLoss(model, getattr(reference, type(loss).__name__)(model), dims, weights)
    targets = () if last is None else (last,)
    value = MatryoshkaLoss(loss, dims, weights)(*vectors, *targets)
    assert_equal(value, theirs(columns(vectors), last), vectors)
    assert value != loss(*vectors, *targets)


def test_matryoshka_of_relations_keeps_the_teacher_whole():
    (student,), (teacher,) = embeddings(1, 40), embeddings(1, 40, seed=1)
    expected = RelationalLoss()(student, teacher) + RelationalLoss()(student[:, :2], teacher)
    assert_equal(MatryoshkaLoss(RelationalLoss(), [6, 2])(student, teacher), expected, [student])


def test_matryoshka_of_softmax_uses_a_part_of_the_head():
    (u, v), head = embeddings(2, 40), SoftmaxLoss(DIM, 2, ("u", "v", "u*v")).double()
    weight, bias = head.classifier.weight, head.classifier.bias
    expected = 0.0
    for k in (6, 2):
        cut = [F.normalize(x[:, :k], dim=1) for x in (u, v)]
        logits = bias + sum(part @ weight[:, i * DIM : i * DIM + k].T for i, part in enumerate([*cut, cut[0] * cut[1]]))
        expected = expected + F.cross_entropy(logits, LABELS)
    loss = MatryoshkaLoss(head, [2, 6])
    assert_equal(loss(u, v, LABELS), expected, [u, v, weight, bias])
    assert set(dict(loss.named_parameters())) == {"loss.classifier.weight", "loss.classifier.bias"}
    with pytest.raises(ValueError, match=r"\(rows, 6\)"):
        MatryoshkaLoss(head, [2, 5])(u[:, :5], v[:, :5], LABELS)


@pytest.mark.parametrize(
    "inner, last", [(RelationalLoss(), ()), (SoftmaxLoss(DIM), (LABELS,))], ids=["relations", "softmax"]
)
def test_half_precision_is_computed_in_float32_under_autocast_too(inner, last):
    loss = MatryoshkaLoss(inner, [6, 2])
    u, v = (x.detach().bfloat16() for x in embeddings(2, 40))
    expected = loss(u.float(), v.float(), *last)
    assert expected.dtype == torch.float32 and torch.equal(loss(u, v, *last), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(u, v, *last), expected)


@pytest.mark.parametrize("dims", [[], [0, 2], [-1], [4, 4]], ids=str)
def test_impossible_dims_are_named(dims):
    with pytest.raises(ValueError, match="one or more different whole numbers") as error:
        MatryoshkaLoss(CoSENTLoss(), dims)
    assert str(dims) in str(error.value)


def test_dims_and_weights_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="embeddings have 6 dimensions, but dims names 8"):
        MatryoshkaLoss(MultipleNegativesRankingLoss(), [2, 8])(*embeddings(2))
    with pytest.raises(ValueError, match="one weight for each of the 2 dims, got 3"):
        MatryoshkaLoss(CoSENTLoss(), [2, 4], [1, 1, 1])
    for bad in (0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"must be positive, got {bad}"):
            MatryoshkaLoss(CoSENTLoss(), [2, 4], [1, bad])
