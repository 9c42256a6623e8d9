"""Recorded results of chapter 11: complete, of what ships, and made by a recipe that goes on where it stopped."""

import random

import numpy as np
import pytest
import torch

from course_lib.support.folders import COURSE_HOME
from recipes import town_questions, training_recipes
from recipes.shared.cards import weights_sha256
from recipes.shared.results import data_sha256, read_rows
from recipes.task_mix import Task, gain_interval, nearest_mean
from recipes.town_questions import on_town_pairs, town_pairs, town_split, town_tasks
from recipes.training_recipes import SEEDS, Training, run_all

ROWS = read_rows("11.csv")
TRAININGS = sorted({(r["experiment"], r["model"], r["setting"]) for r in ROWS if r["seed"] != ""})


def of(**wanted):
    return [r for r in ROWS if all(r[key] == value for key, value in wanted.items())]


def test_every_row_says_how_it_was_made():
    for r in ROWS:
        assert r["command"] == training_recipes.COMMAND and float(r["seconds"]) > 0 and np.isfinite(float(r["value"]))
        assert len(r["data_sha256"]) == len(r["model_sha256"]) == 64
    keys = [tuple(r[k] for k in ("experiment", "model", "setting", "seed", "data", "metric")) for r in ROWS]
    assert len(set(keys)) == len(keys)


def test_rows_belong_to_what_ships():
    shipped = [r for r in ROWS if r["model"].startswith("course/")]
    names = {"bert-mini", "glove-mini", "sbert-mini", "sbert-mini-nli", "sbert-mini-ranking"}
    assert {r["model"] for r in shipped} == {f"course/{name}" for name in names}
    sha = {f"course/{name}": weights_sha256(COURSE_HOME / "data" / "models" / name) for name in names}
    for r in shipped:
        assert r["model_sha256"] == sha[r["model"]], r


@pytest.mark.parametrize("experiment, model, setting", TRAININGS)
def test_every_training_has_all_seeds_and_measures(experiment, model, setting):
    rows = of(experiment=experiment, model=model, setting=setting)
    assert {r["seed"] for r in rows} == {str(seed) for seed in SEEDS}
    measures = {seed: sorted(r["data"] for r in rows if r["seed"] == seed) for seed in {r["seed"] for r in rows}}
    assert len(set(map(tuple, measures.values()))) == 1
    before = of(experiment=experiment, model=model, seed="")
    assert {r["data"] for r in before} >= {r["data"] for r in rows}, "the model before training was not measured"


def test_a_second_run_skips_what_is_recorded(monkeypatch):
    unit = Training(
        "stages",
        "course/bert-mini",
        "s",
        0,
        3,
        "course/bert-mini",
        ["course/sts"],
        lambda: {("course/sts", "spearman"): 0.5},
    )
    monkeypatch.setattr(training_recipes, "trainings", lambda: iter([unit, unit._replace(seed=1)]))
    (first,), (second,) = run_all()
    assert (first["value"], first["seed"], first["n"], second["seed"]) == ("50.00", 0, 3, 1)
    assert first["data_sha256"] == data_sha256("course/sts", "course/sts")
    done = {("stages", "course/bert-mini", "s", "0")}
    assert [rows[0]["seed"] for rows in run_all(done)] == [1]
    assert list(run_all(minutes=-1)) == []


def test_nearest_mean():
    """Two classes on two axes are told apart; texts that are all alike are not; a class is known by its mean alone."""

    class Encoder:
        def __init__(self, tell):
            self.tell = tell

        def encode(self, texts, **options):
            assert options["normalize_embeddings"]
            return torch.tensor([[1.0, 0.1] if self.tell and text.startswith("a") else [0.1, 1.0] for text in texts])

    texts = [f"{'ab'[i % 2]}{i}" for i in range(40)]
    task = nearest_mean([text[0] for text in texts], texts, known=20)
    assert task(Encoder(True)) == 1.0
    asked = random.Random(0).sample(range(40), 40)[20:]
    assert task(Encoder(False)) in {np.mean([i % 2 == which for i in asked]) for which in (0, 1)}


def test_interval_of_a_gain_is_that_of_the_mean_gain():
    """Of means it is the paired bootstrap's, which hardly depends on the chance that is used."""
    task = Task(lambda encoder: encoder, lambda items, drawn: float(items.mean()))
    chance = np.random.default_rng(1)
    before = chance.normal(size=400)
    after = before + chance.normal(0.5, 1, size=400)  # the gain of each: 0.5, give or take 1
    low, high = gain_interval(task, before, after, draws=2_000)
    half = 1.96 * (after - before).std() / 20
    assert low == pytest.approx((after - before).mean() - half, abs=0.02)
    assert high == pytest.approx((after - before).mean() + half, abs=0.02)
    assert gain_interval(task, before, before) == (0, 0)


def test_recorded_intervals_hold_the_recorded_gains():
    before = {r["data"]: r for r in of(experiment="domains", seed="")}
    gains = [r for r in of(experiment="domains") if "gain" in r["metric"]]
    assert len(gains) == 2 * len(before) * 2 * len(SEEDS)
    for r in gains:
        metric, end = r["metric"].split(" gain, ")
        (after,) = of(experiment="domains", setting=r["setting"], seed=r["seed"], data=r["data"], metric=metric)
        beyond = 100 * float(r["value"]) - (float(after["value"]) - float(before[r["data"]]["value"]))
        assert 0 < (beyond if end == "97.5 %" else -beyond) < 8


def test_town_is_split_by_group_and_measured_by_search():
    """A group's questions are found by an encoder that knows the groups, and by chance by one that knows nothing."""
    parts = town_split()
    group_of = {text: group for own in parts.values() for group, texts in own.items() for text in texts}
    assert {name: len(own) for name, own in parts.items()} == {"train": 75, "dev": 35, "test": 40}
    assert len(group_of) == 600 and len(town_pairs()) == 450
    assert {group for *_, group in town_pairs()} == set(parts["train"])

    class Encoder:
        def __init__(self, vector):
            self.vector = vector

        def encode(self, texts, **options):
            return torch.stack([self.vector(group_of[text]) for text in texts])

    groups, same = sorted(set(group_of.values())), torch.ones(1)
    for task in town_tasks().values():
        assert task(Encoder(lambda group: torch.eye(len(groups))[groups.index(group)])) == 1.0
        assert task(Encoder(lambda group: same)) < 0.2


def test_town_pairs_of_a_group_never_meet_in_a_batch(monkeypatch):
    batches = []

    def objective(encoder, loss):
        return lambda batch: batches.append(batch) or next(encoder.parameters()).sum() * 0

    monkeypatch.setattr(town_questions, "siamese_objective", objective)
    on_town_pairs("course/sbert-mini-ranking", 64, 1e-4, 1, 0)
    group_of = {pair: group for *pair, group in town_pairs() for pair in [tuple(pair)]}
    assert sorted(example for batch in batches for example in batch) == sorted(group_of)
    for batch in batches:
        assert len({group_of[pair] for pair in batch}) == len(batch)
