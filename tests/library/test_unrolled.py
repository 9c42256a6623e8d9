"""The unrolled encoder and decoder: its words, its states and its context are those that it was given."""

import itertools

import matplotlib

matplotlib.use("Agg")

import pytest
import torch

from course_lib.unrolled import SHOWN, unrolled

READ, WRITTEN = ["the", "red", "car", ".", "[EOS]"], ["el", "coche", "rojo", "[EOS]"]


@pytest.fixture
def states():
    torch.manual_seed(0)
    return torch.rand(len(READ), 32) * 2 - 1, torch.rand(len(WRITTEN), 32) * 2 - 1


def test_words_read_fed_and_written(states):
    shown = [text.get_text() for text in unrolled(READ, states[0], WRITTEN, states[1], title="a title").texts]
    boxes = [text for text in shown if text in {*READ, *WRITTEN, "[BOS]"}]
    assert boxes[: len(READ)] == READ
    assert boxes[len(READ) :: 2] == ["[BOS]", *WRITTEN[:-1]] and boxes[len(READ) + 1 :: 2] == WRITTEN
    assert any("32 numbers" in text for text in shown)


def test_every_stripe_is_a_state_and_the_context_is_the_last_one_read(states):
    ax = unrolled(READ, states[0], WRITTEN, states[1])
    drawn = [torch.tensor(image.get_array().data)[0] for image in ax.images]
    expected = [*states[0], states[0][-1], *states[1]]
    assert len(drawn) == len(expected) and all(torch.equal(a, b[:SHOWN]) for a, b in zip(drawn, expected))


@pytest.mark.parametrize("words", [3, 9])
def test_no_text_overlaps(words):
    ax = unrolled(["estación"] * words, torch.rand(words, 20), ["estación"] * words, torch.rand(words, 20))
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert not [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]


def test_a_state_for_each_word(states):
    with pytest.raises(ValueError, match="5 states for 4 words"):
        unrolled(READ[1:], states[0], WRITTEN, states[1])
