"""The models that ship: whole, small, described, and the same in sentence-transformers."""

import csv
import json
import re

import numpy as np
import pytest
from safetensors import safe_open
from sentence_transformers import SentenceTransformer
from sentence_transformers import SparseEncoder as TheirSparseEncoder

from course_lib.data import load_sts
from course_lib.encoder import SentenceEncoder
from course_lib.evaluation import EmbeddingSimilarityEvaluator
from course_lib.models.sparse import SparseEncoder
from course_lib.side_by_side import FOUR, found_share, partners
from course_lib.support.folders import COURSE_HOME, DEFAULT, read_weights
from recipes.shared.cards import weights_sha256

FOLDERS = sorted(path.parent for path in (COURSE_HOME / "data" / "models").glob("*/modules.json"))
SPARSE = [folder for folder in FOLDERS if (folder / "1_SpladePooling").exists()]
MODELS = [folder for folder in FOLDERS if folder not in SPARSE]  # dense sentence encoders
TEXTS = ["A cat sits on a mat.", "", "She is reading a book", "naïve café 🎉 שלום", "word " * 600]


def test_the_models_that_notebooks_load_are_there():
    names = {f"course/{path.name}" for path in MODELS}
    assert {DEFAULT, "course/glove-mini", *FOUR.values()} == names
    assert [folder.name for folder in SPARSE] == ["splade-mini"]


@pytest.mark.parametrize("folder", MODELS, ids=lambda p: p.name)
def test_same_vectors_in_sentence_transformers(folder):
    ours = SentenceEncoder.load(folder, device="cpu", dtype="float32").encode(TEXTS)
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("folder", SPARSE, ids=lambda p: p.name)
def test_same_sparse_vectors_in_sentence_transformers(folder):
    ours = SparseEncoder.load(folder, device="cpu", dtype="float32").encode(TEXTS).toarray()
    theirs = TheirSparseEncoder(str(folder), device="cpu").encode(TEXTS).to_dense().numpy()
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max() and ours.max() > 1


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_small_and_pickle_free(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 16e6
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".md", ".txt"}
    if (folder / "config.json").exists():  # a Transformer: half precision on disk, float32 in every library
        with safe_open(folder / "model.safetensors", framework="pt") as file:
            assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}
        assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"


def test_all_models_together_stay_light():
    assert sum(path.stat().st_size for path in (COURSE_HOME / "data" / "models").rglob("*") if path.is_file()) < 105e6


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_card(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: ")
    for heading in ("## Data and licence", "## Recipe", "## Scores", "## What it is bad at"):
        assert heading in card
    assert re.search(r"seconds: [\d,.]+", card), "the card does not say how long the recipe took"


def result_rows(name):
    with open(COURSE_HOME / "data" / "results" / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_results_belong_to_the_models_that_ship():
    hashes = {f"course/{folder.name}": weights_sha256(folder) for folder in MODELS}
    rows = [row for name in ("05.csv", "06.csv") for row in result_rows(name) if row["model"] in hashes]
    assert {row["model"] for row in rows} == set(hashes)
    for row in rows:
        assert row["model_sha256"] == hashes[row["model"]], (
            f"{row['model']} has changed since {row['data']} was measured"
        )
        assert row["command"] and float(row["seconds"]) > 0


def test_recorded_scores_come_out_again():
    shipped = [row for row in result_rows("05.csv") if row["model"].startswith("course/")]
    rows = [row for row in shipped if row["data"] == "course/sts" and row["pooling"] == "mean"]
    assert len(rows) == len(MODELS)
    evaluate = EmbeddingSimilarityEvaluator(load_sts())
    for row in rows:
        measured = 100 * evaluate(SentenceEncoder.load(row["model"], device="cpu", dtype="float32"))["spearman_cosine"]
        assert measured == pytest.approx(float(row["value"]), abs=0.05)


def test_each_way_of_training_beats_berts_average():
    """By more than the spread of three seeds, on STSb dev, the bundled pairs and in search; six of six partners."""
    rows = [row for row in result_rows("05.csv") if row["pooling"] == "mean" and row["metric"] == "spearman_cosine"]
    score = {(row["model"], row["data"]): float(row["value"]) for row in rows}
    encoders = {model: SentenceEncoder.load(model, device="cpu", dtype="float32") for model in FOUR.values()}
    found = {model: found_share(encoder) for model, encoder in encoders.items()}
    bert, *trained = FOUR.values()
    for model in trained:
        assert score[model, "stsbenchmark/dev"] >= score[bert, "stsbenchmark/dev"] + 6
        assert score[model, "course/sts"] >= score[bert, "course/sts"] + 2.5
        assert found[model] >= found[bert] + 0.05 and partners(encoders[model]) == 6


def test_sbert_beats_bert_on_stsb_dev():
    score = {
        (row["model"], row["pooling"]): float(row["value"])
        for row in result_rows("05.csv")
        if row["data"] == "stsbenchmark/dev"
    }
    assert score["course/sbert-mini", "mean"] >= score["course/bert-mini", "mean"] + 15
    assert score["course/sbert-mini-nli", "mean"] > score["course/bert-mini", "mean"]


def test_the_softmax_head_fits_its_encoder():
    head = read_weights(COURSE_HOME / "data" / "models" / "sbert-mini-nli" / "softmax_head")
    dim = SentenceEncoder.load("course/sbert-mini-nli", device="cpu").get_embedding_dimension()
    assert head["classifier.weight"].shape == (3, 3 * dim)
