"""Recorded results of chapter 04: who wrote what, and that they say what the notebook says; and the recipes' table."""

import hashlib

import numpy as np
import pytest

from course_lib.support.folders import COURSE_HOME
from recipes.shared import results
from recipes.shared.cards import weights_sha256
from recipes.shared.results import data_sha256, read_rows, record, row

ROWS = read_rows("04.csv")
GUESSER = "how frequent each token is"


def of(experiment, **wanted):
    return [r for r in ROWS if r["experiment"] == experiment and all(r[k] == str(v) for k, v in wanted.items())]


def test_every_row_says_how_it_was_made():
    assert {r["experiment"] for r in ROWS} == {
        "pretraining",
        "frequencies",
        "questions",
        "questions-dev",
        "cross-encoder",
        "cost",
    }
    for r in ROWS:
        assert r["command"].startswith("python recipes/") and (COURSE_HOME / r["command"].split()[1]).is_file()
        assert float(r["seconds"]) > 0 and np.isfinite(float(r["value"]))
        assert len(r["data_sha256"]) == 64 or r["data"] == "random vectors"
        assert len(r["model_sha256"]) == 64 or "random weights" in r["model"] or r["model"] in ("(arithmetic)", GUESSER)


def test_rows_belong_to_what_ships():
    shipped = [r for r in ROWS if r["model"].startswith("course/")]
    assert {r["model"] for r in shipped} == {"course/bert-mini", "course/cross-encoder-mini", "course/sbert-mini"}
    for r in shipped:
        assert r["model_sha256"] == weights_sha256(
            COURSE_HOME / "data" / "models" / r["model"].removeprefix("course/")
        ), r
    for r in ROWS:
        if r["data"].startswith("course/"):
            assert r["data_sha256"] == data_sha256(r["data"]), f"{r['data']} has changed since it was measured"


@pytest.mark.parametrize("data", ["course/questions", "trec_questions"])
def test_pre_training_is_worth_ten_points_at_fifty_labels(data):
    starts = "course/bert-mini", "bert-mini's architecture, random weights"
    for n in (50, 200, 1000):
        runs = [[float(r["value"]) for r in of("questions", data=data, model=start, n=n)] for start in starts]
        assert all(len(values) >= 3 for values in runs)
        assert np.mean(runs[0]) > np.mean(runs[1]) + (10 if n == 50 else 0)
        for start in starts:  # the setting used is the best one of the trials
            trials = {
                r["setting"]: float(r["value"])
                for r in of("questions-dev", data=data, model=start, n=n)
                if "first word" in r["setting"]
            }
            used = {r["setting"] for r in of("questions", data=data, model=start, n=n)}
            assert len(trials) == 4 and len(used) == 1 and trials[used.pop()] == max(trials.values())


@pytest.mark.parametrize("what, slope", [("pairs", 2), ("embedding", 1), ("one query", 1)])
def test_slopes(what, slope):
    n, seconds = np.array([(float(r["n"]), float(r["value"])) for r in of("cost", setting=what)]).T
    assert len(n) >= 5 and np.polyfit(np.log(n), np.log(seconds), 1)[0] == pytest.approx(slope, abs=0.15)


def test_pre_training_curve_falls():
    n, loss = np.array([(int(r["n"]), float(r["value"])) for r in of("pretraining")]).T
    assert (np.diff(n) > 0).all() and len(n) >= 20 and n[-1] == pytest.approx(150e6, rel=0.01)
    assert loss[0] > 8 and loss[-1] < 3.2


def test_pre_training_first_learns_frequencies_then_more():
    guessed = [float(r["value"]) for r in of("frequencies", model=GUESSER)]
    n, loss = np.array([(int(r["n"]), float(r["value"])) for r in of("pretraining")]).T
    assert len(guessed) >= 3 and max(guessed) - min(guessed) < 0.2
    at = n[loss < min(guessed)][0]  # tokens read when the loss goes below what frequencies reach
    assert 2e6 < at < 8e6 and loss[-1] < min(guessed) - 3


def test_recording_leaves_the_other_experiments(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    new = {
        e: [row(e, "m", "d", "accuracy", value, "c", 1, seed=i) for i, value in enumerate(values)]
        for e, values in (("b", [0.5, 0.25]), ("a", [1]))
    }
    record("x.csv", "b", new["b"])
    record("x.csv", "a", new["a"])
    assert [(r["experiment"], r["seed"], r["value"]) for r in read_rows("x.csv")] == [
        ("a", "0", "100.00"),
        ("b", "0", "50.00"),
        ("b", "1", "25.00"),
    ]
    record("x.csv", "b", new["b"][:1])
    assert [(r["experiment"], r["seed"]) for r in read_rows("x.csv")] == [("a", "0"), ("b", "0")]
    assert [f.name for f in tmp_path.iterdir()] == ["x.csv"]


def test_seconds_are_not_multiplied():
    assert row("cost", "m", "d", "seconds", 0.25, "c", 0.25)["value"] == "0.25"


def test_data_hash_is_of_the_files():
    content = (COURSE_HOME / "data" / "sts.tsv").read_bytes()
    assert data_sha256("course/sts") == hashlib.sha256(content).hexdigest()
    assert data_sha256("course/sts", "course/sts") == hashlib.sha256(2 * content).hexdigest()
    folder = COURSE_HOME / "data" / "help"  # a retrieval set: the files in the order of their paths
    files = ("corpus.jsonl", "qrels/test.tsv", "queries.jsonl")
    pages = b"".join((folder / name).read_bytes() for name in files)
    assert data_sha256("course/help") == hashlib.sha256(pages).hexdigest()
