"""What the questions recipe recorded, as tables: the trials, and the accuracies by sample and number of labels."""

import numpy as np
import pytest

from recipes.questions import RATES, SEEDS, STARTS, STEPS, recorded_accuracy, recorded_trials
from recipes.shared.results import read_rows

SETS = "course/questions", "trec_questions"


@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize("n", STEPS)
def test_trials_are_the_rows(data, n):
    table = recorded_trials(data, n)
    heads = {"first word", "[CLS]"} if n == min(STEPS) else {"first word"}
    assert list(table.index) == list(RATES) and set(table.columns) == {(s, h) for s in STARTS for h in heads}
    for r in read_rows("04.csv"):
        if r["experiment"] == "questions-dev" and r["data"] == data and r["n"] == str(n):
            head, rate = r["setting"].split(", ")[0], float(r["setting"].split(", ")[1].removeprefix("learning rate "))
            start = next(s for s, model in STARTS.items() if model == r["model"])
            assert table.loc[rate, (start, head)] == float(r["value"])


@pytest.mark.parametrize("data", SETS)
def test_accuracies_by_sample_and_number_of_labels(data):
    for start, model in STARTS.items():
        table = recorded_accuracy(start, data)
        assert table.shape == (len(SEEDS), len(STEPS)) and np.isfinite(table).all()
        for r in read_rows("04.csv"):
            if (r["experiment"], r["data"], r["model"]) == ("questions", data, model):
                assert table[int(r["seed"]), list(STEPS).index(int(r["n"]))] == float(r["value"])
