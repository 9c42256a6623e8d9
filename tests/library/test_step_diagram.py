"""The drawing of a step shows the step's own numbers, and no text overlaps."""

import itertools

import matplotlib

matplotlib.use("Agg")

import pytest
import torch

from course_lib.drawing import stripes
from course_lib.step_diagram import LINK, SHOWN, attention_step

WORDS = ["the", "red", "car", "[EOS]"]
WEIGHTS = torch.tensor([0.02, 0.07, 0.907, 0.003])
ENERGIES = torch.tensor([-1.25, 0.5, 2.5, -3.75])
WRITTEN = {"coche": 0.98, "carro": 0.015, "gato": 0.005}


def draw(words=WORDS, energies=ENERGIES, weights=WEIGHTS):
    torch.manual_seed(0)
    keys, query, context, state = (torch.randn(*shape).tanh() for shape in ((len(words), 20), (20,), (20,), (20,)))
    ax = attention_step(words, keys, energies, weights, "el", query, context, state, WRITTEN, title="What it shows")
    return ax, [*keys, query, context, state]


def test_words_weights_and_probabilities_are_those_of_the_step():
    ax, _ = draw()
    shown = [text.get_text() for text in ax.texts]
    assert [text for text in shown if text in WORDS] == WORDS
    assert [text for text in shown if text in ("0.02", "0.07", "0.91", "0.00")] == ["0.02", "0.07", "0.91", "0.00"]
    assert [text.get_text() for text in ax.texts if text.get_weight() == "bold"] == ["2.50", "0.91"]
    assert {"-1.25", "2.50", "-3.75"} <= set(shown)
    assert {f"{word}  {probability:.2f}" for word, probability in WRITTEN.items()} <= set(shown)
    assert any(text.endswith(": el") for text in shown) and ax.get_title() == "What it shows"


def test_a_line_is_as_thick_as_its_weight_and_a_weight_near_0_has_none():
    lines = [line for line in draw()[0].lines if line.get_color() == LINK]
    assert len(lines) == 3
    assert [line.get_linewidth() for line in lines] == sorted(line.get_linewidth() for line in lines)


def test_every_vector_is_drawn_on_one_scale():
    ax, vectors = draw()
    assert len(ax.images) == len(vectors)
    for image, vector in zip(ax.images, vectors):
        assert image.get_clim() == (-1, 1) and torch.equal(torch.tensor(image.get_array())[0], vector[:SHOWN])


def test_no_text_overlaps_or_is_cut():
    figure = draw()[0].figure
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert not [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
    assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 and figure.bbox.y0 <= b.y0 for b in boxes)


def test_words_and_weights_must_be_equally_many():
    with pytest.raises(ValueError, match="4 words, 4 keys, 4 energies and 3 weights"):
        draw(weights=WEIGHTS[:3])


def test_stripes_have_the_vectors_own_scale_without_a_limit():
    ax, _ = draw()
    stripes(ax, 0, 1, 0, torch.tensor([0.5, -0.25]), "")
    assert ax.images[-1].get_clim() == (-0.5, 0.5)
