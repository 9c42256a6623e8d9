"""Exercise 08.1 asks for what sentence-transformers does: its solution and the library agree on every case."""

import numpy as np
import pytest
from repository import ROOT
from sentence_transformers import SentenceTransformer

from course_lib.exercises import load_exercises

EXERCISE = load_exercises(ROOT / "notebooks" / "solutions" / "08.py")["08.1"]


@pytest.mark.parametrize("case", EXERCISE.cases)
def test_solution_is_the_librarys_vector(case):
    folder, text = EXERCISE.cases[case]
    vector = SentenceTransformer(folder, device="cpu").encode(text, show_progress_bar=False)
    assert np.allclose(EXERCISE.solution(folder, text), vector, atol=1e-6)
