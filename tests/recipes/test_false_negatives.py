"""recipes/false_negatives.py: batches, and what is counted in them."""

from statistics import mean

import pytest
import torch

from course_lib.similarity import cos_sim
from recipes import false_negatives


def test_count_false_equals_a_loop():
    anchors, positives = torch.randn(2, 12, 4, generator=torch.Generator().manual_seed(0))
    batches = false_negatives.nested_batches(12, (4, 12), 1, seed=0)[4]
    found = []
    for batch in batches:
        for i in batch:
            cosine = [torch.cosine_similarity(anchors[i], positives[j], dim=0).item() for j in range(12)]
            found.append(sum(cosine[j] > cosine[i] - 0.1 for j in batch if j != i))
    own = torch.cosine_similarity(anchors, positives)
    counted = false_negatives.count_false(batches, lambda b: cos_sim(anchors[b], positives[b]) > own[b][:, None] - 0.1)
    assert counted == (pytest.approx(mean(found)), pytest.approx(mean(n > 0 for n in found))) and 0 < counted[1] < 1


def test_false_negatives_of_a_small_set(monkeypatch):
    class Teacher:  # by the first letter
        def get_embedding_dimension(self):
            return 2

        def encode(self, texts, show_progress_bar):
            return torch.tensor([[1.0, 0.0] if text[0] in "aA" else [0.0, 1.0] for text in texts]).numpy()

    pairs = [
        (f"a{i}", f"A {i % 256}" if i % 2 else f"b {i}") for i in range(512)
    ]  # odd: one text twice, near the anchor; even: far
    monkeypatch.setattr(false_negatives, "ranking_pairs", lambda data: (pairs, [str(i % 128) for i in range(512)]))
    monkeypatch.setattr(false_negatives, "data_sha256", lambda data: "")
    rows = false_negatives.false_negative_rows(Teacher(), "sha", "command")
    of = {(r["setting"], r["metric"]): float(r["value"]) for r in rows if r["n"] == 512 and r["data"] == "snli/train"}
    assert (
        of["rule", "false negatives an anchor"] == 3 and of["rule", "share of anchors"] == 1
    )  # 4 pairs a source; the twin text is among them
    assert (
        of["teacher, nearer than the positive", "false negatives an anchor"] == 128
    )  # half of the anchors: 256 nearer ones
    assert of["teacher, cosine above 0.8", "false negatives an anchor"] == pytest.approx(
        (256 * 256 + 256 * 255) / 512, abs=1e-3
    )


def test_nested_batches():
    drawn = false_negatives.nested_batches(100, (5, 20), 3, seed=1)
    assert [len(b) for b in drawn[5]] == [5] * 12 and [len(b) for b in drawn[20]] == [20] * 3
    assert sorted(sum(drawn[5], [])) == sorted(sum(drawn[20], [])) and all(len(set(b)) == 20 for b in drawn[20])
