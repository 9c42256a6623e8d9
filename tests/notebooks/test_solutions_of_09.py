"""Exercise 09.1 asks for a loss that sentence-transformers has: its solution and the library agree on every case."""

import pytest
import torch
from repository import ROOT
from sentence_transformers.sentence_transformer import losses

from course_lib.exercises import load_exercises

EXERCISE = load_exercises(ROOT / "notebooks" / "solutions" / "09.py")["09.1"]


@pytest.mark.parametrize("case", EXERCISE.cases)
def test_solution_is_the_librarys_triplet_loss(case):
    *vectors, margin = EXERCISE.cases[case]
    cosine = losses.TripletDistanceMetric.COSINE
    theirs = losses.TripletLoss(None, distance_metric=cosine, triplet_margin=margin)
    expected = theirs.compute_loss_from_embeddings(vectors, None)
    assert torch.isclose(EXERCISE.solution(*vectors, margin), expected, atol=1e-6)
