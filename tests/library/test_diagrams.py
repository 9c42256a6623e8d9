"""The drawing says what the modules are: names, shapes and counts come from the objects, and no text overlaps."""

import itertools
import re

import matplotlib

matplotlib.use("Agg")

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from course_lib.bert import BertConfig, BertModel
from course_lib.diagrams import cross, parameters, siamese, trace
from course_lib.encoder import SentenceEncoder
from course_lib.losses import SoftmaxLoss
from course_lib.models.cross_encoder import CrossEncoder
from course_lib.modules import Dense, Normalize, Pooling, Transformer

SENTENCES = ("a b c d e", "a b")


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["[UNK]", *"abcde"])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    config = BertConfig(vocab_size=6, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    return SentenceEncoder(
        [Transformer(BertModel(config), tokenizer), Pooling(16), Dense(16, 8), Normalize()], dtype="float32"
    )


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def test_trace_is_what_the_modules_return(encoder):
    shapes, vector = trace(encoder.train(), SENTENCES[0])
    assert shapes == [(5, 16), (16,), (8,), (8,)]
    assert encoder.training and not encoder[0]._forward_hooks
    torch.testing.assert_close(vector, torch.from_numpy(encoder.eval().encode(SENTENCES[0])), atol=1e-5, rtol=0)


def test_training_figure(encoder):
    head = SoftmaxLoss(8)
    found = " ".join(texts(siamese(encoder, head, SENTENCES)))
    for expected in (
        f"used twice:\n{parameters(encoder):,} parameters",
        "Transformer (2 layers, 16 wide)",
        "Pooling (mean): 0 parameters",
        "Dense (16 to 8): 136 parameters",
        "Normalize: 0",
        "(5, 16)",
        "(2, 16)",
        "(24,)",
        "24 to 3: 75 parameters",
    ):
        assert expected in found
    u, v = (trace(encoder, sentence)[1][None] for sentence in SENTENCES)
    expected = head.logits(u, v).softmax(1)[0].tolist()
    shown = [float(x) for x in re.findall(r"(?:contradiction|entailment|neutral)  (\d\.\d\d)", found)]
    assert shown == pytest.approx(expected, abs=0.005)


def test_all_stripes_have_the_colours_of_the_scale_below_them(encoder):
    ax = siamese(encoder, SoftmaxLoss(8), SENTENCES)
    largest = max(trace(encoder, sentence)[1].abs().max().item() for sentence in SENTENCES)
    assert {image.get_clim() for image in ax.images} == {(-largest, largest)} and len(ax.images) == 6
    assert texts(ax)[-1].startswith(f"-{largest:.1f} (blue) to {largest:.1f} (red)")


def test_figure_of_use_has_the_cosine_and_no_head(encoder):
    found = texts(siamese(encoder, sentences=SENTENCES))
    assert found[-2] == f"{encoder.similarity(*encoder.encode(list(SENTENCES))).item():.2f}"
    assert not any("head" in text for text in found)


@pytest.mark.parametrize("with_head", [True, False])
@pytest.mark.parametrize(
    "sentences", [SENTENCES, ("a rather long sentence with many words of which most are unknown to it " * 2, "b")]
)
def test_no_text_overlaps_or_is_cut(encoder, sentences, with_head):
    figure = siamese(encoder, SoftmaxLoss(8) if with_head else None, sentences, "What it shows").figure
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert not [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
    assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 and figure.bbox.y0 <= b.y0 for b in boxes)


@pytest.mark.parametrize("sentences", ["one text", ("one",), ("a", "b", "c")])
def test_two_sentences(encoder, sentences):
    with pytest.raises(ValueError, match="two sentences"):
        siamese(encoder, sentences=sentences)


def test_cross_encoder_figure():
    torch.manual_seed(0)
    untrained, trained = (
        CrossEncoder.load("course/bert-mini", num_labels=1, device="cpu", dtype="float32") for _ in range(2)
    )
    trained.model.classifier.bias.data.fill_(3.0)  # the heads differ, the BERT does not
    questions = ("What is gravity?", "How do aeroplanes fly?")
    ax = cross({"untrained": untrained, "trained": trained}, questions, title="two scores")
    shown = " ".join(texts(ax))
    for name, scorer in (("untrained", untrained), ("trained", trained)):
        assert f"{name} head:" in shown and f"score {scorer.predict(questions):.2f}" in shown
    pair = untrained.tokenizer.encode(*questions)
    drawn = texts(ax)
    start = drawn.index("[CLS]")
    assert drawn[start : start + 2 * len(pair.ids) : 2] == pair.tokens  # a token, and its type below it
    assert drawn[start + 1 : start + 2 * len(pair.ids) : 2] == [str(kind) for kind in pair.type_ids]
    head = parameters(untrained.model.bert.pooler) + parameters(untrained.model.classifier)
    assert f"{parameters(untrained.model) - head:,} parameters" in shown and f"{head:,} parameters" in shown
    assert len(ax.images) == 1 and "two scores" == ax.get_title()  # one vector, from which both heads start
    assert not cross({"one": trained}, questions).get_title()


@pytest.mark.parametrize("texts", ["one text", ("a",), ("a", "b", "c")])
def test_cross_encoder_figure_needs_two_texts(texts):
    with pytest.raises(ValueError, match="expected two texts"):
        cross({"one": CrossEncoder.load("course/bert-mini", num_labels=1, device="cpu")}, texts)


def test_cross_encoder_figure_needs_single_scores():
    with pytest.raises(ValueError, match="single score"):
        cross({"three": CrossEncoder.load("course/bert-mini", num_labels=3, device="cpu")}, ("a", "b"))
    with pytest.raises(ValueError, match="one or two models"):
        cross({}, ("a", "b"))


def test_cross_encoder_figure_needs_one_bert():
    one, other = (CrossEncoder.load("course/bert-mini", num_labels=1, device="cpu", dtype="float32") for _ in range(2))
    other.model.bert.embeddings.word_embeddings.weight.data.mul_(0.5)
    with pytest.raises(ValueError, match="one BERT with several heads"):
        cross({"one": one, "other": other}, ("a", "b"))
