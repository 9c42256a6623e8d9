"""One step of a decoder with attention as a picture: from the states that are looked at to the word that is written.

    attention_step(words, keys, weights, "las", query, context, state, {"mujeres": 0.98, "chicas": 0.01})
    plt.show()

Nothing in it is typed in by hand: the stripes and numbers are those of the tensors of one step.

Left out on purpose: the other steps (plotting.attention_map shows the weights of all).
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from course_lib.drawing import HEAD, NETWORK, NORMAL, SMALL, TEXT, WIDTH, arrow, box, stripes

SHOWN = 12  # numbers of a vector that are drawn
LINK = "#2b6ca3"  # from a state into the context


def attention_step(
    source: Sequence[str],
    keys: Tensor,
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

    source: the words that are read, with keys (words, hidden) and weights (words,). previous: the word before; query
    (hidden,) the state then, context (hidden,) and state (hidden,) those of this step. written: the likeliest words and
    their probabilities. Of each vector the first 12 numbers are drawn, all on one scale, -1 to 1. Raises ValueError
    where words, keys and weights are not equally many.
    """
    if not len(source) == len(keys) == len(weights):
        raise ValueError(f"{len(source)} words, {len(keys)} keys and {len(weights)} weights; expected one of each")
    if ax is None:
        _, ax = plt.subplots(figsize=(9, 6), layout="constrained")
    width, strongest = (WIDTH - 1.6) / len(source), weights.argmax().item()
    for i, (word, key, weight) in enumerate(zip(source, keys, weights.tolist())):
        x = 1.6 + width * (i + 0.5)
        box(ax, x, 0.4, 0.86 * width, 0.5, word, TEXT)
        _vector(ax, x - 0.43 * width, x + 0.43 * width, 1.0, key)
        if weight >= 0.005:
            ax.plot([x, 5], [1.2, 3.02], color=LINK, linewidth=0.6 + 9 * weight, solid_capstyle="butt", zorder=1)
        ink = {"weight": "bold"} if i == strongest else {}
        plate = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ax.text(x, 1.6, f"{weight:.2f}", ha="center", va="center", fontsize=NORMAL, bbox=plate, **ink)
    for y, name in ((0.4, "source"), (1.0, "encoder's\nstates $h_j$"), (1.6, r"weights $\alpha_j$")):
        ax.text(0.1, y, name, ha="left", va="center", fontsize=SMALL)
    bend = {"arrowstyle": "-|>", "color": "#444444", "linestyle": ":", "connectionstyle": "arc3,rad=-0.25"}
    ax.annotate("", (1.75, 1.75), (1.0, 2.95), arrowprops=bend)
    ax.text(1.75, 2.45, "the query is compared\nwith each state", ha="left", va="center", fontsize=SMALL)

    for left, vector, name in (
        (0.2, query, "old state $s$: the query"),
        (3.7, context, "context $c$: the states, weighed"),
    ):
        _vector(ax, left, left + 2.6, 3.2, vector)
        ax.text(left + 1.3, 3.53, name, ha="center", va="center", fontsize=SMALL)
    box(ax, 8.5, 3.25, 2.6, 0.6, f"previous word $y$: {previous}", TEXT)
    for x, label in ((1.5, ""), (5.0, "$c$"), (8.5, "$y$")):
        arrow(ax, x, 3.7 if x < 8 else 3.55, 4.2, label)
    box(ax, WIDTH / 2, 4.5, 9.6, 0.6, "GRU cell: the next state", NETWORK)
    arrow(ax, 1.5, 4.8, 5.2)
    _vector(ax, 0.2, 2.8, 5.4, state)
    ax.text(2.95, 5.4, "new state $s'$", ha="left", va="center", fontsize=SMALL)
    for x, start, label in ((1.5, 5.6, ""), (5.0, 5.2, "$c$ again"), (8.5, 5.2, "$y$ again")):
        arrow(ax, x, start, 6.05, label)
    box(ax, WIDTH / 2, 6.35, 9.6, 0.6, "tanh layer and output layer: a score for each word, then a softmax", HEAD)
    for i, (word, probability) in enumerate(written.items()):
        x = 0.2 + 9.6 * (i + 0.5) / len(written)
        arrow(ax, x, 6.65, 7.0)
        box(ax, x, 7.3, 9.0 / len(written), 0.55, f"{word}  {probability:.2f}", TEXT)
    ax.set(xlim=(0, WIDTH), ylim=(7.7, 0))
    ax.axis("off")
    ax.set_title(title, fontsize="medium")
    return ax


def _vector(ax: Axes, left: float, right: float, y: float, values: Tensor):
    stripes(ax, left, right, y, values[:SHOWN], "", limit=1.0)
