"""How course/sbert-mini is made: the teacher's vectors, their rotation to the student's width, the loss, the groups."""

import numpy as np
import pytest
import torch

from course_lib.encoder import SentenceEncoder
from recipes import distillation
from recipes.distillation import (
    RELATIONS,
    distillation_loss,
    kept_vectors,
    neighbours,
    principal_axes,
    teacher_vectors,
    texts_to_learn,
    turn_towards,
)

TEXTS = [
    f"{who} {does} {what}."
    for who in ("A man", "The cat", "She")
    for does in ("sees", "draws", "buys")
    for what in ("a house", "two dogs", "it")
]


def test_principal_axes_are_the_leading_singular_vectors():
    vectors = np.random.default_rng(0).normal(size=(500, 12)) * np.arange(1, 13)
    axes = principal_axes(vectors.astype(np.float16), 5)
    _, _, right = np.linalg.svd(vectors.astype(np.float16).astype(np.float64), full_matrices=False)
    assert axes.shape == (12, 5) and np.allclose(axes.T @ axes, np.eye(5), atol=1e-6)
    assert np.allclose(np.abs((right[:5] @ axes).diagonal()), 1, atol=1e-5)  # the same directions, up to sign
    whole = principal_axes(vectors, 12)
    assert np.allclose(
        vectors @ whole @ (vectors @ whole).T, vectors @ vectors.T, rtol=1e-4, atol=1e-2
    )  # a rotation keeps dot products


def test_the_teacher_is_turned_to_the_student_and_no_cosine_changes():
    generator = np.random.default_rng(0)
    vectors, rotation = generator.normal(size=(50, 6)), np.linalg.qr(generator.normal(size=(6, 6)))[0]
    turn = turn_towards(vectors, vectors @ rotation)
    assert np.allclose(turn, rotation, atol=1e-5) and np.allclose(turn @ turn.T, np.eye(6), atol=1e-5)
    noisy = vectors @ rotation + generator.normal(size=(50, 6))
    best, nearer = np.linalg.norm(vectors @ turn_towards(vectors, noisy) - noisy), []
    for _ in range(20):
        nearer.append(np.linalg.norm(vectors @ np.linalg.qr(generator.normal(size=(6, 6)))[0] - noisy) < best)
    assert not any(nearer)


def test_the_loss_is_zero_for_the_teachers_own_directions_only():
    torch.manual_seed(0)
    target, teacher, student = torch.randn(6, 4), torch.randn(6, 9), torch.randn(6, 4, requires_grad=True)
    assert distillation_loss(3 * target, target, target) == pytest.approx(0, abs=1e-6)
    loss = distillation_loss(student, target, teacher)
    u, t, v = (torch.nn.functional.normalize(x, dim=1) for x in (student, target, teacher))
    assert loss.item() == pytest.approx(
        (1 - (u * t).sum(1)).mean().item() + RELATIONS * (u @ u.T - v @ v.T).square().mean().item(), rel=1e-5
    )
    loss.backward()
    assert student.grad.abs().sum() > 0
    rotated = torch.linalg.qr(torch.randn(4, 4))[0]
    assert (
        distillation_loss(target @ rotated, target, target) > 0.1
    )  # the same relations elsewhere in space are not enough


def test_neighbours_are_near_and_each_text_has_one_place():
    generator = torch.Generator().manual_seed(1)
    topics = torch.nn.functional.normalize(torch.randn(10, 16, generator=generator), dim=1)
    of = torch.randint(10, (1003,), generator=generator)
    vectors = torch.nn.functional.normalize(topics[of] + 0.1 * torch.randn(1003, 16, generator=generator), dim=1)
    found = neighbours(vectors, 20, clusters=30)
    assert sorted(i for rows in found for i in rows) == list(range(1003)) and {len(rows) for rows in found} == {20, 3}
    near = torch.stack([(vectors[rows] @ vectors[rows].T).mean() for rows in found]).mean()
    assert near > (vectors @ vectors.T).mean() + 0.4
    assert found == neighbours(vectors, 20, clusters=30) != neighbours(vectors, 20, clusters=30, seed=1)


def test_an_interrupted_teacher_goes_on(tmp_path, monkeypatch, minilm_folder):
    monkeypatch.setattr(distillation, "CHUNK", 10)
    whole = np.array(teacher_vectors(TEXTS, minilm_folder, tmp_path))
    assert (
        whole.shape == (27, 384)
        and whole.dtype == np.float16
        and np.allclose(np.linalg.norm(whole.astype(np.float32), axis=1), 1, atol=1e-2)
    )

    class Interrupted(Exception):
        pass

    calls, encode = [], SentenceEncoder.encode

    def break_in_the_second(self, texts, **options):
        calls.append(list(texts))
        if len(calls) == 2:
            raise Interrupted
        return encode(self, texts, **options)

    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr(SentenceEncoder, "encode", break_in_the_second)
    with pytest.raises(Interrupted):
        teacher_vectors(TEXTS, minilm_folder, other)
    assert np.array_equal(teacher_vectors(TEXTS, minilm_folder, other), whole)
    assert calls == [TEXTS[:10], TEXTS[10:20], TEXTS[10:20], TEXTS[20:]]  # the first ten were not encoded again
    teacher_vectors(TEXTS, minilm_folder, other)
    assert len(calls) == 4
    with pytest.raises(ValueError, match="other texts"):
        teacher_vectors(TEXTS[:-1], minilm_folder, other)


def test_the_student_takes_only_vectors_of_all_its_texts(tmp_path, monkeypatch, minilm_folder):
    with pytest.raises(FileNotFoundError, match="distillation.py vectors"):
        kept_vectors(TEXTS, tmp_path)
    whole = np.array(teacher_vectors(TEXTS, minilm_folder, tmp_path))
    assert np.array_equal(kept_vectors(TEXTS, tmp_path), whole)
    with pytest.raises(ValueError, match="other texts"):
        kept_vectors(TEXTS[::-1], tmp_path)
    progress = tmp_path / "teacher.json"
    progress.write_text(progress.read_text(encoding="utf-8").replace('"done": 27', '"done": 20'), encoding="utf-8")
    with pytest.raises(FileNotFoundError, match="all texts"):
        kept_vectors(TEXTS, tmp_path)


def test_each_text_is_there_once_and_none_that_is_forbidden(monkeypatch, tmp_path):
    (tmp_path / "captions.tsv").write_text(
        "image\tcaption\n1\tA dog runs.\n1\tDog running\n2\tA cat.\n2\tA dog runs.\n", encoding="utf-8"
    )
    (tmp_path / "nli.tsv").write_text(
        "label\tpremise\thypothesis\nneutral\tA cat.\tIt sleeps.\nentailment\tA cat.\tAn animal.\n", encoding="utf-8"
    )
    (tmp_path / "es.tsv").write_text("english\tspanish\nHi.\tHola.\nIt sleeps.\tDuerme.\nGo.\tVe.\n", encoding="utf-8")
    monkeypatch.setattr(distillation, "CAPTION_SETS", [tmp_path / "captions.tsv"])
    monkeypatch.setattr(distillation, "NLI_SETS", [tmp_path / "nli.tsv"])
    monkeypatch.setattr(distillation, "PASSAGE_WORDS", range(11, 20))
    spanish = distillation.load_translations(tmp_path / "es.tsv")
    monkeypatch.setattr(distillation, "load_translations", lambda name: spanish)
    short = "One sentence stands here. Another one follows it here."
    long = "The first sentence is this one. The middle sentence is that one. The last sentence ends it."
    monkeypatch.setattr(distillation, "articles", lambda seed: [[short, short, short, short, short, long, long + " x"]])
    assert texts_to_learn(lambda text: text != "Go.") == [
        *("A dog runs.", "Dog running", "A cat.", "It sleeps.", "An animal.", "Hi."),
        *("One sentence stands here.", "Another one follows it here."),
        *("The middle sentence is that one.", long),  # a paragraph of the right length, and a sentence of it
    ]
