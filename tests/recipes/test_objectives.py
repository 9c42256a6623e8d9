"""recipes/objectives.py and the head that is fitted first: what is trained, and what data/results/06.csv says of it."""

import math

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from course_lib.data import load_nli
from course_lib.encoder import SentenceEncoder
from course_lib.losses import SoftmaxLoss
from course_lib.siamese import siamese_objective
from course_lib.training import train
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


def trained_encoder(apart: bool, head_rate: float = 0.01) -> torch.Tensor:
    """The weights of a small encoder whose head learns with it in one `train`, or apart."""
    torch.manual_seed(0)
    encoder, head, rows = nn.Linear(3, 2), nn.Linear(2, 2), torch.randn(24, 3).tolist()

    def objective(batch: list) -> torch.Tensor:
        inputs = torch.tensor(batch)  # (rows, 3)
        return cross_entropy(head(encoder(inputs)), (inputs[:, 0] > 0).long())

    settings = {"batch_size": 4, "learning_rate": 0.01, "autocast": False, "show_progress_bar": False}
    if apart:
        train(encoder, recipe.head_apart(head, objective, head_rate, steps=6), rows, **settings)
    else:
        train(nn.ModuleDict({"encoder": encoder, "head": head}), objective, rows, **settings)
    return encoder.weight.detach()


def test_a_head_apart_at_the_encoders_rate_learns_as_in_one_training():
    together = trained_encoder(apart=False)
    assert torch.allclose(trained_encoder(apart=True), together, atol=1e-6)
    assert not torch.allclose(trained_encoder(apart=True, head_rate=0.1), together, atol=1e-4)


def test_the_setting_of_a_head_apart_moves_the_head_at_its_own_rate(monkeypatch):
    monkeypatch.setattr(recipe, "all_examples", lambda experiment, setting: load_nli()[:64])
    moved = []
    for setting in ("softmax, untrained head", recipe.HEAD_APART):
        _, head, _ = recipe.train_one(recipe.Training("live", setting, 0))
        torch.manual_seed(0)
        moved.append((head.classifier.weight - SoftmaxLoss(head.dim).classifier.weight).abs().mean().item())
    first_step, both_steps = recipe.HEAD_RATE, 1.5 * recipe.LIVE_RATE  # the rate of the second of two steps is half
    assert moved[0] < 1.1 * both_steps and moved[1] == pytest.approx(first_step, rel=0.1)


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
