"""course_lib.history: what a training said, as curves; and as a table, which printing.py prints."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from course_lib.history import history_curves
from course_lib.support.printing import table

HISTORY = [
    {"step": 2, "epoch": 0.5, "loss": 1.5, "seconds": 0.1},
    {"step": 4, "epoch": 1.0, "loss": 0.75, "seconds": 0.2, "accuracy": 0.5},
    {"step": 6, "epoch": 1.5, "loss": 0.5, "seconds": 0.3, "accuracy": 0.25},
]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def points(ax):
    return [np.stack(line.get_data()).T.tolist() for line in ax.lines]


def test_the_loss_and_each_metric_where_it_was_measured():
    top, below = history_curves(HISTORY, ["accuracy"], title="Overfitting")
    assert points(top) == [[[2, 1.5], [4, 0.75], [6, 0.5]]] and points(below) == [[[4, 0.5], [6, 0.25]]]
    assert (top.get_title(), top.get_ylabel(), below.get_ylabel(), below.get_xlabel()) == (
        "Overfitting",
        "loss",
        "accuracy",
        "step",
    )
    assert top.get_xlim() == below.get_xlim() and top.get_legend() is None


def test_several_runs_are_told_apart():
    (ax,) = history_curves({"a": HISTORY, "b": HISTORY[:2]})
    assert points(ax) == [[[2, 1.5], [4, 0.75], [6, 0.5]], [[2, 1.5], [4, 0.75]]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert len({(line.get_linestyle(), line.get_marker()) for line in ax.lines}) == 2


@pytest.mark.parametrize(
    "history, metric, message",
    [
        (HISTORY, "f1", "no entry of the history '' has 'f1'; there are accuracy, epoch, loss"),
        ({"b": HISTORY[:1]}, "accuracy", "of the history 'b' has 'accuracy'"),
        ([], "a", "no entries"),
    ],
)
def test_what_was_never_measured_is_an_error(history, metric, message):
    with pytest.raises(ValueError, match=message):
        history_curves(history, [metric])


def test_as_a_table():
    assert table(HISTORY, digits=2).splitlines() == [
        "step  epoch  loss  seconds  accuracy",
        "   2   0.50  1.50     0.10",
        "   4   1.00  0.75     0.20      0.50",
        "   6   1.50  0.50     0.30      0.25",
    ]
