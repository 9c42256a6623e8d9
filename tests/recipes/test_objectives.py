"""recipes/objectives.py and the head that is fitted first: what is trained, and what data/results/06.csv says of it."""

import math

import pandas as pd
import torch

from course_lib.data import load_nli
from course_lib.encoder import SentenceEncoder
from course_lib.losses import SoftmaxLoss
from course_lib.siamese import siamese_objective
from recipes import objectives as recipe
from recipes.siamese import fit_head


def test_fitting_the_head_leaves_the_encoder_alone():
    encoder, examples = SentenceEncoder.load("course/bert-mini", device="cpu", dtype="float32"), load_nli()[:60]
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    torch.manual_seed(0)
    head = SoftmaxLoss(encoder.get_embedding_dimension())
    fit_head(head, encoder, examples, batch_size=10, epochs=10)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    with torch.no_grad():
        assert siamese_objective(encoder, head)(examples).item() < 0.9 * math.log(3)


def test_recorded_results_are_a_table(monkeypatch):
    rows = [
        {"experiment": experiment, "setting": setting, "seed": seed, "data": data, "value": value}
        for value, (experiment, setting, seed) in enumerate(
            [("before", "", None), ("live", "softmax", 0.0), ("live", "softmax", 1.0), ("nli", "softmax", 0.0)]
        )
        for data in recipe.COLUMNS
    ]
    monkeypatch.setattr(recipe, "load_results", lambda name: pd.DataFrame(rows))
    table = recipe.recorded_results("live")
    assert list(table.columns) == ["STSb dev", "STS", "found", "NLI"]
    assert table["STS"].to_dict() == {("before", 0): 0, ("softmax", 0): 1, ("softmax", 1): 2}


def test_full_measures_again(monkeypatch):
    measured = []

    def measure(unit):
        measured.append(unit)
        return [
            {"experiment": unit.experiment, "setting": unit.setting, "seed": unit.seed, "data": data, "value": "1.5"}
            for data in recipe.COLUMNS
        ]

    monkeypatch.setattr(recipe, "measure", measure)
    table = recipe.recorded_results("live", full=True)
    assert {unit.experiment for unit in measured} == {"before", "live"} and len(table) == len(measured)
    assert (table == 1.5).all(axis=None)


def test_the_table_has_three_seeds_of_what_the_notebook_reads():
    table = recipe.recorded_results("live")
    assert set(table.loc["before"].index) == {0}
    for setting in recipe.SETTINGS["live"]:
        assert list(table.loc[setting].index) == list(recipe.SEEDS)
