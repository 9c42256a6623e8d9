"""course_lib.finetuning.distillation against sentence-transformers, values and gradients in float64, and by loops."""

import pytest
import torch
from parity import DIM, Given, assert_equal, columns, embeddings
from sentence_transformers.sentence_transformer import losses as reference
from torch.nn import functional as F

from course_lib.finetuning.distillation import MSELoss, RelationalLoss


def test_mse_equals_sentence_transformers():
    student, teacher = embeddings(2, 40)
    theirs = reference.MSELoss(Given())(columns([student]), teacher.detach())
    assert_equal(MSELoss()(student, teacher), theirs, [student])
    assert MSELoss()(torch.zeros(2, 3), torch.tensor([[1.0, 0, 0], [0, 2, 1]])).item() == pytest.approx(1.0)


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


@pytest.mark.parametrize("loss", [MSELoss(), RelationalLoss()], ids=["vectors", "relations"])
def test_half_precision_is_computed_in_float32_under_autocast_too(loss):
    student, teacher = (x.detach().bfloat16() for x in embeddings(2, 40))
    expected = loss(student.float(), teacher.float())
    assert expected.dtype == torch.float32 and torch.equal(loss(student, teacher), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(student, teacher), expected)
