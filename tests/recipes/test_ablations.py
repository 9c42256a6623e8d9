"""recipes/ablations.py: its settings, how it goes on; and that data/results/07.csv holds what notebook 07 reads."""

import numpy as np
import pytest
import torch

from course_lib.data import ScoredPair, load_nli
from course_lib.support.folders import COURSE_HOME
from recipes import ablations as recipe
from recipes.ablations import CONCATENATIONS, PAPER, POOLINGS, SEEDS, Ablation
from recipes.shared.cards import weights_sha256
from recipes.shared.results import data_sha256, read_rows

ROWS = read_rows("07.csv")


def test_a_setting_differs_from_the_papers_best_in_one_thing():
    grid = [unit for unit in recipe.ablations() if unit.experiment == "nli" and unit.rate == recipe.RATE]
    for unit in grid:
        changed = [unit.pooling != "mean", unit.concatenation != PAPER, unit.head != "linear"]
        assert sum(changed) <= 1
    assert len(grid) == len(set(grid)) == len(SEEDS) * (len(CONCATENATIONS) + len(POOLINGS) - 1 + 1) and len(SEEDS) >= 3
    assert len({unit.setting for unit in recipe.ablations()}) * len(SEEDS) > len(grid)
    first = [
        unit
        for unit in grid
        if unit.concatenation in (("u", "v"), PAPER) and unit.pooling == "mean" and unit.head == "linear"
    ]
    assert max(map(grid.index, first)) < 10, "the most important comparison is not among the first"


def test_every_unit_can_be_trained(monkeypatch):
    examples = load_nli("course/nli")[:8]
    scored = [ScoredPair(e.premise, e.hypothesis, 0.5) for e in examples]
    monkeypatch.setattr(recipe, "examples_of", lambda experiment: scored if experiment == "stsb" else examples)
    monkeypatch.setattr(recipe, "PAIRS", {"nli": 6, "stsb": 4})
    for unit in {unit._replace(seed=0, rate=1e-4) for unit in recipe.ablations() if unit.experiment != "start"}:
        model = recipe.model_to_train(unit)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        assert recipe.train_ablation(unit, model) == {"nli": 6, "stsb": 4, "live": 8}[unit.experiment]
        changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        assert any(name.startswith("encoder") for name in changed), unit
        assert unit.experiment == "stsb" or {name for name in before if name.startswith("head")} <= changed, unit
        assert model["encoder"][1].modes == (unit.pooling,)


def test_a_seed_gives_all_settings_one_start():
    encoders = [
        recipe.model_to_train(Ablation("nli", pooling=mode, concatenation=parts))["encoder"].state_dict()
        for mode, parts in (("mean", PAPER), ("max", ("u", "v")))
    ]
    assert all(torch.equal(encoders[0][name], encoders[1][name]) for name in encoders[0])
    heads = [recipe.model_to_train(Ablation("nli", seed=seed))["head"].classifier.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[1], heads[2])


def test_goes_on_where_it_stopped(monkeypatch):
    measured = []
    monkeypatch.setattr(recipe, "measure_ablation", lambda unit: measured.append(unit) or [unit])
    units = recipe.ablations()
    done = {(unit.experiment, unit.model, unit.setting, str(unit.seed)) for unit in units[3:]}
    assert list(recipe.run_all(done)) == [[unit] for unit in units[:3]] and measured == units[:3]
    assert list(recipe.run_all(minutes=-1)) == []


def test_every_row_says_how_it_was_made():
    assert {row["experiment"] for row in ROWS} == {"start", "nli", "stsb", "live"}
    keys = [(row["experiment"], row["setting"], row["seed"], row["data"]) for row in ROWS]
    assert len(keys) == len(set(keys))
    for row in ROWS:
        assert row["command"] == recipe.COMMAND and (COURSE_HOME / row["command"].split()[1]).is_file()
        assert (
            float(row["seconds"]) > 0
            and np.isfinite(float(row["value"]))
            and len(row["data_sha256"]) == len(row["model_sha256"]) == 64
        )
        assert int(row["n"]) == (
            0 if row["experiment"] == "start" else recipe.PAIRS.get(row["experiment"], len(load_nli("course/nli")))
        )
        if row["experiment"] == "start":
            assert row["model_sha256"] == weights_sha256(COURSE_HOME / "data" / "models" / "bert-mini")
        if row["experiment"] == "live" and row["data"] == "course/sts":
            assert row["data_sha256"] == data_sha256("course/nli", "course/sts"), (
                "the bundled data have changed since they were measured"
            )


@pytest.mark.parametrize("experiment", ["nli", "stsb", "live", "start"])
def test_every_unit_is_recorded(experiment):
    recorded = {(row["setting"], row["seed"]) for row in ROWS if row["experiment"] == experiment}
    wanted = {(unit.setting, str(unit.seed)) for unit in recipe.ablations() if unit.experiment == experiment}
    assert wanted <= recorded, sorted(wanted - recorded)


def test_the_learning_rate_is_the_one_that_labels_more():
    right = {
        rate: [
            float(row["value"])
            for row in ROWS
            if row["metric"] == "accuracy"
            and row["seed"] == "0"
            and row["setting"] in {f"mean; {', '.join(parts)}; linear; {rate:g}" for parts in (("u", "v"), PAPER)}
        ]
        for rate in (recipe.RATE, recipe.OTHER_RATE)
    }
    assert len(right[recipe.RATE]) == len(right[recipe.OTHER_RATE]) == 2
    assert np.mean(right[recipe.RATE]) > np.mean(right[recipe.OTHER_RATE])
