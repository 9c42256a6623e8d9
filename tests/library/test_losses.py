"""course_lib.losses against the losses of sentence-transformers, values and gradients in float64."""

import math

import pytest
import torch
from parity import DIM, Given, assert_equal, columns, degenerate_pairs, embeddings, pairs, random_labels
from safetensors.torch import load_file
from sentence_transformers.sentence_transformer import losses as reference
from torch import nn
from torch.nn import functional as F

from course_lib.losses import CosineSimilarityLoss, SoftmaxLoss, TripletLoss
from course_lib.support.folders import resolve

CONCATENATIONS = (  # the seven of the paper's Table 6, in its order
    ("u", "v"),
    ("|u-v|",),
    ("u*v",),
    ("|u-v|", "u*v"),
    ("u", "v", "u*v"),
    ("u", "v", "|u-v|"),
    ("u", "v", "|u-v|", "u*v"),
)


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


def test_a_lazy_head_takes_the_width_it_meets():
    (u, v), labels = embeddings(2, 40), random_labels(high=3)
    loss = SoftmaxLoss(DIM, classifier=nn.LazyLinear(3)).double()
    assert loss(u, v, labels).isfinite() and loss.classifier.in_features == 3 * DIM


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


def test_cosine_similarity_by_hand():
    u, v = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])  # cosines 1 and 0
    assert CosineSimilarityLoss()(u, v, torch.tensor([0.5, 0.0])).item() == pytest.approx(0.125)


# ---- distances


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
