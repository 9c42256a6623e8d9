"""course_lib.losses against the losses of sentence-transformers, values and gradients in float64."""
import math

import pytest
import torch
from sentence_transformers.sentence_transformer import losses as reference
from torch import nn

from course_lib.losses import MultipleNegativesRankingLoss, SoftmaxLoss

DIM = 6


class Given(nn.Module):
    """A model whose embeddings are given: the reference losses call it with each column of a batch."""

    device = torch.device("cpu")

    def forward(self, features):
        return features


def embeddings(count, batch=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(count, batch, DIM, generator=generator, dtype=torch.float64)
    return [x.clone().requires_grad_() for x in vectors]


def columns(vectors):
    return [{"sentence_embedding": x} for x in vectors]


def softmax_pair(num_labels=3):
    """Our loss and theirs with the same head."""
    ours = SoftmaxLoss(DIM, num_labels).double()
    theirs = reference.SoftmaxLoss(Given(), DIM, num_labels).double()
    theirs.classifier.load_state_dict(ours.classifier.state_dict())
    return ours, theirs


@pytest.mark.parametrize("num_labels", [2, 3])
def test_softmax_equals_sentence_transformers(num_labels):
    (u, v), labels = embeddings(2), torch.tensor([0, 1, 1, 0, num_labels - 1])
    ours, theirs = softmax_pair(num_labels)
    value, expected = ours(u, v, labels), theirs(columns([u, v]), labels)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)
    gradients = torch.autograd.grad(value, [u, v, *ours.classifier.parameters()])
    expected_gradients = torch.autograd.grad(expected, [u, v, *theirs.classifier.parameters()])
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-9)
    torch.testing.assert_close(ours.logits(u, v), theirs(columns([u, v]), None)[1], rtol=0, atol=1e-9)


def test_softmax_features_are_u_v_and_their_distance():
    loss = SoftmaxLoss(2)
    features = loss.features(torch.tensor([[1.0, 5.0]]), torch.tensor([[4.0, 3.0]]))
    assert features.tolist() == [[1.0, 5.0, 4.0, 3.0, 3.0, 2.0]]
    assert [name for name, _ in loss.named_parameters()] == ["classifier.weight", "classifier.bias"]
    assert loss.classifier.weight.shape == (3, 6)


def test_softmax_of_an_ignorant_head_is_the_entropy_of_the_labels():
    loss = SoftmaxLoss(DIM)
    nn.init.zeros_(loss.classifier.weight)
    nn.init.zeros_(loss.classifier.bias)
    u, v = (x.float() for x in embeddings(2))
    assert loss(u, v, torch.tensor([0, 1, 2, 0, 1])).item() == pytest.approx(math.log(3), abs=1e-6)


def test_softmax_takes_half_precision_embeddings():
    u, v = (x.detach().bfloat16() for x in embeddings(2))
    assert SoftmaxLoss(DIM)(u, v, torch.zeros(5, dtype=torch.int32)).dtype == torch.float32


@pytest.mark.parametrize("u, v", [((5, 4), (5, 4)), ((5, 6), (4, 6)), ((6,), (6,)), ((5, 6), (1, 6))])
def test_softmax_names_wrong_shapes(u, v):
    with pytest.raises(ValueError, match=rf"\(batch, 6\), got \({u[0]},.*and \({v[0]},"):
        SoftmaxLoss(DIM)(torch.ones(u), torch.ones(v), torch.zeros(5, dtype=torch.long))


@pytest.mark.parametrize("labels, message", [
    (torch.zeros(5), "float32"), (torch.zeros(4, dtype=torch.long), r"5 pairs.*\(4,\)"),
    (torch.zeros(5, 1, dtype=torch.long), r"\(5, 1\)"),
    (torch.tensor([0, 1, 2, 3, 3]), r"0\.\.2, got \[0, 1, 2, 3\]"),
    (torch.tensor([0, 1, 2, -100, 0]), "-100")])
def test_softmax_names_wrong_labels(labels, message):
    u, v = (x.float() for x in embeddings(2))
    with pytest.raises(ValueError, match=message):
        SoftmaxLoss(DIM)(u, v, labels)


@pytest.mark.parametrize("columns_given", [2, 3, 5])
@pytest.mark.parametrize("scale", [20.0, 5.0])
def test_ranking_equals_sentence_transformers(columns_given, scale):
    vectors = embeddings(columns_given)
    value = MultipleNegativesRankingLoss(scale)(*vectors)
    expected = reference.MultipleNegativesRankingLoss(Given(), scale)(columns(vectors), None)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(torch.autograd.grad(value, vectors), torch.autograd.grad(expected, vectors),
                               rtol=0, atol=1e-9)


def test_ranking_takes_any_number_of_negatives():
    vectors = [*embeddings(2), *embeddings(1, batch=3, seed=1), *embeddings(1, batch=7, seed=2)]
    expected = reference.MultipleNegativesRankingLoss(Given())(columns(vectors), None)
    torch.testing.assert_close(MultipleNegativesRankingLoss()(*vectors), expected, rtol=0, atol=1e-9)


def test_ranking_scale_is_20_by_default():
    vectors = embeddings(2)
    assert MultipleNegativesRankingLoss()(*vectors) == MultipleNegativesRankingLoss(scale=20.0)(*vectors)


def test_ranking_by_hand():
    anchors, positives = torch.eye(2, 4), 3 * torch.eye(2, 4)  # lengths are of no account
    expected = math.log(1 + math.exp(-20))
    assert MultipleNegativesRankingLoss()(anchors, positives).item() == pytest.approx(expected, abs=1e-7)
    assert MultipleNegativesRankingLoss()(anchors, torch.ones(2, 4)).item() == pytest.approx(math.log(2))
    assert MultipleNegativesRankingLoss()(anchors, anchors, anchors).item() == pytest.approx(math.log(2))
    assert MultipleNegativesRankingLoss()(anchors[:1], positives[:1]).item() == 0.0


def test_ranking_keeps_its_precision_under_autocast():
    vectors = [x.detach().float() for x in embeddings(2, batch=64)]
    loss = MultipleNegativesRankingLoss()
    expected = loss(*vectors)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(*vectors) == expected
        halves = [x.bfloat16() for x in vectors]
        assert loss(*halves) == loss(*(x.float() for x in halves))


@pytest.mark.parametrize("shapes", [
    [(5, 6), (4, 6)], [(5, 6), (5, 7)], [(5, 6), (5, 6), (2, 7)], [(5, 6), (5, 6), (6,)], [(6,), (6,)],
    [(0, 6), (0, 6)]], ids=str)
def test_ranking_names_wrong_shapes(shapes):
    with pytest.raises(ValueError) as error:
        MultipleNegativesRankingLoss()(*map(torch.ones, shapes))
    assert str(shapes) in str(error.value)


@pytest.mark.parametrize("scale", [0, -1.0, math.nan])
def test_ranking_refuses_a_scale_that_is_not_positive(scale):
    with pytest.raises(ValueError, match=str(scale)):
        MultipleNegativesRankingLoss(scale)


def test_empty_batch_is_refused_not_nan():
    with pytest.raises(ValueError, match="at least one"):
        SoftmaxLoss(DIM)(torch.ones(0, DIM), torch.ones(0, DIM), torch.ones(0, dtype=torch.long))
