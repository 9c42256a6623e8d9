"""The course's figures: heatmaps, attention maps, histograms, bars, curves, a training's curves, points in the plane.

    ax = heatmap(cos_sim(vectors, vectors), labels=sentences, title="Sentences 1 and 2 are closest")
    plt.show()

Each function draws on `ax`, or on a new figure without one, and returns the Axes, so that anything matplotlib can do
may be added. Colours can be told apart by colour-blind readers: cosines have a diverging map fixed to -1..1, so that
one colour means one value in every figure of the course; what lies in 0..1 has cividis; categories differ in shape or
line as well as in colour. Titles state what the figure shows; the caller knows it, and gives them.

Left out on purpose: styles, saving (`ax.figure.savefig`), interactive figures.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

from course_lib.support.text_inputs import text_list
from course_lib.support.vectors import array_of

SCALES = {"cosine": ("RdBu_r", -1.0, 1.0), "unit": ("cividis", 0.0, 1.0)}  # kind: (colour map, lowest, highest)
PALETTE = sns.color_palette("colorblind")
MARKERS = "osD^vPX*"
LINES = ("-", "--", ":", "-.")
ANNOTATED = 12  # matrices up to this size have their values in the cells
SHORT = 12  # characters of a label that fits below a column


def heatmap(
    matrix, labels: Sequence[str] | None = None, title: str = "", kind: str = "cosine", ax: Axes | None = None
) -> Axes:
    """A matrix (rows, columns) as colours; up to 12 by 12 the values are written in the cells.

    labels: one a row; of a square matrix also the columns, which show only the row's number where labels are long.
    kind: "cosine" (diverging colours, -1..1) or "unit" (0..1, such as attention weights and probabilities).

    Raises ValueError for another kind, for values outside its range (a colour would hide how far), and for labels
    that do not fit.
    """
    values = _array(matrix)
    if kind not in SCALES:
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(SCALES)}")
    colours, low, high = SCALES[kind]
    if values.ndim != 2 or not values.size:
        raise ValueError(f"expected a matrix (rows, columns), got the shape {values.shape}")
    if not (values.min() >= low - 1e-4 and values.max() <= high + 1e-4):  # not: NaN is refused too
        raise ValueError(
            f"kind {kind!r} shows {low:g} to {high:g}; the matrix has {values.min():.4g} to {values.max():.4g}"
        )
    rows, columns = values.shape
    labels = None if labels is None else text_list(labels, "labels", "label")
    if labels is not None and len(labels) != rows:
        raise ValueError(f"{len(labels)} labels for {rows} rows")

    if ax is None:
        long = max(map(len, labels)) if labels else 0
        size = 0.5 * min(columns, ANNOTATED) + 2
        _, ax = plt.subplots(figsize=(size + 0.08 * long, 0.5 * min(rows, ANNOTATED) + 1), layout="constrained")
    image = ax.imshow(values, cmap=colours, vmin=low, vmax=high)
    ax.figure.colorbar(image, ax=ax, shrink=0.8)
    if rows <= ANNOTATED and columns <= ANNOTATED:
        for (i, j), value in np.ndenumerate(values):
            shown, ink = f"{value:.2f}".replace("-0.00", "0.00"), _readable(image.cmap(image.norm(value)))
            ax.text(j, i, shown, ha="center", va="center", fontsize=8, color=ink)
    names = list(labels) if labels is not None else [str(i + 1) for i in range(rows if rows <= ANNOTATED else 0)]
    below = names if rows == columns else [str(i + 1) for i in range(columns if columns <= ANNOTATED else 0)]
    if max(map(len, below), default=0) > SHORT:
        names, below = [f"{name}  {i + 1}" for i, name in enumerate(names)], [str(i + 1) for i in range(columns)]
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_xticks(range(len(below)), below, fontsize=8, rotation=90 if max(map(len, below), default=0) > 4 else 0)
    ax.set_title(title, fontsize="medium")
    return ax


def attention_map(
    weights,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Attention weights (target, source), in 0..1, as colours: row i shows where target token i looks.

    source_tokens: the columns, those that are looked at. target_tokens: the rows; without them the source's own, as in
    self-attention. Up to 12 by 12 the values are written in the cells.

    Raises ValueError for tokens that do not fit the weights, and for values outside 0..1.
    """
    source_tokens = text_list(source_tokens, "source_tokens", "token")
    target_tokens = source_tokens if target_tokens is None else text_list(target_tokens, "target_tokens", "token")
    expected = (len(target_tokens), len(source_tokens))
    if _array(weights).shape != expected:
        raise ValueError(
            f"the weights have the shape {_array(weights).shape}; expected (target tokens, source tokens) = {expected}"
        )
    ax = heatmap(weights, title=title, kind="unit", ax=ax)
    ax.set_yticks(range(len(target_tokens)), target_tokens, fontsize=8)
    ax.set_xticks(range(len(source_tokens)), source_tokens, fontsize=8, rotation=90)
    return ax


def histogram(scores, title: str = "", xlabel: str = "cosine", ax: Axes | None = None) -> Axes:
    """How often which scores occur: of one set of numbers (n,), or of several, {name: (n,), ...}.

    Every set is drawn as its share, so that sets of different size can be compared, and over the same bins.
    """
    sets = {
        name: _array(values).ravel()
        for name, values in (scores if isinstance(scores, Mapping) else {"": scores}).items()
    }
    if ax is None:
        _, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
    bins = np.histogram_bin_edges(np.concatenate(list(sets.values())), "auto")
    for i, (name, values) in enumerate(sets.items()):
        sns.histplot(
            x=values,
            bins=bins,
            stat="percent",
            element="step",
            color=PALETTE[i % len(PALETTE)],
            alpha=0.25,
            linestyle=LINES[i % 4],
            label=name or None,
            ax=ax,
        )
    ax.set(xlabel=xlabel, ylabel="share in %")
    ax.set_title(title, fontsize="medium")
    if any(sets):
        ax.legend()
    return ax


def bars(
    values: Mapping[str, float],
    title: str = "",
    xlabel: str = "",
    ax: Axes | None = None,
    digits: int = 2,
    runs: Mapping[str, Sequence[float]] | None = None,
    baseline: str | None = None,
) -> Axes:
    """One horizontal bar a name, in the order given, from the top; each value is written behind its bar.

    runs: of some bars the single runs, as black marks. baseline: the grey bar; a dashed line goes on from its end.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6.5, 0.35 * len(values) + 1), layout="constrained")
    colours = ["gray" if name == baseline else PALETTE[0] for name in values]
    ax.barh(range(len(values)), list(values.values()), color=colours, tick_label=list(values))
    if baseline:
        ax.axvline(values[baseline], color="black", linestyle="--", linewidth=1)
    for i, (name, value) in enumerate(values.items()):
        marks = list((runs or {}).get(name, ()))
        ax.plot(marks, [i] * len(marks), "k|", markersize=14)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # the dashed line does not cross the number
        ax.text(max([value, *marks]), i, f" {value:.{digits}f}", va="center", fontsize=8, bbox=box)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlabel(xlabel)
    ax.set_title(title, fontsize="medium")
    sns.despine(ax=ax)
    return ax


def curve(x: Sequence, runs, label: str = "", ax: Axes | None = None) -> Axes:
    """The mean of several runs (runs, points) over `x` as a line, and a band from their lowest to their highest.

    One run, (points,), is a line without a band. Call it again on the same `ax` for another curve: colour, line and
    marker change. The axes' names and the title are the caller's: `ax.set(xlabel=..., ylabel=..., title=...)`.
    """
    values = np.atleast_2d(_array(runs))
    if values.ndim != 2 or values.shape[1] != len(x) or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"expected finite numbers of shape (runs, {len(x)}), one for each x, got {values.shape}: {values}"
        )
    if ax is None:
        _, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
    i = len(ax.lines)
    style = dict(
        color=PALETTE[i % len(PALETTE)], linestyle=LINES[i % len(LINES)], marker=MARKERS[i % len(MARKERS)], markersize=5
    )
    ax.plot(x, values.mean(0), label=label or None, **style)
    if len(values) > 1:
        ax.fill_between(x, values.min(0), values.max(0), color=style["color"], alpha=0.2, linewidth=0)
    if label:
        ax.legend(fontsize=8)
    return ax


def history_curves(
    history: Sequence[Mapping] | Mapping[str, Sequence[Mapping]], metrics: Sequence[str] = (), title: str = ""
) -> list[Axes]:
    """What a training said on its way: the loss over the steps, below it a panel for each metric where it was measured.

        history_curves(train(...), metrics=["spearman_cosine"], title="The loss falls long after the score has stopped")

    history: what `train` returned; of several runs {name: history}. Returns the panels' Axes, from the top.
    Raises ValueError for a metric that no entry of some run has.
    """
    runs = history if isinstance(history, Mapping) else {"": history}
    _, panels = plt.subplots(
        1 + len(metrics), 1, figsize=(6.5, 2 + 1.5 * len(metrics)), sharex=True, squeeze=False, layout="constrained"
    )
    axes = list(panels[:, 0])
    for key, ax in zip(("loss", *metrics), axes):
        for name, entries in runs.items():
            measured = [(entry["step"], entry[key]) for entry in entries if key in entry]
            if not measured:
                known = sorted({key for entry in entries for key in entry})
                raise ValueError(
                    f"no entry of the history {name!r} has {key!r}; there are {', '.join(known) or 'no entries'}"
                )
            curve(*zip(*measured), label=name, ax=ax)
        ax.set_ylabel(key)
    axes[-1].set_xlabel("step")
    axes[0].set_title(title, fontsize="medium")
    return axes


def scatter(points, groups: Sequence[str] | None = None, title: str = "", ax: Axes | None = None) -> Axes:
    """Points (n, 2) in the plane, as from a projection; `groups`, one name a point, gives colour and shape."""
    points = _array(points)
    if points.ndim != 2 or points.shape[1] != 2 or (groups is not None and len(groups) != len(points)):
        found = None if groups is None else len(groups)
        raise ValueError(f"expected points (n, 2) and a group each, got {points.shape} and {found} groups")
    if ax is None:
        _, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
    groups = np.asarray([""] * len(points) if groups is None else groups)
    for i, name in enumerate(dict.fromkeys(groups.tolist())):
        chosen = points[groups == name]  # (m, 2)
        ax.scatter(*chosen.T, color=PALETTE[i % len(PALETTE)], marker=MARKERS[i % len(MARKERS)], label=name or None)
    if any(groups):
        ax.legend(fontsize=8)
    ax.set_xticks([])  # a projection's axes have no unit
    ax.set_yticks([])
    ax.set_title(title, fontsize="medium")
    return ax


def _array(values) -> np.ndarray:
    """A tensor, array or nested list as float64."""
    return array_of(values, "values").astype(np.float64)


def _readable(colour) -> str:
    """Black or white, whichever has the higher contrast on this RGBA colour (WCAG's relative luminance)."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    return "black" if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 else "white"
