"""Measure the shipped models, print the table, write data/results/05.csv, and renew the model cards.

    COURSE_DATA=... python recipes/evaluate.py

Similarity is Spearman's correlation x 100 of cosines with the scores of a set; NLI is the share of right labels of the
softmax head on development sets of which no labelled pair was trained on.
"""

import time

import numpy as np
import torch

from course_lib.data import load_nli, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator, LabelAccuracyEvaluator
from course_lib.losses import SoftmaxLoss
from course_lib.models.static import StaticEmbedding
from course_lib.modules import Pooling
from course_lib.support.folders import read_weights, resolve
from recipes.shared.cards import model_folder, weights_sha256, write_cards
from recipes.shared.pretraining_text import course_data
from recipes.shared.results import data_sha256, write_rows

COMMAND = "python recipes/evaluate.py"
STS = ["stsbenchmark/dev", "course/sts"]
GLOVE_6B = "word_vectors/glove6B_50d_5000.npz"  # below COURSE_DATA
NLI = ["snli/dev", "multinli/dev_matched", "cad_nli/dev"]


def weighted(encoder: SentenceEncoder, a: float = 1e-3) -> SentenceEncoder:
    """Smooth inverse frequency weights a / (a + frequency) on the word vectors (Arora et al. 2017)."""
    from safetensors.torch import load_file

    frequencies = load_file(model_folder("glove-mini") / "frequencies.safetensors")["frequencies"]
    rows = encoder[0].embedding.weight.detach() * (a / (a + frequencies))[:, None]
    return SentenceEncoder([StaticEmbedding(encoder[0].tokenizer, rows)], dtype="float32")


def of_shared_words(encoder: SentenceEncoder) -> list[tuple[str, str, SentenceEncoder]]:
    """The encoder and GloVe 6B, trained on 6 billion words: both cut to the words that both know."""
    file = np.load(course_data() / GLOVE_6B)
    tokenizer, own = encoder[0].tokenizer, encoder[0].embedding.weight.detach()
    rows = {str(word): torch.from_numpy(vector).float() for word, vector in zip(file["words"], file["vectors"])}
    shared = {i: rows[word] for word, i in tokenizer.get_vocab().items() if word in rows}
    mine, theirs = torch.zeros_like(own), torch.zeros(len(own), file["vectors"].shape[1])  # a zero adds nothing
    for i, vector in shared.items():
        mine[i], theirs[i] = own[i], vector
    return [
        (name, "mean of shared words", SentenceEncoder([StaticEmbedding(tokenizer, matrix)], dtype="float32"))
        for name, matrix in (("course/glove-mini", mine), ("GloVe 6B, 50 numbers", theirs))
    ]


def variants() -> list[tuple[str, str, SentenceEncoder]]:
    """(model, pooling, encoder) for each line of the table."""
    glove = SentenceEncoder.load("course/glove-mini", dtype="float32")
    bert = SentenceEncoder.load("course/bert-mini", dtype="float32")
    found = [("course/glove-mini", "mean", glove), ("course/glove-mini", "weighted mean", weighted(glove))]
    found += of_shared_words(glove)
    for mode in ("mean", "cls", "max"):
        found.append(("course/bert-mini", mode, SentenceEncoder([bert[0], Pooling(256, mode)], dtype="float32")))
    for name in ("course/sbert-mini-nli", "course/sbert-mini-ranking", "course/sbert-mini"):
        found.append((name, "mean", SentenceEncoder.load(name, dtype="float32")))
    return found


def score_row(model: str, pooling: str, data: str, metric: str, value: float, start: float) -> dict:
    return dict(
        model=model,
        pooling=pooling,
        data=data,
        metric=metric,
        value=f"{100 * value:.2f}",
        command=COMMAND,
        seconds=f"{time.perf_counter() - start:.3f}",
        model_sha256=weights_sha256(resolve(model))
        if model.startswith("course/")
        else data_sha256(course_data() / GLOVE_6B),
    )


def similarity_rows() -> list[dict]:
    rows = []
    for model, pooling, encoder in variants():
        for data in STS:
            start = time.perf_counter()
            value = EmbeddingSimilarityEvaluator(load_sts(data))(encoder)["spearman_cosine"]
            rows.append(score_row(model, pooling, data, "spearman_cosine", value, start))
    return rows


def nli_rows() -> list[dict]:
    folder = model_folder("sbert-mini-nli")
    encoder = SentenceEncoder.load(folder, dtype="float32")
    head = SoftmaxLoss(encoder.get_embedding_dimension())
    head.load_state_dict(read_weights(folder / "softmax_head"))
    rows = []
    for data in NLI:
        start = time.perf_counter()
        accuracy = LabelAccuracyEvaluator(load_nli(data), head)(encoder)["accuracy"]
        rows.append(score_row("course/sbert-mini-nli", "mean", data, "accuracy", accuracy, start))
    return rows


def main():
    torch.manual_seed(0)
    table = similarity_rows() + nli_rows()
    for r in table:
        print(f"{r['model']:28} {r['pooling']:21} {r['data']:22} {r['metric']:16} {r['value']:>6}")
    write_rows("05.csv", table)
    write_cards(table)


if __name__ == "__main__":
    main()
