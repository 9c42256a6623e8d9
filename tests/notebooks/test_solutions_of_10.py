"""Notebook 10 says where a model is looked for: sentence-transformers does so. Exercise 10.2 sees what learns."""

import pytest
import torch
from repository import ROOT
from sentence_transformers import SentenceTransformer
from sentence_transformers.base import model as library
from sentence_transformers.util.misc import ORIGINAL_TRANSFORMER_MODELS

from course_lib.exercises import judge, load_exercises
from course_lib.models.surgery import word_embeddings

EXERCISE = load_exercises(ROOT / "notebooks" / "solutions" / "10.py")["10.2"]
FOLDERS = ["my-model", "runs/best", "/home/me/models/best"]
LOOKED_FOR = {  # name: the folder, the name that the hub is asked for, or "nowhere"
    "my-model": "my-model",
    "runs/best": "runs/best",
    "/home/me/models/best": "/home/me/models/best",
    "all-MiniLM-L6-v2": "sentence-transformers/all-MiniLM-L6-v2",
    "bert-base-uncased": "bert-base-uncased",
    "google-bert/bert-base-uncased": "google-bert/bert-base-uncased",
    "BAAI/bge-small-en-v1.5": "BAAI/bge-small-en-v1.5",
    "a/b/c": "nowhere",
    "./my/path/to/model/": "nowhere",
    "https://example.org/my-model.zip": "nowhere",
}


class Asked(Exception):
    """Instead of the question to the hub."""


@pytest.mark.parametrize("name", LOOKED_FOR)
def test_where_a_model_is_looked_for(name, monkeypatch):
    assert "bert-base-uncased" in ORIGINAL_TRANSFORMER_MODELS

    def asked(name, *arguments, **options):
        raise Asked(name)

    monkeypatch.setattr(library.os.path, "isdir", lambda path: path in FOLDERS)
    monkeypatch.setattr(library, "_resolve_model_revision", asked)
    try:
        SentenceTransformer(name, device="cpu")
        found = None
    except Asked as error:
        found = str(error)
    except FileNotFoundError:
        found = "nowhere"
    except ValueError as error:  # it was read as a folder, and no model is there
        assert f"Unrecognized model in {name}." in str(error)
        found = name
    assert found == LOOKED_FOR[name]


def by_parameters_given(network, known, train):
    """Nothing is frozen: the optimiser is given only what should learn, and is no AdamW."""
    table = word_embeddings(network).weight
    table.register_hook(lambda gradient: torch.cat([torch.zeros_like(gradient[:known]), gradient[known:]]))
    return train(network, torch.optim.SGD([table, *network[2].parameters()], lr=0.1))


def test_every_way_that_lets_these_learn_is_right():
    assert judge(EXERCISE, by_parameters_given)


def test_what_changed_is_seen_to_the_last_digit():
    network, known, train = EXERCISE.cases["two new rows"]
    bias = network[2].linear.bias
    assert train(network, torch.optim.SGD([bias], lr=1e-5)) == {
        "rows of the table": [],
        "other weights": ["2.linear.bias"],
    }
    assert train(network, torch.optim.SGD([bias], lr=0.0)) == {"rows of the table": [], "other weights": []}
