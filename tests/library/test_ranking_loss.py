"""MultipleNegativesRankingLoss against sentence-transformers', values and gradients in float64."""

import math

import pytest
import torch
from parity import DIM, Given, assert_equal, columns, embeddings
from sentence_transformers.sentence_transformer import losses as reference

from course_lib.losses import MultipleNegativesRankingLoss


@pytest.mark.parametrize("columns_given", [2, 3, 5])
@pytest.mark.parametrize("scale", [20.0, 5.0])
@pytest.mark.parametrize("batch", [1, 5, 200])
def test_equals_sentence_transformers(columns_given, scale, batch):
    vectors = embeddings(columns_given, batch)
    theirs = reference.MultipleNegativesRankingLoss(Given(), scale)(columns(vectors), None)
    assert_equal(MultipleNegativesRankingLoss(scale)(*vectors), theirs, vectors)


@pytest.mark.parametrize("columns_given", [2, 3])
def test_symmetric_equals_sentence_transformers(columns_given):
    vectors = embeddings(columns_given, 40)
    both_ways = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
    theirs = reference.MultipleNegativesRankingLoss(Given(), **both_ways)(columns(vectors), None)
    assert_equal(MultipleNegativesRankingLoss(symmetric=True)(*vectors), theirs, vectors)
    assert MultipleNegativesRankingLoss()(*vectors) != theirs


@pytest.mark.parametrize("options", [{}, {"symmetric": True}], ids=str)
@pytest.mark.parametrize("columns_given", [2, 3])
def test_gathered_shares_are_the_whole_batch(options, columns_given):
    whole = embeddings(columns_given, 12)
    expected = MultipleNegativesRankingLoss(**options)(*whole)
    total = 0.0
    for start, end in ((0, 5), (5, 12)):  # two processes, whose gather is a look at the whole
        share = [x[start:end] for x in whole]
        gather = lambda rows: next((x, start) for x, own in zip(whole, share) if own is rows)
        total = total + (end - start) / 12 * MultipleNegativesRankingLoss(**options, gather=gather)(*share)
    assert_equal(total, expected, whole)


def test_takes_any_number_of_negatives():
    vectors = [*embeddings(2), *embeddings(1, batch=3, seed=1), *embeddings(1, batch=7, seed=2)]
    theirs = reference.MultipleNegativesRankingLoss(Given())(columns(vectors), None)
    assert_equal(MultipleNegativesRankingLoss()(*vectors), theirs, vectors)
    none = vectors[2][:0]  # a batch whose rows happen to have no negatives
    assert MultipleNegativesRankingLoss()(*vectors[:2], none) == MultipleNegativesRankingLoss()(*vectors[:2])


def test_scale_is_20_by_default():
    vectors = embeddings(2)
    assert MultipleNegativesRankingLoss()(*vectors) == MultipleNegativesRankingLoss(scale=20.0)(*vectors)


def test_by_hand():
    anchors, positives = torch.eye(2, 4), 3 * torch.eye(2, 4)  # lengths are of no account
    expected = math.log(1 + math.exp(-20))
    assert MultipleNegativesRankingLoss()(anchors, positives).item() == pytest.approx(expected, abs=1e-7)
    assert MultipleNegativesRankingLoss()(anchors, torch.ones(2, 4)).item() == pytest.approx(math.log(2))
    assert MultipleNegativesRankingLoss()(anchors, anchors, anchors).item() == pytest.approx(math.log(2))
    assert MultipleNegativesRankingLoss()(anchors[:1], positives[:1]).item() == 0.0


@pytest.mark.parametrize("options", [{}, {"symmetric": True}], ids=str)
def test_keeps_its_precision_under_autocast(options):
    vectors = [x.detach().float() for x in embeddings(2, batch=64)]
    loss = MultipleNegativesRankingLoss(**options)
    expected = loss(*vectors)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(*vectors) == expected
        halves = [x.bfloat16() for x in vectors]
        assert loss(*halves) == loss(*(x.float() for x in halves))


@pytest.mark.parametrize(
    "shapes",
    [
        [(5, 6), (4, 6)],
        [(5, 6), (5, 7)],
        [(5, 6), (5, 6), (2, 7)],
        [(5, 6), (5, 6), (6,)],
        [(6,), (6,)],
        [(0, 6), (0, 6)],
        [(0, 6), (0, 6), (3, 6)],
    ],
    ids=str,
)
def test_names_wrong_shapes(shapes):
    with pytest.raises(ValueError, match="in the first 2 columns") as error:
        MultipleNegativesRankingLoss()(*map(torch.ones, shapes))
    assert str(shapes) in str(error.value)


@pytest.mark.parametrize("bad", [0, -1.0, math.nan])
def test_refuses_a_scale_that_is_not_positive(bad):
    with pytest.raises(ValueError, match=str(bad)):
        MultipleNegativesRankingLoss(bad)


@pytest.mark.parametrize("options", [{}, {"symmetric": True}], ids=str)
@pytest.mark.parametrize("column", [0, 1, 2])
def test_one_bad_embedding_shows_in_the_loss(options, column):
    vectors = [x.detach().clone() for x in embeddings(3)]
    vectors[column][3, DIM - 1] = torch.nan
    assert MultipleNegativesRankingLoss(**options)(*vectors).isnan()
