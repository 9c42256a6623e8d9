"""One step of a decoder with attention as a picture: from the states that are looked at to the word that is written.

    attention_step(words, keys, energies, weights, "las", query, context, state, {"mujeres": 0.98, "chicas": 0.01})
    plt.show()

Nothing in it is typed in by hand: the stripes and numbers are those of the tensors of one step.

Left out on purpose: the other steps (plotting.attention_map shows the weights of all).
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from course_lib.drawing import EDGE, HEAD, NETWORK, NORMAL, SMALL, TEXT, WIDTH, arrow, box, pointer, stripes

SHOWN = 12  # numbers of a vector that are drawn
LINK = "#2b6ca3"  # from a state into the context


def attention_step(
    source: Sequence[str],
    keys: Tensor,
    energies: Tensor,
    weights: Tensor,
    previous: str,
    query: Tensor,
    context: Tensor,
    state: Tensor,
    written: Mapping[str, float],
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """The encoder above, the decoder below, as they follow each other in time.

    source: the words that are read, with keys (words, hidden), energies and weights (words,). previous: the one before;
    query (hidden,) the state then, context (hidden,) and state (hidden,) those of this step. written: the likeliest
    words and their probabilities. Of each vector the first 12 numbers are drawn, all on one scale, -1 to 1. Raises
    ValueError where words, keys, energies and weights are not equally many.
    """
    if not len(source) == len(keys) == len(energies) == len(weights):
        counts = f"{len(source)} words, {len(keys)} keys, {len(energies)} energies and {len(weights)} weights"
        raise ValueError(f"{counts}; expected one of each")
    if ax is None:
        _, ax = plt.subplots(figsize=(9, 6.6), layout="constrained")
    _look(ax, source, keys, energies, weights)
    for left, vector, name in (
        (0.2, query, "old state $s$: the query"),
        (3.7, context, "context $c$: the states, weighed"),
    ):
        _vector(ax, left, left + 2.6, 3.7, vector)
        ax.text(left + 1.3, 4.03, name, ha="center", va="center", fontsize=SMALL)
    box(ax, 8.5, 3.75, 2.6, 0.6, f"previous word $y$: {previous}", TEXT)
    arrow(ax, 1.5, 4.2, 4.7)
    box(ax, 2.2, 5.0, 4.0, 0.6, "GRU cell: the next state", NETWORK)
    for x, top, y, name in ((5.0, 4.2, 5.12, "$c$"), (8.5, 4.05, 4.88, "$y$")):  # into the cell, and on
        ax.plot([x], [y], "o", color=EDGE, markersize=4)
        pointer(ax, (x, y), (4.2, y))
        arrow(ax, x, top, 6.45)
        ax.text(x + 0.12, 5.9, name, ha="left", va="center", fontsize=SMALL)
    arrow(ax, 1.5, 5.3, 5.65)
    _vector(ax, 0.2, 2.8, 5.85, state)
    ax.text(2.95, 5.85, "new state $s'$", ha="left", va="center", fontsize=SMALL)
    arrow(ax, 1.5, 6.05, 6.45)
    text = "readout: a tanh layer, then the output layer: a score for each word; softmax"
    box(ax, WIDTH / 2, 6.75, 9.6, 0.6, text, HEAD)
    for i, (word, probability) in enumerate(written.items()):
        x = 0.2 + 9.6 * (i + 0.5) / len(written)
        arrow(ax, x, 7.05, 7.4)
        box(ax, x, 7.7, 9.0 / len(written), 0.55, f"{word}  {probability:.2f}", TEXT)
    ax.set(xlim=(0, WIDTH), ylim=(8.1, 0))
    ax.axis("off")
    ax.set_title(title, fontsize="medium")
    return ax


def _look(ax: Axes, source: Sequence[str], keys: Tensor, energies: Tensor, weights: Tensor):
    """Words, states, energies and weights, a column each; a rail from the query to all; lines into the context."""
    width, strongest = (WIDTH - 1.9) / len(source), weights.argmax().item()
    middle = [1.9 + width * (i + 0.5) for i in range(len(source))]
    ax.plot([1.75, 1.75, middle[-1]], [3.5, 1.4, 1.4], color=EDGE, linestyle=":", linewidth=1.3, zorder=1)
    for i, (x, word, key) in enumerate(zip(middle, source, keys)):
        box(ax, x, 0.4, 0.86 * width, 0.5, word, TEXT)
        _vector(ax, x - 0.43 * width, x + 0.43 * width, 1.0, key)
        arrow(ax, x, 1.2, 1.7)
        bold = {"weight": "bold"} if i == strongest else {}
        for y, value in ((1.85, energies[i].item()), (2.35, weights[i].item())):
            ax.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=NORMAL, **bold)
        if weights[i] >= 0.005:
            thick = 0.6 + 9 * weights[i].item()
            ax.plot([x, 5], [2.52, 3.52], color=LINK, linewidth=thick, solid_capstyle="butt", zorder=1)
    rows = (
        (0.4, "source"),
        (1.0, "states $h_j$"),
        (1.85, "energies $e_j$"),
        (2.35, "softmax:\nweights $\\alpha_j$"),
    )
    for y, name in rows:
        ax.text(0.1, y, name, ha="left", va="center", fontsize=SMALL)
    ax.text(1.87, 2.95, "the query meets\nevery state", ha="left", va="center", fontsize=SMALL)


def _vector(ax: Axes, left: float, right: float, y: float, values: Tensor):
    stripes(ax, left, right, y, values[:SHOWN], "", limit=1.0)
