"""Exercise 10.2 asks where a model is looked for: its solution and sentence-transformers agree on every case."""

import pytest
from repository import ROOT
from sentence_transformers import SentenceTransformer
from sentence_transformers.base import model as library
from sentence_transformers.util.misc import ORIGINAL_TRANSFORMER_MODELS

from course_lib.exercises import load_exercises

EXERCISE = load_exercises(ROOT / "notebooks" / "solutions" / "10.py")["10.2"]


class Asked(Exception):
    """Instead of the question to the hub."""


@pytest.mark.parametrize("case", EXERCISE.cases)
def test_solution_is_where_the_library_looks(case, monkeypatch):
    name, folders, old_names = EXERCISE.cases[case]
    assert set(old_names) <= set(ORIGINAL_TRANSFORMER_MODELS) and len(ORIGINAL_TRANSFORMER_MODELS) == 68

    def asked(name, *arguments, **options):
        raise Asked(name)

    monkeypatch.setattr(library.os.path, "isdir", lambda path: path in folders)
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
    assert found == EXERCISE.solution(name, folders, old_names)
