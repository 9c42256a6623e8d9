"""One layer of a transformer as a picture: its parts and sizes, what is added where, and which part sees other tokens.

    encoder_layer(BertLayer(config))
    decoder_layer(nn.TransformerDecoderLayer(80, 4))
    plt.show()

Nothing in it is typed in by hand: widths, heads and parameter counts are read off the module.

Left out on purpose: dropout, layers whose parts have other names, and those that apply the layer norm first.
"""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from torch import nn

from course_lib.drawing import HEAD, NETWORK, PLAIN, SMALL, TEXT, WIDTH, arrow, box, pointer

THREE, MIDDLE = (2.0, 5.0, 8.0), 5.0  # centres of query, key and value, and of everything else
SKIP = "#b35900"  # the way around a part


def encoder_layer(layer: nn.Module, title: str = "", ax: Axes | None = None) -> Axes:
    """From the vectors that go in, above, to those that come out.

    layer: has the parts of `bert.BertLayer` (or transformers') under their names. Raises AttributeError for another.
    """
    attention, wide, out = layer.attention["self"], layer.intermediate["dense"], layer.output
    mixing = layer.attention["output"]
    hidden, heads = attention.query.in_features, attention.heads
    if ax is None:
        _, ax = plt.subplots(figsize=(7.2, 6.4), layout="constrained")
    box(ax, MIDDLE, 0.4, 7.6, 0.6, f"one vector a token: (tokens, {hidden})", TEXT)
    for x, name in zip(THREE, ("query", "key", "value")):
        arrow(ax, x, 0.7, 1.35)
        box(ax, x, 1.75, 2.7, 0.8, f"{name} map\n{_size(getattr(attention, name))}", NETWORK)
        arrow(ax, x, 2.15, 2.65)
    text = f"attention in {heads} heads of {hidden // heads} components:\neach token reads all tokens"
    box(ax, MIDDLE, 3.05, 8.7, 0.8, text, HEAD)
    arrow(ax, MIDDLE, 3.45, 3.85)
    box(ax, MIDDLE, 4.15, 7.6, 0.6, f"output map {_size(mixing.dense)}", NETWORK)
    _add_and_norm(ax, 0.4, 5.05, 4.45)
    arrow(ax, MIDDLE, 5.35, 5.95)
    text = f"feed-forward network, each token by itself:\n{_size(wide)}, GELU, {_size(out.dense)}"
    box(ax, MIDDLE, 6.4, 7.6, 0.9, text, NETWORK)
    _add_and_norm(ax, 5.55, 7.55, 6.85)
    arrow(ax, MIDDLE, 7.85, 8.25)
    box(ax, MIDDLE, 8.55, 7.6, 0.6, f"one vector a token: (tokens, {hidden})", TEXT)
    ax.set(xlim=(-0.1, WIDTH), ylim=(8.95, 0))
    ax.axis("off")
    ax.set_title(title, fontsize="medium")
    return ax


def decoder_layer(layer: nn.TransformerDecoderLayer, title: str = "", ax: Axes | None = None) -> Axes:
    """The same of a decoder, which has two attentions; beside the second stands what the encoder has read.

    Raises AttributeError for another kind of layer.
    """
    hidden, heads, first, second = layer.self_attn.embed_dim, layer.self_attn.num_heads, layer.linear1, layer.linear2
    activation = {"relu": "ReLU", "gelu": "GELU"}[layer.activation.__name__]
    middle, width = 3.9, 5.8
    if ax is None:
        _, ax = plt.subplots(figsize=(7.2, 6.4), layout="constrained")
    parts = [
        (f"self-attention in {heads} heads: each token\nreads itself and the tokens before it", HEAD),
        (f"cross-attention in {heads} heads: each token\nreads all tokens of the source", HEAD),
        (
            "feed-forward network, each token by itself:\n"
            f"{first.in_features} to {first.out_features}, {activation}, {second.in_features} to {second.out_features}",
            NETWORK,
        ),
    ]
    box(ax, middle, 0.4, width, 0.6, f"one vector a token written: (tokens, {hidden})", TEXT)
    for i, (text, colour) in enumerate(parts):
        y = 1.65 + 2.5 * i
        arrow(ax, middle, 0.7 if i == 0 else y - 1.25, y - 0.4)
        box(ax, middle, y, width, 0.8, text, colour)
        _add_and_norm(ax, 0.4 if i == 0 else y - 0.8, y + 0.95, y + 0.4, middle, width)
    arrow(ax, middle, 7.9, 8.25)
    box(ax, middle, 8.55, width, 0.6, f"one vector a token: (tokens, {hidden})", TEXT)
    box(ax, 8.55, 4.15, 2.5, 0.8, f"from the encoder:\n(source tokens, {hidden})", TEXT)
    pointer(ax, (7.3, 4.15), (middle + width / 2, 4.15))
    ax.set(xlim=(-0.1, WIDTH), ylim=(8.95, 0))
    ax.axis("off")
    ax.set_title(title, fontsize="medium")
    return ax


def _add_and_norm(ax: Axes, start: float, y: float, above: float, middle: float = MIDDLE, width: float = 7.6):
    """The sum at height y, and the residual connection that comes around the left from height `start`."""
    arrow(ax, middle, above, y - 0.3)
    box(ax, middle, y, width, 0.6, "add what went in, then layer norm", PLAIN)
    left, edge = 0.2, middle - width / 2
    ax.plot([edge if start < 1 else middle, left, left], [start, start, y], color=SKIP, linewidth=1.6)
    pointer(ax, (left, y), (edge, y), color=SKIP, linewidth=1.6, shrinkA=2, shrinkB=2)
    where = (left + 0.13, (start + y) / 2)
    ax.text(*where, "residual", ha="left", va="center", rotation=90, fontsize=SMALL, color=SKIP)


def _size(linear: nn.Linear) -> str:
    """Its widths and how many numbers it learns, in two words."""
    return f"{linear.in_features} to {linear.out_features} ({sum(p.numel() for p in linear.parameters()):,})"
