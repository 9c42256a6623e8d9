"""An encoder and a decoder as a picture, unrolled: one column a word, drawn from the states that they had.

    unrolled(["no", "[EOS]"], encoder_states, ["no", "[EOS]"], decoder_states)
    plt.show()

Left out on purpose: attention, and what happens inside a step.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from course_lib.drawing import EDGE, HEAD, NETWORK, NORMAL, SMALL, TEXT, WIDTH, arrow, box, pointer, stripes
from course_lib.plotting import PALETTE

SHOWN = 16  # of every state this many numbers are drawn
READ, CONTEXT, FED, STATE, WRITTEN = 0.5, 2.6, 4.1, 5.3, 6.5  # heights of the rows, from the top


def unrolled(
    source: Sequence[str],
    encoder_states: Tensor,
    written: Sequence[str],
    decoder_states: Tensor,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """What was read, the encoder's states, its last one as the context of every step, the decoder's states, what it
    wrote and was fed.

    source, written: words, each with [EOS] at its end. encoder_states (source, hidden), decoder_states (written,
    hidden) in -1..1. Raises ValueError where words and states differ in number.
    """
    for words, states in ((source, encoder_states), (written, decoder_states)):
        if len(words) != len(states) or not len(words):
            raise ValueError(f"expected a state for each word, got {len(states)} states for {len(words)} words")
    if ax is None:
        _, ax = plt.subplots(figsize=(9, 5.4), layout="constrained")
    column = WIDTH / max(len(source), len(written))
    width = 0.74 * column
    for i, (word, state) in enumerate(zip(source, encoder_states)):
        x = column * i + width / 2
        box(ax, x, READ, width, 0.5, word, NETWORK, SMALL)
        arrow(ax, x, READ + 0.25, READ + 0.68)
        stripes(ax, x - width / 2, x + width / 2, READ + 0.85, state[:SHOWN], "", 1.0)
        if i:
            pointer(ax, (x + width / 2 - column, READ + 0.85), (x - width / 2, READ + 0.85))
    text = f"encoder: a state after each word (the first {SHOWN} numbers of each: blue is -1, white 0, red 1)"
    ax.text(0, READ + 1.3, text, fontsize=SMALL)
    last, line = column * (len(source) - 1) + width / 2, CONTEXT + 0.7
    arrow(ax, last, READ + 1.02, CONTEXT - 0.17)
    stripes(ax, last - width / 2, last + width / 2, CONTEXT, encoder_states[-1, :SHOWN], "", 1.0)
    text = f"context vector: {encoder_states.shape[1]} numbers, the encoder's last state"
    ax.text(last - width / 2 - 0.1, CONTEXT, text, ha="right", va="center", fontsize=NORMAL)
    ends = -0.15, max(last, column * (len(written) - 1) + 0.88 * width)
    ax.plot([last, last], [CONTEXT + 0.17, line], color=PALETTE[3], linewidth=1)
    ax.plot([ends[0], *ends], [STATE, line, line], color=PALETTE[3], linewidth=1)
    pointer(ax, (ends[0], STATE), (0, STATE), color=PALETTE[3])
    for i, (word, state) in enumerate(zip(written, decoder_states)):
        left, x = column * i, column * i + width / 2
        box(ax, left + 0.38 * width, FED, 0.76 * width, 0.5, written[i - 1] if i else "[BOS]", HEAD, SMALL)
        arrow(ax, left + 0.38 * width, FED + 0.25, STATE - 0.17)
        pointer(ax, (left + 0.88 * width, CONTEXT + 0.7), (left + 0.88 * width, STATE - 0.17), color=PALETTE[3])
        stripes(ax, left, left + width, STATE, state[:SHOWN], "", 1.0)
        arrow(ax, x, STATE + 0.17, WRITTEN - 0.25)
        box(ax, x, WRITTEN, width, 0.5, word, TEXT, SMALL)
        if i:
            pointer(ax, (left + width - column, STATE), (left, STATE))
            gap = left - 0.13 * column
            ax.plot([left + width - column, gap, gap], [WRITTEN, WRITTEN, FED], color=PALETTE[0], linestyle="--", lw=1)
            pointer(ax, (gap, FED), (left, FED), color=PALETTE[0], linestyle="--")
    ax.legend(
        handles=[
            Patch(facecolor=NETWORK, edgecolor=EDGE, label="word read"),
            Patch(facecolor=HEAD, edgecolor=EDGE, label="previous word, fed to the decoder"),
            Patch(facecolor=TEXT, edgecolor=EDGE, label="word written"),
            Line2D([], [], color=EDGE, label="goes into"),
            Line2D([], [], color=PALETTE[3], label="context: first state; state and word of each step"),
            Line2D([], [], color=PALETTE[0], linestyle="--", label="written, then fed"),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.02),  # below the last row
        ncols=3,
        fontsize=SMALL,
        frameon=False,
    )
    ax.set(xlim=(-0.3, WIDTH), ylim=(WRITTEN + 0.45, 0.1))
    ax.axis("off")
    ax.set_title(title, fontsize="medium")
    return ax
