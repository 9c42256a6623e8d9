"""recipes/ablations.py and map_ablations.py: what is paired, what learns, and that the results are of what ships."""

import numpy as np
import pytest
import torch

from course_lib.data import ScoredPair, load_nli
from course_lib.support.folders import COURSE_HOME
from recipes import ablations, map_ablations
from recipes.ablations import CONCATENATIONS, PAPER, POOLINGS, SEEDS, Ablation
from recipes.map_ablations import MapAblation
from recipes.shared.cards import weights_sha256
from recipes.shared.results import data_sha256, read_rows

RECIPES = pytest.mark.parametrize("recipe", [ablations, map_ablations], ids=lambda recipe: recipe.FILE)


def test_a_setting_differs_from_the_papers_best_in_one_thing():
    units = ablations.ablations()
    grid = [unit for unit in units if unit.experiment == "encoder" and unit.rate == ablations.RATE]
    assert all((unit.pooling != "mean") + (unit.concatenation != PAPER) <= 1 for unit in grid)
    assert len(grid) == len(set(grid)) == len(SEEDS) * (len(CONCATENATIONS) + len(POOLINGS) - 1) and len(SEEDS) >= 3
    assert len(units) == len(set(units))
    assert {unit.seed for unit in map_ablations.ablations()} == set(map_ablations.SEEDS)
    assert {(u.concatenation, u.labels) for u in map_ablations.ablations() if u.rate == map_ablations.RATE} == {
        (parts, labels) for parts in CONCATENATIONS for labels in ("real", "shuffled")
    }


@pytest.fixture
def few(monkeypatch):
    examples = load_nli("course/nli")[:24]
    scored = [ScoredPair(e.premise, e.hypothesis, 0.5) for e in examples]
    monkeypatch.setattr(
        ablations, "all_examples", lambda experiment: scored if experiment == "regression" else examples
    )
    monkeypatch.setattr(ablations, "PAIRS", {"encoder": 12, "ranking": 12, "regression": 4})


def test_every_unit_can_be_trained(few):
    begin = ablations.untrained_encoder("mean").state_dict()
    for unit in {unit._replace(seed=0, rate=1e-4) for unit in ablations.ablations() if unit.experiment != "before"}:
        encoder, head, n = ablations.train_encoder(unit)
        assert n == len(ablations.examples_of(unit)) > 0 and encoder[1].modes == (unit.pooling,)
        assert any(not torch.equal(weights, begin[name]) for name, weights in encoder.state_dict().items()), unit


def test_a_seed_gives_all_settings_the_same_pairs(few):
    drawn = [ablations.examples_of(Ablation("encoder", concatenation=parts, seed=1)) for parts in CONCATENATIONS]
    assert all(examples == drawn[0] for examples in drawn) and drawn[0] != ablations.examples_of(Ablation("encoder"))
    entailed = [(e.premise, e.hypothesis) for e in drawn[0] if e.label == 1]
    assert ablations.examples_of(Ablation("ranking", seed=1)) == entailed


@pytest.fixture
def small_vectors(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    u, v = torch.randn(2, 96, 8, generator=generator)
    monkeypatch.setattr(map_ablations, "vectors", lambda name: (u, v, (u[:, 0] - v[:, 0]).abs().gt(1).long().numpy()))
    return u, v


def test_a_map_learns_from_labels_and_not_from_shuffled_ones(small_vectors, monkeypatch):
    monkeypatch.setattr(map_ablations, "EPOCHS", 30)
    right = {}
    for labels in ("real", "shuffled"):
        change, head = map_ablations.train_map(MapAblation(("|u-v|",), labels, rate=0.1))
        assert not torch.equal(change.weight, torch.eye(8))
        right[labels] = map_ablations.scores(change, head)["snli/dev"][1]
    assert right["real"] > 0.9 > 0.75 > right["shuffled"]


def test_a_map_that_does_not_learn_changes_nothing(small_vectors):
    change, _ = map_ablations.train_map(MapAblation(PAPER, rate=0.0))
    assert torch.equal(change(small_vectors[0]), small_vectors[0])


@RECIPES
def test_goes_on_where_it_stopped(recipe, monkeypatch):
    measured = []
    monkeypatch.setattr(recipe, "measure", lambda unit: measured.append(unit) or [unit])
    units = recipe.ablations()
    done = {(unit.experiment, unit.model, unit.setting, str(unit.seed)) for unit in units[3:]}
    assert list(recipe.run_all(done)) == [[unit] for unit in units[:3]] and measured == units[:3]
    assert list(recipe.run_all(minutes=-1)) == []


@RECIPES
def test_every_row_says_how_it_was_made(recipe):
    rows = read_rows(recipe.FILE)
    keys = [(row["experiment"], row["setting"], row["seed"], row["data"]) for row in rows]
    assert len(keys) == len(set(keys))
    for row in rows:
        assert row["command"] == recipe.COMMAND and (COURSE_HOME / row["command"].split()[1]).is_file()
        assert float(row["seconds"]) > 0 and np.isfinite(float(row["value"])) and len(row["data_sha256"]) == 64
        assert row["model_sha256"] == weights_sha256(COURSE_HOME / "data" / "models" / "bert-mini")
        if row["experiment"] == "map" and row["data"] == "course/sts":
            assert row["data_sha256"] == data_sha256("course/nli", "course/sts"), "the bundled data have changed"


@RECIPES
def test_every_unit_is_recorded_and_nothing_else(recipe):
    recorded = {(row["experiment"], row["setting"], row["seed"]) for row in read_rows(recipe.FILE)}
    assert recorded == {(unit.experiment, unit.setting, str(unit.seed)) for unit in recipe.ablations()}


def test_labels_help_the_map_where_the_head_can_compare():
    rows = [row for row in read_rows("07_maps.csv") if row["data"] == "stsbenchmark/dev"]
    score = {(row["setting"], row["seed"]): float(row["value"]) for row in rows}
    for rate in (map_ablations.RATE, *map_ablations.OTHER_RATES):
        gain = {
            parts: [
                score[f"{parts}; linear; {rate:g}; real", s] - score[f"{parts}; linear; {rate:g}; shuffled", s]
                for s in "01234"
            ]
            for parts in ("u, v", "u, v, |u-v|")
        }
        assert min(gain["u, v, |u-v|"]) > 0 > np.mean(gain["u, v"])
