"""What diagrams are drawn with: boxes, arrows, and vectors as coloured stripes, on a sheet with two columns.

Left out on purpose: any layout; who draws says where each piece goes.
"""

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

WIDTH, LEFT, RIGHT = 10.0, 2.65, 7.35  # of the drawing, and the centres of its two columns
TEXT, NETWORK, HEAD, PLAIN = "#f2f2f2", "#cfe3f5", "#fbdcb8", "white"
EDGE = "#444444"  # of boxes and arrows
SMALL, NORMAL = 8, 9


def box(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    text: str,
    colour: str,
    size: int = NORMAL,
    edge: str = EDGE,
    line: float = 0.8,
):
    """A box with centre (x, y), and text in it."""
    style = "round,pad=0,rounding_size=0.12"
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle=style,
            facecolor=colour,
            edgecolor=edge,
            linewidth=line,
        )
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=size)


def arrow(ax: Axes, x: float, start: float, end: float, label: str = ""):
    """From (x, start) to (x, end), with the shape of what flows along it."""
    pointer(ax, (x, start), (x, end))
    ax.text(x + 0.12, (start + end) / 2 - 0.03, label, ha="left", va="center", fontsize=SMALL)


def pointer(ax: Axes, start: tuple[float, float], end: tuple[float, float], **style):
    """An arrow in any direction, from point to point. style: matplotlib's arrowprops, where they differ."""
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": EDGE, "shrinkA": 0, "shrinkB": 0} | style)


def join(ax: Axes, y: float, text: str) -> float:
    """Arrows from u and v at height y into one box; its height."""
    for x in (LEFT, RIGHT):
        arrow(ax, x, y + 0.48, y + 0.85)
    box(ax, WIDTH / 2, y + 1.15, 9.2, 0.6, text, PLAIN)
    return y + 1.15


def stripes(ax: Axes, left: float, right: float, y: float, values: Tensor, name: str, limit: float | None = None):
    """A vector as a row of coloured stripes, blue below zero, red above, with its name under it.

    limit: the number with the full colour; without it, the vector's largest.
    """
    limit = max(values.abs().max().item(), 1e-9) if limit is None else limit
    ax.imshow(
        values[None].numpy(),
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        extent=(left, right, y + 0.17, y - 0.17),
        aspect="auto",
        interpolation="nearest",
    )
    ax.text((left + right) / 2, y + 0.32, name, ha="center", va="center", fontsize=NORMAL, style="italic")


def shape(sizes) -> str:
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"
