"""Measure the shipped models, print the table, write data/results/05.csv, and renew the model cards.

    COURSE_DATA=... python recipes/evaluate.py

Similarity is Spearman's correlation x 100 of cosines with the scores of a set; NLI is the share of right labels of the
softmax head on development sets of which no labelled pair was trained on.
"""

import time
from pathlib import Path

import numpy as np
import torch

from course_lib.data import load_nli, load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator, LabelAccuracyEvaluator
from course_lib.losses import SoftmaxLoss
from course_lib.models.static import StaticEmbedding
from course_lib.modules import Pooling
from course_lib.support.folders import read_weights
from recipes.shared.cards import model_folder, weights_sha256, write_cards
from recipes.shared.pretraining_text import course_data
from recipes.shared.results import data_sha256, record_command

COMMAND = "python recipes/evaluate.py"
STS = ["stsbenchmark/dev", "course/sts"]
GLOVE_6B = "word_vectors/glove6B_50d_5000.npz"  # below COURSE_DATA
NLI = ["snli/dev", "multinli/dev_matched", "cad_nli/dev"]


Variant = tuple[str, str, SentenceEncoder, str]  # model, pooling, encoder, hash of the weights


def averaged_words(model: str, folder: Path) -> list[Variant]:
    """A folder of word vectors, averaged, and with weights a / (a + frequency), a = 0.001 (Arora et al. 2017)."""
    from safetensors.torch import load_file

    encoder, sha256 = SentenceEncoder.load(folder, dtype="float32"), weights_sha256(folder)
    frequencies = load_file(folder / "frequencies.safetensors")["frequencies"]
    rows = encoder[0].embedding.weight.detach() * (1e-3 / (1e-3 + frequencies))[:, None]
    weighted = SentenceEncoder([StaticEmbedding(encoder[0].tokenizer, rows)], dtype="float32")
    return [(model, "mean", encoder, sha256), (model, "weighted mean", weighted, sha256)]


def of_shared_words(model: str, encoder: SentenceEncoder, sha256: str) -> list[Variant]:
    """The encoder and GloVe 6B, trained on 6 billion words: both cut to the words that both know."""
    file = np.load(course_data() / GLOVE_6B)
    tokenizer, own = encoder[0].tokenizer, encoder[0].embedding.weight.detach()
    rows = {str(word): torch.from_numpy(vector).float() for word, vector in zip(file["words"], file["vectors"])}
    shared = {i: rows[word] for word, i in tokenizer.get_vocab().items() if word in rows}
    mine, theirs = torch.zeros_like(own), torch.zeros(len(own), file["vectors"].shape[1])  # a zero adds nothing
    for i, vector in shared.items():
        mine[i], theirs[i] = own[i], vector
    return [
        (name, "mean of shared words", SentenceEncoder([StaticEmbedding(tokenizer, matrix)], dtype="float32"), sha)
        for name, matrix, sha in (
            (model, mine, sha256),
            ("GloVe 6B, 50 numbers", theirs, data_sha256(course_data() / GLOVE_6B)),
        )
    ]


def variants() -> list[Variant]:
    """One for each line of the table."""
    found = averaged_words("course/glove-mini", model_folder("glove-mini"))
    model, _, encoder, sha256 = found[0]
    found += of_shared_words(model, encoder, sha256)
    bert = SentenceEncoder.load("course/bert-mini", dtype="float32")
    sha256 = weights_sha256(model_folder("bert-mini"))
    for mode in ("mean", "cls", "max"):
        encoder = SentenceEncoder([bert[0], Pooling(256, mode)], dtype="float32")
        found.append(("course/bert-mini", mode, encoder, sha256))
    for name in ("sbert-mini-nli", "sbert-mini-ranking", "sbert-mini"):
        folder = model_folder(name)
        encoder = SentenceEncoder.load(folder, dtype="float32")
        found.append((f"course/{name}", "mean", encoder, weights_sha256(folder)))
    return found


def score_row(model, pooling, data, metric, value: float, sha256: str, start: float, command: str = COMMAND) -> dict:
    return dict(
        model=model,
        pooling=pooling,
        data=data,
        metric=metric,
        value=f"{100 * value:.2f}",
        command=command,
        seconds=f"{time.perf_counter() - start:.3f}",
        model_sha256=sha256,
    )


def similarity_rows(of: list[Variant], command: str = COMMAND) -> list[dict]:
    rows = []
    for model, pooling, encoder, sha256 in of:
        for data in STS:
            start = time.perf_counter()
            value = EmbeddingSimilarityEvaluator(load_sts(data))(encoder)["spearman_cosine"]
            rows.append(score_row(model, pooling, data, "spearman_cosine", value, sha256, start, command))
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
        sha256 = weights_sha256(folder)
        rows.append(score_row("course/sbert-mini-nli", "mean", data, "accuracy", accuracy, sha256, start))
    return rows


def main():
    torch.manual_seed(0)
    table = similarity_rows(variants()) + nli_rows()
    for r in table:
        print(f"{r['model']:28} {r['pooling']:21} {r['data']:22} {r['metric']:16} {r['value']:>6}")
    record_command("05.csv", table)  # glove_mini.py's control stays
    write_cards(table)


if __name__ == "__main__":
    main()
