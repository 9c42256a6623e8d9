"""The drawings of layers show the layers' own sizes, and no text overlaps."""

import itertools

import matplotlib

matplotlib.use("Agg")

import pytest
from torch import nn

from course_lib.bert import BertConfig, BertLayer
from course_lib.layer_diagram import decoder_layer, encoder_layer


def decoder_texts(hidden, heads, wide):
    layer = nn.TransformerDecoderLayer(hidden, heads, wide)
    return [text for text in decoder_layer(layer, title="a title").texts if text.get_text()]


def texts(**sizes):
    config = BertConfig(vocab_size=10, hidden_size=24, num_attention_heads=3, intermediate_size=40)
    for name, size in sizes.items():
        setattr(config, name, size)
    return [text for text in encoder_layer(BertLayer(config), title="a title").texts if text.get_text()]


def test_sizes_are_those_of_the_layer():
    shown = " / ".join(text.get_text() for text in texts())
    assert shown.count("24 to 24 (600)") == 4  # query, key, value, and the output map
    assert "24 to 40 (1,000), GELU, 40 to 24 (984)" in shown and "3 heads of 8 components" in shown
    assert shown.count("(tokens, 24)") == 2 and shown.count("residual") == 2


def test_a_decoder_has_two_attentions_and_reads_what_the_encoder_made():
    shown = " / ".join(text.get_text() for text in decoder_texts(24, 3, 40))
    assert "self-attention in 3 heads" in shown and "cross-attention in 3 heads" in shown
    assert "24 to 40, ReLU, 40 to 24" in shown and "from the encoder:\n(source tokens, 24)" in shown
    assert shown.count("residual") == shown.count("layer norm") == 3


@pytest.mark.parametrize("decoder", [False, True])
@pytest.mark.parametrize("hidden, heads, wide", [(24, 3, 40), (256, 4, 1024), (768, 12, 3072)])
def test_no_text_overlaps_or_is_cut(hidden, heads, wide, decoder):
    if decoder:
        found = decoder_texts(hidden, heads, wide)
    else:
        found = texts(hidden_size=hidden, num_attention_heads=heads, intermediate_size=wide)
    figure = found[0].figure
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in found]
    assert not [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
    assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 for b in boxes)


def test_another_kind_of_layer_is_refused():
    with pytest.raises(AttributeError):
        encoder_layer(nn.Linear(2, 2))
    with pytest.raises(AttributeError):
        decoder_layer(nn.Linear(2, 2))
