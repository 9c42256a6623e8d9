"""course_lib.support.loss_inputs, in the losses that use it: what does not fit is named, NaN and float16 are minded."""

import math

import pytest
import torch
from parity import DIM, embeddings

from course_lib.finetuning.contrastive import ContrastiveLoss, OnlineContrastiveLoss
from course_lib.finetuning.cosent import CoSENTLoss
from course_lib.losses import CosineSimilarityLoss, MultipleNegativesRankingLoss, SoftmaxLoss, TripletLoss

name_of = lambda x: type(x).__name__
SCORED = [CosineSimilarityLoss(), CoSENTLoss(), ContrastiveLoss(), OnlineContrastiveLoss()]


@pytest.mark.parametrize("loss", SCORED, ids=name_of)
@pytest.mark.parametrize(
    "targets, message",
    [
        (torch.ones(4), r"each of the 5 rows, \(5,\), got \(4,\)"),
        (torch.ones(5, 1), r"got \(5, 1\)"),
        (torch.tensor([1, 0, torch.nan, 1, torch.inf]), r"got nan in row 2 \(2 of 5 rows"),
        (torch.tensor(1.0), r"got \(\)"),
    ],
)
def test_targets_that_do_not_fit_are_named(loss, targets, message):
    with pytest.raises(ValueError, match=message):
        loss(*embeddings(2), targets)


def test_targets_out_of_range_are_named():
    u, v = embeddings(2)
    with pytest.raises(ValueError, match=r"-1\.\.1, as cosines are, got one of size 4.5: divide.*CoSENTLoss"):
        CosineSimilarityLoss()(u, v, torch.tensor([0.0, 1.0, 2.5, 4.5, 3.0]))
    assert CosineSimilarityLoss()(u, v, torch.full((5,), 1.0000001)).isfinite()
    for loss in (ContrastiveLoss(), OnlineContrastiveLoss()):
        with pytest.raises(ValueError, match=r"got \[-1, 0, 1\]: for graded scores take CoSENTLoss"):
            loss(u, v, torch.tensor([0, 1, -1, 1, 0]))


@pytest.mark.parametrize("loss", [*SCORED, TripletLoss()], ids=name_of)
@pytest.mark.parametrize(
    "shapes", [[(5, 6), (4, 6)], [(5, 6), (5, 7)], [(5, 6), (6,)], [(0, 6), (0, 6)], [(5, 0), (5, 0)]], ids=str
)
def test_shapes_that_do_not_fit_are_named(loss, shapes):
    last = torch.ones(shapes[1]) if isinstance(loss, TripletLoss) else torch.ones(shapes[0][0])
    with pytest.raises(ValueError, match="expected embeddings .*at least one") as error:
        loss(*map(torch.ones, shapes), last)
    assert str(shapes)[1:-1] in str(error.value)


@pytest.mark.parametrize("bad", [0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    "loss", [ContrastiveLoss, OnlineContrastiveLoss, TripletLoss, CoSENTLoss, MultipleNegativesRankingLoss]
)
def test_margins_and_scales_must_be_positive(loss, bad):
    name = "scale" if loss in (CoSENTLoss, MultipleNegativesRankingLoss) else "margin"
    with pytest.raises(ValueError, match=rf"^{name} must be positive, got {bad}"):
        loss(**{name: bad})
    if name == "margin":
        with pytest.raises(ValueError, match="'euclidean', 'cosine', 'manhattan'.*got 'dot'"):
            loss("dot")


@pytest.mark.parametrize("loss", [SoftmaxLoss(DIM, 2), *SCORED, TripletLoss()], ids=name_of)
def test_half_precision_is_computed_in_float32_under_autocast_too(loss):
    u, v, w = (x.detach().bfloat16() for x in embeddings(3, 40))
    last = w if isinstance(loss, TripletLoss) else torch.arange(40) % 2
    expected = loss(u.float(), v.float(), last.float() if last is w else last)
    assert expected.dtype == torch.float32 and torch.equal(loss(u, v, last), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(u, v, last), expected)
    with pytest.raises(ValueError, match="floating point numbers, got torch.int64"):
        loss(u.long(), v.long(), last.long())


@pytest.mark.parametrize("loss", [SoftmaxLoss(DIM, 2), *SCORED, TripletLoss()], ids=name_of)
@pytest.mark.parametrize("label", [0, 1])
def test_one_bad_embedding_shows_in_the_loss(loss, label):
    u, v, w = (x.detach().float() for x in embeddings(3, 40))
    u[7, 3] = torch.nan
    labels = torch.arange(40) % 2
    labels[7] = label
    assert loss(u, v, w if isinstance(loss, TripletLoss) else labels).isnan()
    assert loss(u, v, w if isinstance(loss, TripletLoss) else torch.full((40,), label)).isnan()
