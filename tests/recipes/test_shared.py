"""recipes/shared: what is measured or trained goes on where it stopped."""

import argparse
import json

import pytest
import torch
from torch import nn

from course_lib.support.fingerprint import fingerprint
from recipes.shared import units
from recipes.shared.arguments import at_least_0
from recipes.shared.made import made
from recipes.shared.measured import Measured
from recipes.shared.training import Numbers, train_in


def test_what_was_measured_is_read_again(tmp_path):
    path = tmp_path / "build" / "found.jsonl"
    known = Measured(path)
    assert known == {}
    known.add(("snli", 0.5, 1), {"spearman": 0.25})
    known.add(("snli", 0.5, 2), [1, 2.5])
    assert Measured(path) == known == {("snli", 0.5, 1): {"spearman": 0.25}, ("snli", 0.5, 2): [1, 2.5]}
    path.write_bytes(path.read_bytes()[:-7])  # a process was killed while it wrote the last line
    known = Measured(path)
    assert known == {("snli", 0.5, 1): {"spearman": 0.25}}
    known.add(("snli", 0.5, 2), [3])
    assert Measured(path) == known and path.read_text(encoding="utf-8").count("\n") == 2


def test_what_was_measured_on_something_else_is_refused(tmp_path):
    path = tmp_path / "found.jsonl"
    Measured(path, "data 1").add(("a",), 1)
    assert Measured(path, "data 1") == {("a",): 1}
    with pytest.raises(ValueError, match="found.jsonl was made of other data, or with other settings: remove it"):
        Measured(path, "data 2")


def test_what_was_made_of_something_else_is_refused(tmp_path, capsys):
    folder = tmp_path / "build" / "model"
    assert not made(folder, "a") and not made(folder, "b")  # killed before it was there: made anew
    folder.mkdir()
    assert made(folder, "b")
    with pytest.raises(ValueError, match="remove it, and it is made anew"):
        made(folder, "a")
    (folder.parent / "model.made_of").unlink()  # as before there were notes
    assert made(folder, "a") and "taken as it is" in capsys.readouterr().out


def test_numbers_are_known_by_what_they_stand_for(tmp_path):
    numbers = Numbers(3, ["a", "b", "c"])
    assert list(numbers) == [0, 1, 2] and len(numbers) == 3 and fingerprint(numbers) == fingerprint(["a", "b", "c"])
    model, settings = nn.Linear(1, 1), dict(batch_size=1, learning_rate=0.1)
    train_in(tmp_path, model, lambda batch: model.weight.sum(), numbers, **settings)
    with pytest.raises(ValueError, match="other examples"):
        train_in(tmp_path, model, lambda batch: model.weight.sum(), Numbers(3, ["a", "b", "d"]), **settings)


def test_a_training_keeps_its_log_and_its_checkpoint(tmp_path):
    model = nn.Linear(2, 1)

    def loss(batch):
        return model(torch.ones(len(batch), 2)).square().mean()

    settings = dict(batch_size=2, learning_rate=0.1, checkpoint_every=1, log_every=1)
    history = train_in(tmp_path / "run", model, loss, range(6), **settings)
    log = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in log] == [entry["step"] for entry in history]
    weights = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.zero_()
    train_in(tmp_path / "run", model, loss, range(6), **settings)  # finished: its weights come back
    assert torch.equal(model.weight, weights)


class OneUnit:
    experiment, model, setting = "e", "m", "s"

    def __init__(self, seed):
        self.seed = seed


@pytest.mark.parametrize(
    "done, minutes, expected", [((), 1, [0, 1]), ({("e", "m", "s", "0")}, 1, [1]), ((), -1, []), ({()}, 1, [0, 1])]
)
def test_units_that_are_recorded_are_not_measured_again(done, minutes, expected):
    found = units.rows_of_units([OneUnit(0), OneUnit(1)], lambda unit: [{"seed": unit.seed}], done, minutes)
    assert [rows[0]["seed"] for rows in found] == expected


def test_each_unit_is_recorded_when_it_is_done(monkeypatch, capsys):
    rows = [dict(experiment="e", model="m", setting="s", seed=str(i), data="d", value="1", seconds="2") for i in (0, 1)]
    recorded = [rows[0]]
    monkeypatch.setattr(units, "read_rows", lambda file: list(recorded))
    monkeypatch.setattr(units, "append", lambda file, new: recorded.extend(new))
    monkeypatch.setattr("sys.argv", ["recipe", "--minutes", "5"])

    def run_all(done, minutes):
        assert done == {("e", "m", "s", "0")} and minutes == 5
        yield [rows[1]]

    units.record_units("what it does", "x.csv", run_all)
    assert recorded == rows and "e m s 1 {'d': '1'} 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "kind, text, value", [(int, "0", 0), (int, "12", 12), (float, "0.5", 0.5), (float, "inf", float("inf"))]
)
def test_a_number_from_0_on(kind, text, value):
    assert at_least_0(kind)(text) == value


@pytest.mark.parametrize("kind, text", [(int, "-1"), (int, "1.5"), (int, "many"), (float, "nan"), (float, "-0.1")])
def test_no_such_number(kind, text, capsys):
    """--runs -1 would leave out the last training, --minutes nan never stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=at_least_0(kind))
    with pytest.raises(SystemExit):
        parser.parse_args([f"--runs={text}"])
    assert f"number from 0 on, got {text!r}" in capsys.readouterr().err
