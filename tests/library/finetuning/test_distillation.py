"""course_lib.finetuning.distillation against the losses of sentence-transformers, values and gradients in float64."""

import math

import pytest
import torch
from parity import DIM, Given, assert_equal, columns, embeddings
from sentence_transformers.sentence_transformer import losses as reference
from torch.nn import functional as F

from course_lib.finetuning.distillation import MarginMSELoss, MatryoshkaLoss, MSELoss, RelationalLoss
from course_lib.losses import (
    ContrastiveLoss,
    CoSENTLoss,
    CosineSimilarityLoss,
    MultipleNegativesRankingLoss,
    OnlineContrastiveLoss,
    SoftmaxLoss,
    TripletLoss,
)

LABELS = torch.arange(40) % 2
SCORES = torch.linspace(-1, 1, 40)


# ---- a teacher's vectors, relations and margins


def test_mse_equals_sentence_transformers():
    student, teacher = embeddings(2, 40)
    theirs = reference.MSELoss(Given())(columns([student]), teacher.detach())
    assert_equal(MSELoss()(student, teacher), theirs, [student])
    assert MSELoss()(torch.zeros(2, 3), torch.tensor([[1.0, 0, 0], [0, 2, 1]])).item() == pytest.approx(1.0)


def test_margin_mse_equals_sentence_transformers():
    vectors, margins = embeddings(3, 40), 10 * SCORES.double()
    theirs = reference.MarginMSELoss(Given())(columns(vectors), margins)
    assert_equal(MarginMSELoss()(*vectors, margins), theirs, vectors)
    assert MarginMSELoss()(*(x.detach() for x in vectors), margins + 3) != theirs
    query, positive, negative = torch.tensor([[2.0, 0]]), torch.tensor([[3.0, 1]]), torch.tensor([[1.0, 9]])
    assert MarginMSELoss()(query, positive, negative, torch.tensor([1.0])).item() == 9.0  # (6 - 2 - 1) ** 2


def test_relations_equal_the_written_formula():
    (student,), (teacher,) = embeddings(1, 40), embeddings(1, 40, seed=1, dim=9)
    expected = 0.0
    for i in range(40):
        for j in range(40):
            wanted = F.cosine_similarity(teacher[i], teacher[j], dim=0).detach()
            expected = expected + (F.cosine_similarity(student[i], student[j], dim=0) - wanted) ** 2 / 1600
    assert_equal(RelationalLoss()(student, teacher), expected, [student])


def test_relations_do_not_change_when_a_space_is_turned():
    student, _ = embeddings(2, 40)
    turn = torch.linalg.qr(embeddings(1, DIM, seed=2)[0])[0]
    assert RelationalLoss()(student, 3 * student @ turn).item() == pytest.approx(0, abs=1e-12)
    assert RelationalLoss()(student, student.roll(1, 0)) > 0.01


@pytest.mark.parametrize("loss", [MSELoss(), RelationalLoss()], ids=["vectors", "relations"])
def test_a_teacher_learns_nothing(loss):
    student, teacher = embeddings(2)
    loss(student, teacher).backward()
    assert student.grad.abs().sum() > 0 and teacher.grad is None
    vectors, margins = embeddings(3), torch.ones(5, dtype=torch.float64, requires_grad=True)
    MarginMSELoss()(*vectors, margins).backward()
    assert margins.grad is None and all(x.grad.abs().sum() > 0 for x in vectors)


@pytest.mark.parametrize("loss", [MSELoss(), RelationalLoss()], ids=["vectors", "relations"])
def test_vectors_that_do_not_fit_are_named(loss):
    student, teacher = embeddings(2)
    with pytest.raises(ValueError, match="5.*4|same texts|equally many"):
        loss(student, teacher[:4])
    for nothing in (student[:0], student[0]):
        with pytest.raises(ValueError, match="expected embeddings"):
            loss(nothing, nothing)
    broken = teacher.detach().clone()
    broken[3, 1] = broken[4, 0] = torch.nan
    with pytest.raises(ValueError, match="2 of the teacher's 5 vectors are not finite, the first in row 3"):
        loss(student, broken)


def test_what_does_not_fit_otherwise_is_named():
    student, teacher = torch.ones(5, 6), torch.ones(5, 9)
    with pytest.raises(ValueError, match=r"\(5, 6\), the teacher's \(5, 9\): give the student a Dense.*RelationalLoss"):
        MSELoss()(student, teacher)
    assert RelationalLoss()(student, teacher) < 1e-9
    with pytest.raises(ValueError, match=r"one margin for each of the 5 rows, \(5,\), got \(5, 1\)"):
        MarginMSELoss()(student, student, student, torch.ones(5, 1))
    with pytest.raises(ValueError, match="finite margins, got inf in row 4"):
        MarginMSELoss()(student, student, student, torch.tensor([1, 2, 3, 4, torch.inf]))
    with pytest.raises(ValueError, match="of one dim"):
        MarginMSELoss()(student, student, teacher, torch.ones(5))


@pytest.mark.parametrize(
    "make",
    [
        lambda: MSELoss(),
        lambda: RelationalLoss(),
        lambda: MatryoshkaLoss(RelationalLoss(), [6, 2]),
        lambda: MatryoshkaLoss(SoftmaxLoss(DIM), [6, 2]),
    ],
)
def test_half_precision_is_computed_in_float32_under_autocast_too(make):
    loss = make()
    student, teacher = (x.detach().bfloat16() for x in embeddings(2, 40))
    last = LABELS if isinstance(getattr(loss, "loss", None), SoftmaxLoss) else None
    rest = (teacher,) if last is None else (teacher, last)
    expected = loss(student.float(), teacher.float(), *rest[1:])
    assert expected.dtype == torch.float32 and torch.equal(loss(student, *rest), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(student, *rest), expected)


# ---- Matryoshka


AROUND = [  # a loss of ours, how many columns of embeddings it takes, and what comes after them
    (MultipleNegativesRankingLoss(), 3, None),
    (TripletLoss(), 3, None),
    (CoSENTLoss(), 2, SCORES),
    (CosineSimilarityLoss(), 2, SCORES),
    (ContrastiveLoss(), 2, LABELS),
    (OnlineContrastiveLoss(), 2, LABELS),
    (MarginMSELoss(), 3, SCORES.double()),
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


def test_matryoshka_passes_a_guide_on_whole():
    vectors, guide = embeddings(2, 40), embeddings(2, 40, seed=1)
    loss = MultipleNegativesRankingLoss(false_negative_margin=0.1)
    cut = [F.normalize(x[:, :2], dim=1) for x in vectors]
    assert_equal(MatryoshkaLoss(loss, [2])(*vectors, guide=guide), loss(*cut, guide=guide), vectors)


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
