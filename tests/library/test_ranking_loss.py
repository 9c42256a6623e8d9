"""course_lib.losses.MultipleNegativesRankingLoss against those of sentence-transformers, values and gradients in float64."""

import math

import pytest
import torch
from parity import DIM, Given, assert_equal, columns, embeddings
from sentence_transformers.sentence_transformer import losses as reference
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from course_lib.losses import MultipleNegativesRankingLoss


class Guided(Given):
    """A model that GISTEmbedLoss accepts."""

    max_seq_length = 8

    class Tokenizer(PreTrainedTokenizerBase):
        def __init__(self):
            pass

        def get_vocab(self):
            return {}

    tokenizer = Tokenizer()


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


@pytest.mark.parametrize("columns_given", [2, 3])
@pytest.mark.parametrize("margin", [0.0, 0.3, -0.2])
@pytest.mark.parametrize("own_guide", [True, False])
def test_masking_equals_sentence_transformers(columns_given, margin, own_guide):
    vectors = embeddings(columns_given, 40)
    guide = [x.detach() for x in (vectors if own_guide else embeddings(columns_given, 40, seed=1))]
    theirs = reference.GISTEmbedLoss(
        Guided(), Guided("guide"), temperature=1 / 20, margin=margin, contrast_anchors=False, contrast_positives=False
    )
    features = [{"sentence_embedding": x, "guide": g} for x, g in zip(vectors, guide)]
    ours = MultipleNegativesRankingLoss(false_negative_margin=margin)
    value = ours(*vectors) if own_guide else ours(*vectors, guide=guide)
    assert_equal(value, theirs(features, None), vectors)
    assert value < MultipleNegativesRankingLoss()(*vectors)  # something was masked


def test_masking_by_hand():
    degrees = torch.tensor(
        [0.0, 90.0, 180.0, 5.0, 80.0, 2.0]
    )  # three anchors, their positives; the last is a false negative
    points = torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], dim=1)
    anchors, positives = points[:3], points[[3, 4, 5]]
    cosines = anchors @ positives.T
    expected = [
        -F.log_softmax(20 * row, dim=0)[0].item() for row in (cosines[0, :2], cosines[1, [1, 0, 2]], cosines[2, 2:3])
    ]  # 2 scores above 0's positive; 0 and 1 above 2's
    loss = MultipleNegativesRankingLoss(false_negative_margin=0.0)
    cosines_of_2 = cosines[2].tolist()
    assert cosines_of_2[0] > cosines_of_2[2] and cosines_of_2[1] > cosines_of_2[2]
    assert loss(anchors, positives).item() == pytest.approx(sum(expected) / 3, abs=1e-6)
    copies = torch.stack([positives[0], positives[0]])  # the same positive twice: a cosine is not above itself
    assert loss(points[:2] * 0 + points[0], copies).item() == pytest.approx(math.log(2), abs=1e-6)
    assert MultipleNegativesRankingLoss(false_negative_margin=0.01)(points[:2] * 0 + points[0], copies).item() == 0


def test_masking_is_of_both_directions_when_symmetric():
    anchors, positives = embeddings(2, 40)
    loss = MultipleNegativesRankingLoss(false_negative_margin=0.1)
    both = MultipleNegativesRankingLoss(false_negative_margin=0.1, symmetric=True)
    expected = (loss(anchors, positives) + loss(positives, anchors)) / 2
    assert_equal(both(anchors, positives), expected, [anchors, positives])
    guide = embeddings(2, 40, seed=1, dim=3)  # a guide may have another dimension
    expected = (loss(anchors, positives, guide=guide) + loss(positives, anchors, guide=guide[::-1])) / 2
    assert_equal(both(anchors, positives, guide=guide), expected, [anchors, positives])
    assert all(
        torch.autograd.grad(both(anchors, positives, guide=guide), x, allow_unused=True)[0] is None for x in guide
    )


@pytest.mark.parametrize(
    "options", [{}, {"symmetric": True}, {"false_negative_margin": 0.1, "symmetric": True}], ids=str
)
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


@pytest.mark.parametrize("options", [{}, {"symmetric": True, "false_negative_margin": 0.05}], ids=str)
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


def test_names_a_guide_of_other_texts():
    vectors, loss = embeddings(3), MultipleNegativesRankingLoss(false_negative_margin=0.0)
    for guide in (embeddings(2), embeddings(3, batch=4)):
        with pytest.raises(ValueError, match=r"same texts, \[5, 5, 5\] in each column, got \["):
            loss(*vectors, guide=guide)
    with pytest.raises(ValueError, match="without a false_negative_margin"):
        MultipleNegativesRankingLoss()(*vectors, guide=vectors)


@pytest.mark.parametrize("bad", [0, -1.0, math.nan])
def test_refuses_a_scale_that_is_not_positive(bad):
    with pytest.raises(ValueError, match=str(bad)):
        MultipleNegativesRankingLoss(bad)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 20.0])
def test_refuses_a_margin_that_no_cosine_reaches(bad):
    with pytest.raises(ValueError, match=rf"within -2\.\.2, as cosines are, got {bad}"):
        MultipleNegativesRankingLoss(false_negative_margin=bad)


@pytest.mark.parametrize("options", [{}, {"symmetric": True}, {"false_negative_margin": 0.1}], ids=str)
@pytest.mark.parametrize("column", [0, 1, 2])
def test_one_bad_embedding_shows_in_the_loss(options, column):
    vectors = [x.detach().clone() for x in embeddings(3)]
    vectors[column][3, DIM - 1] = torch.nan
    assert MultipleNegativesRankingLoss(**options)(*vectors).isnan()
