"""course_lib.finetuning.contrastive against the losses of sentence-transformers, values and gradients in float64."""

import math

import pytest
import torch
from parity import Given, assert_equal, columns, degenerate_pairs, pairs, random_labels
from sentence_transformers.sentence_transformer import losses as reference

from course_lib.finetuning.contrastive import ContrastiveLoss, OnlineContrastiveLoss

METRICS = {"cosine": "COSINE_DISTANCE", "euclidean": "EUCLIDEAN", "manhattan": "MANHATTAN"}


@pytest.mark.parametrize("distance, margin", [("cosine", 0.5), ("cosine", 1.2), ("euclidean", 2.0), ("manhattan", 4.0)])
@pytest.mark.parametrize("loss", [ContrastiveLoss, OnlineContrastiveLoss])
@pytest.mark.parametrize(
    "labels",
    [
        random_labels(),
        random_labels() > 0,
        random_labels().float(),
        torch.ones(40).long(),
        torch.zeros(40).long(),
        (torch.arange(40) > 0).long(),
    ],
    ids=["integers", "bool", "floats", "positives only", "negatives only", "one negative"],
)
@pytest.mark.parametrize("degenerate", [False, True])
def test_contrastive_equals_sentence_transformers(distance, margin, loss, labels, degenerate):
    u, v = degenerate_pairs() if degenerate else pairs()
    metric = getattr(reference.SiameseDistanceMetric, METRICS[distance])
    theirs = getattr(reference, loss.__name__)(Given(), metric, margin)
    labels_there = labels.long() if labels.dtype == torch.bool else labels  # it computes 1 - labels
    assert_equal(loss(distance, margin)(u, v, labels), theirs(columns([u, v]), labels_there), [u, v])


@pytest.mark.parametrize("loss", [ContrastiveLoss, OnlineContrastiveLoss])
def test_contrastive_defaults(loss):
    (u, v), labels = pairs(), random_labels()
    assert_equal(loss()(u, v, labels), getattr(reference, loss.__name__)(Given())(columns([u, v]), labels), [u, v])
    one = [x[:1] for x in (u, v)]
    for label in (0, 1):  # a single pair is never hard
        assert OnlineContrastiveLoss()(*one, torch.tensor([label])) == 0


def test_online_contrastive_looks_at_hard_pairs_only():
    angles = torch.tensor([0.0, 60.0, 45.0, 90.0]).deg2rad()  # cosine distances 0, 0.5 | 0.293, 1
    u, v = torch.tensor([[1.0, 0.0]]).expand(4, 2), torch.stack([angles.cos(), angles.sin()], dim=1)
    labels, near = torch.tensor([1, 1, 0, 0]), 1 - math.sqrt(0.5)
    assert OnlineContrastiveLoss()(u, v, labels).item() == pytest.approx(0.5**2 + (0.5 - near) ** 2, abs=1e-6)
    assert ContrastiveLoss()(u, v, labels).item() == pytest.approx((0.5**2 + (0.5 - near) ** 2) / 8, abs=1e-6)
