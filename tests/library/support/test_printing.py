"""course_lib.support.printing: aligned lines, and a CSV file that is whole at every moment."""

import csv
import os

import pytest

from course_lib.support.printing import append_csv, table


def test_a_table_is_aligned():
    rows = [
        {"model": "course/bert-mini", "texts": 9, "spearman": 0.5},
        {"model": "glove", "texts": 12345, "seconds": 1.23456},
    ]
    assert table(rows).split("\n") == [
        "model             texts  spearman  seconds",
        "course/bert-mini      9    0.5000",
        "glove             12345             1.2346",
    ]
    assert table(rows, digits=1).split("\n")[1].split() == ["course/bert-mini", "9", "0.5"]
    assert (
        table([]) == "" and table([{"a": None, "b": True, "c": -0.00001}]) == "   a     b        c\nNone  True  -0.0000"
    )


def test_rows_are_added_below_one_header(tmp_path):
    path = tmp_path / "new folder" / "sts.csv"
    for step in range(3):
        append_csv(path, {"spearman_cosine": 0.1 + 0.2 * step, "a, b": step}, epoch=step / 2, steps=step)
    append_csv(path, {"spearman_cosine": 1 / 3, "a, b": 1})
    with open(path, encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["epoch", "steps", "spearman_cosine", "a, b"]
    assert [float(row["steps"]) for row in found] == [0, 1, 2, -1] and [float(row["epoch"]) for row in found] == [
        0,
        0.5,
        1,
        -1,
    ]
    assert [float(row["spearman_cosine"]) for row in found] == [0.1, 0.1 + 0.2, 0.5, 1 / 3]  # no digit is lost
    assert os.listdir(path.parent) == ["sts.csv"]


@pytest.mark.parametrize(
    "metrics, message",
    [({"x": 1, "z": 2}, "differing: y, z"), ({"y": 1, "x": 2}, "but their order"), ({"x": 1}, "differing: y")],
)
def test_other_columns_are_refused_and_nothing_is_lost(tmp_path, metrics, message):
    path = tmp_path / "a.csv"
    append_csv(path, {"x": 1, "y": 2})
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"a\.csv has other columns.*{message}"):
        append_csv(path, metrics)
    assert path.read_bytes() == before


def test_a_file_that_lost_its_last_line_end(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("epoch,steps,x\n-1,-1,5", encoding="utf-8")
    append_csv(path, {"x": 6})
    assert path.read_text(encoding="utf-8") == "epoch,steps,x\n-1,-1,5\n-1,-1,6\n"


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    append_csv(path, {"x": 1})
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        append_csv(path, {"x": 2})
    monkeypatch.undo()
    assert path.read_bytes() == before
    append_csv(path, {"x": 2})  # what the failure left is no obstacle
    assert path.read_text(encoding="utf-8").count("\n") == 3 and os.listdir(tmp_path) == ["a.csv"]
