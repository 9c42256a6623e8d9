"""The figures show the values they were given, on fixed scales, in text that can be read."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from colours import luminance

from course_lib.plotting import attention_map, bars, curve, heatmap, histogram, history_curves, scatter


@pytest.mark.parametrize("kind, low", [("cosine", -1), ("unit", 0)])
def test_heatmap_scale_values_and_contrast(kind, low):
    matrix = torch.linspace(low, 1, 121).reshape(11, 11)
    ax = heatmap(matrix, title="A finding", kind=kind)
    image = ax.images[0]
    assert image.get_clim() == (low, 1)
    np.testing.assert_allclose(image.get_array(), matrix, atol=1e-6)
    assert [text.get_text() for text in ax.texts] == [
        f"{value:.2f}".replace("-0.00", "0.00") for value in matrix.flatten().tolist()
    ]
    assert ax.get_title() == "A finding"
    for text, value in zip(ax.texts, matrix.flatten().tolist()):
        cell, ink = luminance(image.cmap(image.norm(value))), float(text.get_color() == "white")
        assert (max(cell, ink) + 0.05) / (min(cell, ink) + 0.05) >= 4.5  # WCAG AA


def test_heatmap_labels():
    def ticks(ax):
        return [t.get_text() for t in ax.get_yticklabels()], [t.get_text() for t in ax.get_xticklabels()]

    eye = np.eye(2)
    assert ticks(heatmap(eye, labels=["one", "two"])) == (["one", "two"], ["one", "two"])
    assert ticks(heatmap(eye, labels=["a long sentence", "two"])) == (["a long sentence  1", "two  2"], ["1", "2"])
    assert ticks(heatmap(eye)) == (["1", "2"], ["1", "2"])
    assert ticks(heatmap(np.zeros((2, 3)), labels=["one", "two"])) == (["one", "two"], ["1", "2", "3"])


def test_heatmap_of_a_large_matrix_has_no_values_in_its_cells():
    ax = heatmap(np.zeros((13, 13)))
    assert not ax.texts and not ax.get_xticklabels() and not ax.get_yticklabels()


@pytest.mark.parametrize(
    "matrix, options, message",
    [
        ([[0.5]], {"kind": "cosines"}, "expected one of cosine, unit"),
        ([[1.5]], {}, "has 1.5 to 1.5"),
        ([[-0.5]], {"kind": "unit"}, "shows 0 to 1"),
        ([[float("nan")]], {}, "has nan"),
        ([0.5], {}, r"got the shape \(1,\)"),
        ([[0.5]], {"labels": ["a", "b"]}, "2 labels for 1 rows"),
    ],
)
def test_heatmap_refuses_what_it_would_show_wrongly(matrix, options, message):
    with pytest.raises(ValueError, match=message):
        heatmap(matrix, **options)


def test_attention_map_has_a_row_for_each_target_and_a_column_for_each_source():
    weights = torch.tensor([[0.1, 0.9, 0.0], [0.2, 0.3, 0.5]])
    ax = attention_map(weights, ["the", "red", "car"], ["coche", "rojo"], title="A finding")
    np.testing.assert_allclose(ax.images[0].get_array(), weights, atol=1e-7)
    assert (
        ax.images[0].get_clim() == (0, 1)
        and ax.images[0].get_cmap().name == "cividis"
        and ax.get_title() == "A finding"
    )
    assert [t.get_text() for t in ax.get_yticklabels()] == ["coche", "rojo"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["the", "red", "car"]
    assert [t.get_text() for t in ax.texts] == ["0.10", "0.90", "0.00", "0.20", "0.30", "0.50"]


def test_attention_map_of_self_attention_names_each_token_twice_however_many():
    tokens = [f"a long token {i}" for i in range(30)]
    ax = attention_map(np.eye(30), tokens)
    assert [t.get_text() for t in ax.get_yticklabels()] == [t.get_text() for t in ax.get_xticklabels()] == tokens
    assert not ax.texts


@pytest.mark.parametrize(
    "weights, message",
    [
        (np.zeros((3, 2)), r"the shape \(3, 2\); expected \(target tokens, source tokens\) = \(2, 3\)"),
        (np.zeros((1, 2, 3)), r"the shape \(1, 2, 3\)"),
        (np.full((2, 3), 1.5), "shows 0 to 1"),
    ],
)
def test_attention_map_refuses_what_does_not_fit(weights, message):
    with pytest.raises(ValueError, match=message):
        attention_map(weights, ["the", "red", "car"], ["coche", "rojo"])


def test_histogram_counts_each_set_as_its_share():
    ax = histogram({"few": np.array([0.0, 1.0]), "many": torch.linspace(0, 1, 1000)}, title="A finding", xlabel="score")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["few", "many"]
    assert ax.get_xlabel() == "score" and ax.get_title() == "A finding"
    few, many = (collection.get_paths()[0].vertices for collection in ax.collections)
    assert few[:, 1].max() == pytest.approx(50) and many[:, 1].max() < 20
    assert np.array_equal(np.unique(few[:, 0]), np.unique(many[:, 0]))  # the same bins
    assert histogram([0.0, 1.0]).get_legend() is None


def test_bars_keep_their_order_and_show_their_values():
    ax = bars({"GloVe": 58.02, "BERT": 46.35}, title="A finding", xlabel="points")
    assert [bar.get_width() for bar in ax.patches] == [58.02, 46.35]
    assert [text.get_text() for text in ax.texts] == [" 58.02", " 46.35"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["GloVe", "BERT"]
    assert ax.yaxis.get_inverted() and ax.get_xlim()[0] <= 0


def test_bars_show_runs_and_a_baseline():
    ax = bars({"ruler": 72.4, "attention": 61.6}, digits=0, runs={"attention": [61, 76]}, baseline="ruler")
    line, none, marks = ax.lines
    assert line.get_xdata()[0] == 72.4 and not len(none.get_xdata()) and list(marks.get_xdata()) == [61, 76]
    assert [(text.get_text(), text.get_position()) for text in ax.texts] == [(" 72", (72.4, 0)), (" 62", (76, 1))]
    grey, coloured = (bar.get_facecolor() for bar in ax.patches)
    assert len(set(grey[:3])) == 1 and len(set(coloured[:3])) > 1


def test_curve_draws_the_mean_and_the_band_of_the_runs():
    ax = curve([3, 5, 9], torch.tensor([[1.0, 2.0, 6.0], [3.0, 2.0, 0.0]]), label="with attention")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[3, 2], [5, 2], [9, 3]])
    band = {tuple(point) for point in ax.collections[0].get_paths()[0].vertices}
    assert {(3, 1), (3, 3), (5, 2), (9, 0), (9, 6)} == band
    curve([3, 5, 9], [1, 1, 1], label="one run", ax=ax)
    assert len(ax.collections) == 1  # one run has no band
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["with attention", "one run"]
    first, second = ax.lines
    assert first.get_color() != second.get_color() and first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()
    assert curve(["3-6", "7-12"], [1, 2]).get_legend() is None


@pytest.mark.parametrize("runs", [[[1, 2]], [1, 2, float("nan")], np.zeros((1, 2, 3)), np.zeros((0, 3))])
def test_curve_refuses_what_it_cannot_show(runs):
    with pytest.raises(ValueError, match=r"shape \(runs, 3\)"):
        curve([3, 5, 9], runs)


def test_scatter_draws_each_group_in_its_shape():
    ax = scatter(torch.eye(2), groups=["river", "money"], title="A finding")
    assert [collection.get_label() for collection in ax.collections] == ["river", "money"]
    assert len({str(collection.get_paths()[0].vertices) for collection in ax.collections}) == 2
    with pytest.raises(ValueError, match=r"got \(2, 3\)"):
        scatter(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="1 groups"):
        scatter(torch.eye(2), groups=["river"])


def test_all_draw_on_the_axes_they_are_given():
    _, axes = plt.subplots(1, 6)
    drawn = (
        heatmap([[1.0]], ax=axes[0]),
        histogram([0.0, 1.0], ax=axes[1]),
        bars({"a": 1.0}, ax=axes[2]),
        scatter(np.eye(2), ax=axes[3]),
    )
    drawn += attention_map([[1.0]], ["a"], ax=axes[4]), curve([1, 2], [1, 2], ax=axes[5])
    assert all(a is b for a, b in zip(drawn, axes))
    assert len(plt.get_fignums()) == 1


HISTORY = [
    {"step": 2, "epoch": 0.5, "loss": 1.5, "seconds": 0.1},
    {"step": 4, "epoch": 1.0, "loss": 0.75, "seconds": 0.2, "accuracy": 0.5},
    {"step": 6, "epoch": 1.5, "loss": 0.5, "seconds": 0.3, "accuracy": 0.25},
]


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
