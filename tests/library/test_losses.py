"""course_lib.losses against the losses of sentence-transformers, values and gradients in float64."""

import math

import pytest
import torch
from parity import DIM, Given, assert_equal, columns, embeddings
from safetensors.torch import load_file
from sentence_transformers.sentence_transformer import losses as reference
from torch import nn
from torch.nn import functional as F

from course_lib.losses import (
    CONCATENATIONS,
    ContrastiveLoss,
    CoSENTLoss,
    CosineSimilarityLoss,
    OnlineContrastiveLoss,
    SoftmaxLoss,
    TripletLoss,
)
from course_lib.support.folders import resolve

METRICS = {"cosine": "COSINE_DISTANCE", "euclidean": "EUCLIDEAN", "manhattan": "MANHATTAN"}


def pairs():
    """40 pairs at all distances: v is u plus noise that grows with the row."""
    u, noise = (x.detach() for x in embeddings(2, 40))
    return u.clone().requires_grad_(), (u + torch.arange(40)[:, None] / 13 * noise).requires_grad_()


def random_labels(high=2):
    return torch.randint(high, (40,), generator=torch.Generator().manual_seed(0))


def degenerate_pairs():
    """The same, but one has a vector of zeros, whose direction is undefined, and another two equal vectors."""
    u, v = (x.detach().clone() for x in pairs())
    u[1], v[2] = 0, u[2]
    return [u.requires_grad_(), v.requires_grad_()]


# ---- softmax


@pytest.mark.parametrize("parts", CONCATENATIONS, ids=str)
@pytest.mark.parametrize("num_labels", [2, 3])
def test_softmax_equals_sentence_transformers(parts, num_labels):
    (u, v), labels = embeddings(2, 40), random_labels(high=num_labels)
    ours = SoftmaxLoss(DIM, num_labels, parts).double()
    theirs = reference.SoftmaxLoss(Given(), DIM, num_labels, "u" in parts, "|u-v|" in parts, "u*v" in parts).double()
    assert theirs.classifier.weight.shape == ours.classifier.weight.shape
    theirs.classifier = ours.classifier  # one head, whose gradients are compared too
    assert_equal(ours(u, v, labels), theirs(columns([u, v]), labels), [u, v, *ours.parameters()])
    torch.testing.assert_close(ours.logits(u, v), theirs(columns([u, v]), None)[1], rtol=0, atol=1e-9)


def test_the_seven_concatenations_of_the_paper():
    u, v = torch.tensor([[1.0, 5.0]]), torch.tensor([[4.0, 3.0]])
    found = [SoftmaxLoss(2, concatenation=parts).features(u, v)[0].tolist() for parts in CONCATENATIONS]
    uv, difference, product = [1.0, 5.0, 4.0, 3.0], [3.0, 2.0], [4.0, 15.0]
    assert found == [
        uv,
        difference,
        product,
        difference + product,
        uv + product,
        uv + difference,
        uv + difference + product,
    ]
    assert SoftmaxLoss(2).features(u, v).tolist() == [uv + difference]  # the default


def test_the_head_is_saved_as_ever():
    loss = SoftmaxLoss(256)
    assert [name for name, _ in loss.named_parameters()] == ["classifier.weight", "classifier.bias"]
    loss.load_state_dict(load_file(resolve("course/sbert-mini-nli") / "softmax_head" / "model.safetensors"))
    assert loss.classifier.weight.shape == (3, 768) and loss.classifier.weight.std() > 0.001


def test_a_deeper_head_learns_too():
    (u, v), labels = embeddings(2, 40), random_labels(high=3)
    head = nn.Sequential(nn.Linear(3 * DIM, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    loss = SoftmaxLoss(DIM, classifier=head)
    features = torch.cat([u, v, (u - v).abs()], dim=1)
    assert_equal(loss(u, v, labels), F.cross_entropy(head(features), labels), [u, v, *loss.parameters()])
    assert len(list(loss.parameters())) == 4


def test_softmax_of_an_ignorant_head_is_the_entropy_of_the_labels():
    loss = SoftmaxLoss(DIM)
    nn.init.zeros_(loss.classifier.weight)
    nn.init.zeros_(loss.classifier.bias)
    u, v = (x.float() for x in embeddings(2))
    assert loss(u, v, torch.tensor([0, 1, 2, 0, 1])).item() == pytest.approx(math.log(3), abs=1e-6)


@pytest.mark.parametrize("parts", ["|u-v|", "uv", (), ("v", "u"), ("u", "u"), ("u", "w"), ("|u - v|",)], ids=str)
def test_unknown_concatenations_are_named(parts):
    with pytest.raises(ValueError, match=r"some of \('u', 'v', '\|u-v\|', 'u\*v'\) in this order, got"):
        SoftmaxLoss(DIM, concatenation=parts)


def test_heads_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"12 features.*takes 18: make it nn.Linear\(12"):
        SoftmaxLoss(DIM, concatenation=("u", "v"), classifier=nn.Sequential(nn.Dropout(), nn.Linear(18, 3)))
    u, v = (x.float() for x in embeddings(2))
    with pytest.raises(ValueError, match=r"expected logits of shape \(5, 3\).*gave \(5, 2\)"):
        SoftmaxLoss(DIM, classifier=nn.Linear(18, 2)).logits(u, v)


@pytest.mark.parametrize("u, v", [((5, 4), (5, 4)), ((5, 6), (4, 6)), ((6,), (6,)), ((5, 6), (1, 6)), ((0, 6), (0, 6))])
def test_softmax_names_wrong_shapes(u, v):
    with pytest.raises(ValueError, match=r"expected embeddings \(rows, 6\).*at least one") as error:
        SoftmaxLoss(DIM)(torch.ones(u), torch.ones(v), torch.zeros(u[0], dtype=torch.long))
    assert str([u, v]) in str(error.value)


@pytest.mark.parametrize(
    "labels, message",
    [
        (torch.zeros(5), "float32"),
        (torch.zeros(4, dtype=torch.long), r"5 pairs.*\(4,\)"),
        (torch.zeros(5, 1, dtype=torch.long), r"\(5, 1\)"),
        (torch.tensor([0, 1, 2, 3, 3]), r"0\.\.2, got \[0, 1, 2, 3\]"),
        (torch.tensor([0, 1, 2, -100, 0]), "-100"),
    ],
)
def test_softmax_names_wrong_labels(labels, message):
    u, v = (x.float() for x in embeddings(2))
    with pytest.raises(ValueError, match=message):
        SoftmaxLoss(DIM)(u, v, labels)


# ---- scores


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("degenerate", [False, True])
def test_cosine_similarity_equals_sentence_transformers(dtype, degenerate):
    u, v = degenerate_pairs() if degenerate else pairs()
    scores = torch.rand(40, generator=torch.Generator().manual_seed(1), dtype=dtype) * 2 - 1
    assert_equal(
        CosineSimilarityLoss()(u, v, scores), reference.CosineSimilarityLoss(Given())(columns([u, v]), scores), [u, v]
    )


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
    assert CosineSimilarityLoss()(u, v, torch.tensor([0.5, 0.0])).item() == pytest.approx(0.125)


# ---- distances


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


@pytest.mark.parametrize(
    "distance, margin", [("cosine", 0.3), ("euclidean", 5.0), ("euclidean", 0.1), ("manhattan", 1.0)]
)
def test_triplet_equals_sentence_transformers(distance, margin):
    vectors = embeddings(3, 40)
    metric = getattr(reference.TripletDistanceMetric, distance.upper())
    theirs = reference.TripletLoss(Given(), metric, margin)(columns(vectors), None)
    assert_equal(TripletLoss(distance, margin)(*vectors), theirs, vectors)
    active = [TripletLoss(distance, margin)(*(x[i : i + 1] for x in vectors)) > 0 for i in range(40)]
    assert any(active) and (margin == 5.0 or not all(active))  # both sides of the margin were compared


def test_triplet_defaults_and_degenerate_rows():
    u, v = degenerate_pairs()
    vectors = [u, v, *embeddings(1, 40, seed=3)]
    assert_equal(TripletLoss()(*vectors), reference.TripletLoss(Given())(columns(vectors), None), vectors)
    assert TripletLoss(margin=1.0)(torch.zeros(1, 2), torch.tensor([[3.0, 4]]), torch.tensor([[0.0, 2]])).item() == 4.0
