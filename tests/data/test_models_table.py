"""data/models.tsv: facts about well-known models that can be checked without them."""

import csv
import math

import pytest
import torch
import transformers
from transformers import BertConfig, DistilBertConfig, MPNetConfig, RobertaConfig

from course_lib.support.folders import COURSE_HOME, read_json
from course_lib.support.hub import SHA256
from course_lib.support.tables import read_tsv
from recipes.shared.cards import weights_sha256

COLUMNS = [
    "model",
    "parameters",
    "dimension",
    "max_tokens",
    "normalised",
    "year",
    "licence",
    "languages",
    "prompts",
    "stsb",
    "tasks14",
    "base",
    "purpose",
    "source",
]
TABLE = {row[0]: dict(zip(COLUMNS, row)) for _, row in read_tsv(COURSE_HOME / "data" / "models.tsv", *COLUMNS)}

MINILM = BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536, num_attention_heads=12, num_labels=1)
MPNET = MPNetConfig(vocab_size=30527, max_position_embeddings=514)
DISTILROBERTA = RobertaConfig(vocab_size=50265, num_hidden_layers=6, max_position_embeddings=514, type_vocab_size=1)
BUILT = {
    "google-bert/bert-base-uncased": ("BertModel", BertConfig()),
    "sentence-transformers/bert-base-nli-mean-tokens": ("BertModel", BertConfig()),
    "sentence-transformers/msmarco-distilbert-base-v2": ("DistilBertModel", DistilBertConfig()),
    "cross-encoder/ms-marco-MiniLM-L6-v2": ("BertForSequenceClassification", MINILM),
    "sentence-transformers/paraphrase-mpnet-base-v2": ("MPNetModel", MPNET),
    "sentence-transformers/all-distilroberta-v1": ("RobertaModel", DISTILROBERTA),
    "sentence-transformers/all-MiniLM-L6-v2": ("BertModel", MINILM),
    "sentence-transformers/all-mpnet-base-v2": ("MPNetModel", MPNET),
    "sentence-transformers/multi-qa-MiniLM-L6-cos-v1": ("BertModel", MINILM),
    "naver/splade-cocondenser-ensembledistil": ("BertForMaskedLM", BertConfig()),
}


@pytest.mark.parametrize("name", BUILT)
def test_parameters_and_dimension(name):
    kind, config = BUILT[name]
    with torch.device("meta"):
        model = getattr(transformers, kind)(config)
    row = TABLE[name]
    assert sum(p.numel() for p in model.parameters()) == int(row["parameters"])
    dimension = {"BertForMaskedLM": config.vocab_size, "BertForSequenceClassification": "-"}.get(
        kind, config.hidden_size
    )
    assert row["dimension"] == str(dimension)
    assert int(row["max_tokens"]) <= config.max_position_embeddings


def test_the_real_minilm(minilm_folder, minilm):
    row = TABLE["sentence-transformers/all-MiniLM-L6-v2"]
    assert row["dimension"] == str(minilm.get_embedding_dimension())
    assert row["max_tokens"] == str(minilm.max_seq_length)
    assert (row["normalised"] == "yes") == (type(list(minilm)[-1]).__name__ == "Normalize")
    config = read_json(minilm_folder / "config.json")
    assert all(
        config[key] == getattr(MINILM, key)
        for key in ("hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size")
    )


def test_values():
    assert set(BUILT) <= set(TABLE)
    for row in TABLE.values():
        assert row["prompts"] in ("yes", "no", "-") and row["source"]
        assert row["normalised"] in ("yes", "no", "-") and 2018 <= int(row["year"]) <= 2026
        assert all(
            row[key] == "-" or 0 < float(row[key]) < 100 and math.isfinite(float(row[key]))
            for key in ("stsb", "tasks14")
        )


def test_models_of_today():
    """What nobody built here has all the facts that a choice needs, from a source that is named."""
    today = {name: row for name, row in TABLE.items() if name not in BUILT}
    assert len(today) >= 5 and {row["year"] for row in today.values()} == {"2023", "2024", "2025", "2026"}
    for name, row in today.items():
        assert "-" not in [row[key] for key in ("licence", "languages", "prompts")], name
        assert "registry" in row["source"], name
        assert int(row["dimension"]) >= 384 and int(row["parameters"]) > 2e7
        assert row["max_tokens"] == "-" if "static" in name else int(row["max_tokens"]) >= 512


def test_models_whose_weights_are_checked_are_in_the_table():
    assert set(SHA256) <= set(TABLE)


def test_recorded_speeds_belong_to_these_weights():
    """data/results/08.csv: the models that ship and the real all-MiniLM-L6-v2, each measured in full."""
    with open(COURSE_HOME / "data" / "results" / "08.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    metrics = {name: {row["metric"] for row in rows if row["model"] == name} for name in {row["model"] for row in rows}}
    assert len(metrics) == 5 and len(set(map(frozenset, metrics.values()))) == 1
    for row in rows:
        sha = (
            SHA256[row["model"]]
            if row["model"] in SHA256
            else weights_sha256(COURSE_HOME / "data" / "models" / row["model"].split("/")[1])
        )
        assert row["model_sha256"] == sha, f"{row['model']} has changed since python recipes/speed_and_quality.py ran"
        assert row["command"] and float(row["seconds"]) > 0
