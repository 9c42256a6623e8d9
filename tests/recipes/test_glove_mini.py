"""How course/glove-mini is made: what is counted, the loss of the paper, and a control that leaves the model alone."""

import itertools
import math

import numpy as np
import pytest
import torch

from course_lib.encoder import SentenceEncoder
from recipes import evaluate, glove_mini
from recipes.shared import results

PAGES = [
    ["The cat sat on the mat.", "A dog saw the cat."],
    ["The dog sat on a cat.", "The mat saw a dog and a cat.", "A zebra saw it."],
] * 20


@pytest.mark.parametrize("chunk", [3, 7, 1000])
def test_the_counts_are_those_of_every_pair_of_words(monkeypatch, chunk):
    """Also where the text is counted in parts: no pair is lost at a border, none is counted twice."""
    monkeypatch.setattr(glove_mini, "CHUNK", chunk)
    monkeypatch.setattr(glove_mini, "WINDOW", 3)
    monkeypatch.setattr(glove_mini, "VOCABULARY", 9)
    random = np.random.default_rng(0)
    paragraphs = [random.integers(0, 9, size=n).astype(np.int32) for n in (1, 12, 2, 7, 5)]  # 0 is [UNK]
    expected = np.zeros((9, 9))
    for ids in paragraphs:
        for (i, left), (j, right) in itertools.combinations(enumerate(ids), 2):
            if j - i <= 3 and left and right:
                expected[min(left, right), max(left, right)] += 1 / (j - i)
    assert np.allclose(glove_mini.count_neighbours(paragraphs).toarray(), expected, atol=1e-5)


def test_the_loss_is_equation_8():
    torch.manual_seed(0)
    model = glove_mini.GloVe()
    words, contexts, word_bias, context_bias = (part.weight.detach().double() for part in model.children())
    wanted = []
    for i, j, count in ((5, 9, 3.0), (0, 2, 100.0), (7, 7, 4000.0)):
        weight = (count / 100) ** 0.75 if count < 100 else 1
        wanted.append(weight * (words[i] @ contexts[j] + word_bias[i] + context_bias[j] - math.log(count)).item() ** 2)
    i, j, count = torch.tensor([[5, 9, 3], [0, 2, 100], [7, 7, 4000]]).T
    assert model(i, j, count.float()).item() == pytest.approx(sum(wanted) / 3, rel=1e-5)


def test_the_control_reads_articles_alone_and_ships_nothing(tmp_path, monkeypatch):
    class Allowed:
        dropped = 0

        def __call__(self, text):
            return "zebra" not in text

    def never(*what):
        raise AssertionError("the control reads articles alone and records no facts of a model that ships")

    shipped = evaluate.weights_sha256(evaluate.model_folder("glove-mini"))
    monkeypatch.setattr(glove_mini, "LeakFilter", Allowed)
    monkeypatch.setattr(glove_mini, "articles", lambda: PAGES)
    monkeypatch.setattr(glove_mini, "short_texts", never)
    monkeypatch.setattr(glove_mini, "BUILD", tmp_path)
    monkeypatch.setattr(glove_mini, "write_facts", never)
    monkeypatch.setattr(evaluate, "STS", ["course/sts"])
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["glove_mini.py", "--control"])
    header = "model,pooling,data,metric,value,command,seconds,model_sha256\n"
    (tmp_path / "05.csv").write_text(header + "a,mean,b,c,1.00,another,0.1,d\n", encoding="utf-8")
    for _ in range(2):  # the second run puts its rows in the place of the first
        glove_mini.main()
        other, *rows = results.read_rows("05.csv")
        assert other["command"] == "another" and [row["pooling"] for row in rows] == ["mean", "weighted mean"]
        assert {(row["model"], row["command"]) for row in rows} == {(glove_mini.CONTROL, glove_mini.COMMAND)}
    folder = tmp_path / "glove-articles" / "model"
    assert {row["model_sha256"] for row in rows} == {evaluate.weights_sha256(folder)}
    vocabulary = SentenceEncoder.load(folder)[0].tokenizer.get_vocab()
    assert {"cat", "mat", "saw", "on"} <= set(vocabulary) and "zebra" not in vocabulary
    assert evaluate.weights_sha256(evaluate.model_folder("glove-mini")) == shipped
