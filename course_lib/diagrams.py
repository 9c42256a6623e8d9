"""The siamese network and the cross-encoder as pictures, drawn from the modules and tensors themselves.

    siamese(encoder, SoftmaxLoss(256), ("She purchased a new laptop from the store", "She works in technology"))
    cross({"trained": CrossEncoder.load("course/cross-encoder-mini")}, ("What is gravity?", "How do aeroplanes fly?"))
    plt.show()

Nothing in them is typed in by hand: names and parameter counts are read off the modules, shapes off what they return
for the two sentences, and the stripes show the numbers of the vectors.

Left out on purpose: other graphs than these. For any module, `print(module)` lists what it holds.
"""

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from course_lib.data import LABELS
from course_lib.drawing import (
    HEAD,
    LEFT,
    NETWORK,
    NORMAL,
    PLAIN,
    RIGHT,
    SMALL,
    TEXT,
    WIDTH,
    arrow,
    box,
    join,
    pointer,
    shape,
    stripes,
)
from course_lib.encoder import SentenceEncoder
from course_lib.losses import SoftmaxLoss
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.similarity import pairwise_cos_sim
from course_lib.support.text_inputs import is_pair
from course_lib.support.tokenization import tokenize_pairs


def parameters(module: nn.Module) -> int:
    """How many numbers a module learns; one that is used twice counts once."""
    return sum(p.numel() for p in module.parameters())


def trace(encoder: SentenceEncoder, sentence: str) -> tuple[list[tuple[int, ...]], Tensor]:
    """Run one sentence: the shape that each module returns for it, and the sentence's vector (dim,)."""
    shapes: list[tuple[int, ...]] = []

    def note(module, inputs, output):
        vectors = getattr(output, "vectors", output)
        shapes.append(tuple(vectors.shape) if hasattr(output, "vectors") else tuple(vectors.shape[1:]))

    hooks = [module.register_forward_hook(note) for module in encoder]
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            vector = encoder([sentence])[0].cpu()
    finally:
        for hook in hooks:
            hook.remove()
        encoder.train(was_training)
    return shapes, vector


def siamese(
    encoder: SentenceEncoder,
    head: SoftmaxLoss | None = None,
    sentences: tuple[str, str] = ("A man is eating food.", "A man is eating bread."),
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Two sentences through one encoder, then through the head that training puts on it; without one, to their cosine.

    head: a SoftmaxLoss whose labels are data.LABELS. Reimers & Gurevych 2019 (arXiv 1908.10084), figures 1 and 2.
    Raises ValueError unless there are two sentences.
    """
    if not is_pair(sentences):
        raise ValueError(f"the network compares two sentences, got {sentences!r}")
    traces = [trace(encoder, sentence) for sentence in sentences]
    u, v = (vector for _, vector in traces)  # (dim,), (dim,)
    frame = 1.15 * len(encoder) + 0.7
    height = frame + (5.0 if head is None else 8.65)
    if ax is None:
        _, ax = plt.subplots(figsize=(8.4, 0.62 * height + 0.3), layout="constrained")

    y = 0.5
    for x, sentence in zip((LEFT, RIGHT), sentences):
        box(ax, x, y, 4.5, 0.85, "\n".join(textwrap.wrap(f'"{sentence}"', 44)), TEXT, SMALL)
    top, y = y + 0.75, y + 2.15
    box(ax, WIDTH / 2, top + frame / 2, 9.8, frame, "", PLAIN, edge="#2b6ca3", line=1.6)
    ax.text(
        WIDTH / 2,
        top + 0.52,
        f"one network, used twice:\n{parameters(encoder):,} parameters",
        ha="center",
        va="center",
        fontsize=NORMAL,
        color="#1d4e79",
        weight="bold",
    )
    below = 0.925
    for i, module in enumerate(encoder):
        for x, (shapes, _) in zip((LEFT, RIGHT), traces):
            arrow(ax, x, below, y - 0.3, shape(shapes[i - 1]) if i else "")
        box(ax, WIDTH / 2, y, 9.2, 0.6, f"{describe(module)}: {parameters(module):,} parameters", NETWORK)
        below, y = y + 0.3, y + 1.15
    y += 0.2
    limit = max(u.abs().max().item(), v.abs().max().item())
    for x, name, vector, (shapes, _) in zip((LEFT, RIGHT), "uv", (u, v), traces):
        arrow(ax, x, below, y - 0.22, shape(shapes[-1]))
        stripes(ax, x - 2, x + 2, y, vector, name, limit)
    if head is None:
        y = join(ax, y, "cosine of u and v")
        ax.text(
            WIDTH / 2, y + 0.85, f"{pairwise_cos_sim(u, v).item():.2f}", ha="center", va="center", fontsize=NORMAL + 2
        )
        arrow(ax, WIDTH / 2, y + 0.3, y + 0.65)
    else:
        y = classify(ax, y, u, v, head, limit)
    scale = f"-{limit:.1f} (blue) to {limit:.1f} (red): the colours of all stripes"
    stripes(ax, LEFT - 1, RIGHT + 1, height - 0.55, torch.linspace(-limit, limit, 99), scale, limit)
    ax.set(xlim=(0, WIDTH), ylim=(height, 0))
    ax.axis("off")
    ax.set_title(title, fontsize="medium")
    return ax


def classify(ax: Axes, y: float, u: Tensor, v: Tensor, head: SoftmaxLoss, limit: float) -> float:
    """From u and v at height y down to the probabilities of the labels. limit: as in `stripes`."""
    with torch.no_grad():
        device = head.classifier.weight.device
        features = head.features(u[None].to(device), v[None].to(device))  # (1, 3 * dim)
        probabilities = head.classifier(features).softmax(dim=1)[0].tolist()  # (labels,)
    y = join(ax, y, "put side by side: (u, v, |u - v|)")
    arrow(ax, WIDTH / 2, y + 0.3, y + 0.75, shape(features[0].shape))
    y += 0.97
    for i, (name, part) in enumerate(zip(("u", "v", "|u - v|"), features[0].chunk(3))):
        stripes(ax, 0.4 + 3.1 * i, 3.4 + 3.1 * i, y, part.cpu(), name, limit)
    linear = head.classifier
    arrow(ax, WIDTH / 2, y + 0.5, y + 0.85)
    box(
        ax,
        WIDTH / 2,
        y + 1.15,
        9.2,
        0.6,
        f"{type(linear).__name__} head, {linear.in_features} to {linear.out_features}: "
        f"{parameters(head):,} parameters, thrown away after training",
        HEAD,
    )
    arrow(ax, WIDTH / 2, y + 1.45, y + 1.85, f"{linear.out_features} logits")
    box(ax, WIDTH / 2, y + 2.15, 9.2, 0.6, "softmax: positive, and adding up to 1", PLAIN)
    names = sorted(LABELS, key=LABELS.get)
    for i, probability in enumerate(probabilities):
        x = WIDTH * (i + 0.5) / len(probabilities)
        arrow(ax, x, y + 2.45, y + 2.85)
        box(ax, x, y + 3.15, 2.6, 0.6, f"{names[i] if i < len(names) else i}  {probability:.2f}", TEXT)
    return y + 3.45


def cross(scorers: Mapping[str, CrossEncoder], texts: tuple[str, str], title: str = "", ax: Axes | None = None) -> Axes:
    """Two texts in one row of tokens, the BERT that reads it, its one [CLS] vector, and below that a head or two.

    scorers: name -> model; they have one BERT and differ in their heads. Raises ValueError where their BERTs differ,
    and unless there are two texts, and one or two models with a single score.
    """
    if not is_pair(texts) or not 1 <= len(scorers) <= 2 or any(s.num_labels != 1 for s in scorers.values()):
        raise ValueError(
            f"expected two texts and one or two models with a single score, got {texts!r} and {list(scorers)}"
        )
    first = next(iter(scorers.values()))
    ids, types = (found[0].tolist() for found in tokenize_pairs(first.tokenizer, [tuple(texts)], first.max_seq_length))
    with torch.no_grad():
        packed = {name: scorer._packed([ids], [types]) for name, scorer in scorers.items()}
        vectors = [s.model.eval().bert(*packed[name])[0].cpu() for name, s in scorers.items()]  # each (hidden,)
        scores = {name: s.activation_fn(s.model(*packed[name])).item() for name, s in scorers.items()}
    if any(not torch.equal(vector, vectors[0]) for vector in vectors):
        raise ValueError(f"{list(scorers)} read the pair differently; expected one BERT with several heads")
    if ax is None:
        _, ax = plt.subplots(figsize=(7.2, 5.4), layout="constrained")
    for x, text, colour in zip((LEFT, RIGHT), texts, (NETWORK, HEAD)):
        box(ax, x, 0.45, 4.5, 0.7, "\n".join(textwrap.wrap(f'"{text}"', 44)), colour)
    width = 9.8 / len(ids)
    for i, (token, kind) in enumerate(zip(ids, types)):
        x = 0.1 + width * (i + 0.5)
        box(ax, x, 1.5, 0.94 * width, 0.6, first.tokenizer.id_to_token(token), HEAD if kind else NETWORK, SMALL)
        ax.text(x, 1.95, str(kind), ha="center", va="center", fontsize=SMALL)
    ax.text(WIDTH / 2, 2.3, "token types: which text a token belongs to", ha="center", va="center", fontsize=SMALL)
    for x, kind in ((LEFT, 0), (RIGHT, 1)):  # from a text to the middle of its tokens
        pointer(ax, (x, 0.8), (0.1 + width * (types.index(kind) + types.count(kind) / 2), 1.2))
    config = first.model.config
    read = (
        f"BERT reads both at once: {config.num_hidden_layers} layers, {config.hidden_size} wide, "
        f"{parameters(first.model.bert) - parameters(first.model.bert.pooler):,} parameters"
    )
    box(ax, WIDTH / 2, 3.1, 9.8, 0.8, read, PLAIN, edge="#2b6ca3", line=1.6)
    arrow(ax, WIDTH / 2, 3.5, 4.05, shape(vectors[0].shape))
    stripes(ax, WIDTH / 2 - 2, WIDTH / 2 + 2, 4.25, vectors[0], "the vector of [CLS]")
    for x, (name, scorer) in zip((LEFT, RIGHT) if len(scorers) == 2 else (WIDTH / 2,), scorers.items()):
        pointer(ax, (WIDTH / 2, 4.78), (x, 5.35))
        head = [scorer.model.bert.pooler, scorer.model.classifier]
        box(ax, x, 5.75, 4.6, 0.8, f"{name} head:\n{sum(map(parameters, head)):,} parameters", HEAD)
        arrow(ax, x, 6.15, 6.55)
        box(ax, x, 6.9, 2.6, 0.7, f"score {scores[name]:.2f}", TEXT)
    ax.set(xlim=(0, WIDTH), ylim=(7.35, 0))
    ax.axis("off")
    ax.set_title(title, fontsize="medium")
    return ax


def describe(module: nn.Module) -> str:
    """Name and size of a module, in words."""
    name, config = type(module).__name__, getattr(getattr(module, "model", None), "config", None)
    if config is not None:
        return f"{name} ({config.num_hidden_layers} layers, {config.hidden_size} wide)"
    if hasattr(module, "modes"):
        return f"{name} ({' + '.join(module.modes)})"
    return (
        f"{name} ({module.linear.in_features} to {module.linear.out_features})" if hasattr(module, "linear") else name
    )
