"""course_lib.finetuning.mining against sentence-transformers' miner on the same vectors, and by hand."""

import random
import re
import sys
import types
from collections import Counter

import numpy as np
import pytest
import torch
from sentence_transformers import util
from sentence_transformers.util import hard_negatives

from course_lib.finetuning.mining import mine_hard_negatives

LIMITS = {
    "nothing": {},
    "one negative": {"num_negatives": 1},
    "range_max": {"range_max": 20, "num_negatives": 7},
    "relative margin": {"relative_margin": 0.3},
    "margin 0": {"relative_margin": 0.0},
    "negative margin": {"relative_margin": -0.3},
    "nothing is left": {"relative_margin": 9.0},
    "margin and range": {"relative_margin": 0.1, "range_max": 40, "num_negatives": 5},
    "range beyond the corpus": {"range_max": 500, "num_negatives": 120},
}


class Dataset:
    """As much of datasets.Dataset as sentence-transformers' miner uses; the real one takes long to import."""

    def __init__(self, columns):
        self.columns, self.column_names = columns, list(columns)

    from_dict = classmethod(lambda cls, columns: cls(columns))

    def __len__(self):
        return len(self.columns[self.column_names[0]])

    def __getitem__(self, name):
        return self.columns[name]

    def to_pandas(self):
        return self

    def groupby(self, name):
        return types.SimpleNamespace(
            count=lambda: types.SimpleNamespace(to_dict=lambda: dict.fromkeys(self.columns, Counter(self[name])))
        )


class Table:
    """A model that looks its vectors up."""

    device, similarity_fn_name = "cpu", "cosine"
    similarity, similarity_pairwise = staticmethod(util.cos_sim), staticmethod(util.pairwise_cos_sim)

    def __init__(self, vectors):
        self.vectors = vectors

    def encode(self, sentences, normalize_embeddings=False, **_):
        found = np.array([self.vectors[s] for s in sentences])
        return found / np.linalg.norm(found, axis=1, keepdims=True) if normalize_embeddings else found

    encode_query = encode_document = encode


class Scorer:
    """A cross-encoder whose scores are a fixed function of the two texts."""

    def predict(self, pairs, convert_to_tensor=False, **_):
        scores = np.array([random.Random(f"{a}|{b}").uniform(-1, 1) for a, b in pairs])
        return torch.from_numpy(scores) if convert_to_tensor else scores


@pytest.fixture(scope="module")
def world():
    """60 anchors with 1 to 3 positives near them, some of them shared, and 90 further texts: pairs, corpus, model."""
    generator = np.random.default_rng(5)
    vectors = {f"anchor {i}": generator.normal(size=8) for i in range(60)} | {
        f"text {i}": generator.normal(size=8) for i in range(90)
    }
    pairs = []
    for i in range(60):
        for j in range(1 + i % 3):
            positive = f"positive {i} {j}" if (i, j) != (9, 0) else "positive 6 0"
            vectors.setdefault(positive, vectors[f"anchor {i}"] + generator.normal(size=8))
            pairs.append((f"anchor {i}", positive))
    generator.shuffle(pairs)
    pairs = [tuple(map(str, pair)) for pair in pairs]
    corpus = [f"text {i}" for i in range(90)] + ["text 3", pairs[0][1]]  # one twice, and a positive
    return [*pairs, pairs[2]], corpus, Table(vectors)


@pytest.fixture
def reference(monkeypatch):
    """ST's function on pairs, its rows and scores as tuples."""
    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(Dataset=Dataset))
    monkeypatch.setattr(hard_negatives, "is_datasets_available", lambda: True)
    monkeypatch.setattr(hard_negatives, "trange", lambda *a, **_: range(*a))
    monkeypatch.setattr(hard_negatives, "tqdm", lambda items, **_: items)

    def mine(pairs, model, corpus, **options):
        dataset = Dataset({"anchor": [a for a, _ in pairs], "positive": [b for _, b in pairs]})
        found = hard_negatives.mine_hard_negatives(dataset, model, corpus=corpus, output_scores=True, **options)
        rows = list(zip(*(found[name] for name in found.column_names)))
        return [row[:-1] for row in rows], [row[-1] for row in rows]

    return mine


def compare(mined, expected):
    texts, scores = expected
    assert mined.examples == texts
    assert len(mined.scores) == len(scores)
    for ours, theirs in zip(mined.scores, scores):
        assert ours == pytest.approx(tuple(theirs), abs=1e-12)


@pytest.mark.parametrize("output_format", ["triplet", "n-tuple"])
@pytest.mark.parametrize(
    "limits, rescored",  # without a margin sentence-transformers does not rescore
    [(name, False) for name in LIMITS] + [(name, True) for name in LIMITS if "relative_margin" in LIMITS[name]],
)
def test_equal_to_sentence_transformers(world, reference, limits, rescored, output_format):
    options = dict(LIMITS[limits], output_format=output_format)
    if rescored:
        options["cross_encoder"] = Scorer()
    pairs, corpus, model = world
    mined = mine_hard_negatives(pairs, model, corpus, **options)
    compare(mined, reference(pairs, model, corpus, **options, verbose=False))
    assert mined.examples or limits == "nothing is left" or output_format == "n-tuple"
    assert (mined.queries, mined.positives) == (60, len(set(pairs)))


def test_without_a_corpus_the_positives_are_the_candidates(world, reference):
    pairs, _, model = world
    mined = mine_hard_negatives(pairs, model, relative_margin=0.05)
    compare(mined, reference(pairs, model, None, relative_margin=0.05, verbose=False))
    assert {negative for _, _, negative in mined.examples} <= {positive for _, positive in pairs}


def test_what_was_left_out_is_counted_as_sentence_transformers_does(world, reference, capsys):
    pairs, corpus, model = world
    mined = mine_hard_negatives(pairs, model, corpus, relative_margin=0.2)
    reference(pairs, model, corpus, relative_margin=0.2)
    printed = re.search(r"Skipped ([\d,]+) potential negatives .* due to the relative_margin", capsys.readouterr().out)
    assert mined.left_out["relative_margin"] == int(printed[1].replace(",", "")) > 0


def test_the_counts_add_up(world):
    pairs, corpus, model = world
    mined = mine_hard_negatives(pairs, model, corpus, relative_margin=0.5)
    assert list(mined.left_out) == ["positive", "copy of anchor or positive", "relative_margin", "rank"]
    chosen = {(anchor, negative) for anchor, _, negative in mined.examples}
    assert mined.candidates == sum(mined.left_out.values()) + len(chosen)
    per_anchor = {anchor: sum(a == anchor for a, _ in chosen) for anchor, _ in pairs}
    assert mined.short == sum(count < 3 for count in per_anchor.values()) > 0
    count = f"{mined.left_out['relative_margin']:,}"
    assert re.search(rf"left out: relative_margin +{count}\n", str(mined))
    assert str(mined).endswith(f" {len(mined.examples)}")


def angles(**degrees):
    return Table(
        {text.replace("_", " "): [np.cos(np.radians(d)), np.sin(np.radians(d))] for text, d in degrees.items()}
    )


def test_by_hand():
    model = angles(anchor=0, good=20, near=10, beside=30, far=60, opposite=180)
    pairs = [("anchor", "good")]

    def negatives(**options):
        return [
            negative
            for _, _, negative in mine_hard_negatives(
                pairs, model, ["near", "beside", "far", "opposite"], **options
            ).examples
        ]

    assert negatives() == ["near", "beside", "far"]
    assert negatives(num_negatives=9, range_max=9) == ["near", "beside", "far", "opposite"]
    assert negatives(relative_margin=0) == ["beside", "far", "opposite"]  # near is nearer than the positive
    assert negatives(relative_margin=0.1) == ["far", "opposite"]
    assert negatives(relative_margin=0.05) == ["beside", "far", "opposite"]  # 0.95 cos 20 is 0.89, cos 30 0.87
    mined = mine_hard_negatives(pairs, model, ["near", "far"], num_negatives=2, output_format="n-tuple")
    assert mined.examples == [("anchor", "good", "near", "far")]
    assert mined.scores[0] == pytest.approx([np.cos(np.radians(d)) for d in (20, 10, 60)])
    assert mine_hard_negatives(pairs, model, ["near"], num_negatives=2, output_format="n-tuple").short == 1


def test_copies_of_anchor_and_positive_are_no_negatives():
    model = angles(anchor=0, good=20, near=10, far=60)
    model.vectors |= {
        "Anchor!": model.vectors["anchor"],
        "GOOD.": model.vectors["good"],
        "?": [0.5, 0.5],
        "!": [0.4, 0.5],
    }
    mined = mine_hard_negatives(
        [("anchor", "good"), ("?", "near")],
        model,
        ["anchor", "Anchor!", "GOOD.", "far", "?", "!", "far"],
        num_negatives=5,
        range_max=20,
    )
    assert (
        mined.left_out["copy of anchor or positive"] == 4
    )  # three of the first anchor's, and "?" itself, which "!" is not
    assert [n for a, _, n in mined.examples if a == "anchor"] == ["near", "?", "!", "far"]
    assert {n for a, _, n in mined.examples if a == "?"} == {"!", "far", "good", "GOOD.", "anchor"}


def test_of_several_positives_the_lowest_score_counts():
    model = angles(anchor=0, good=10, fair=50, near=30, far=60)
    pairs = [("anchor", "good"), ("anchor", "fair"), ("anchor", "good")]
    mined = mine_hard_negatives(pairs, model, ["near", "far"], relative_margin=0)
    assert mined.examples == [("anchor", "good", "far"), ("anchor", "fair", "far")]
    assert mined.left_out["relative_margin"] == 1 and mined.positives == 2


def test_a_cross_encoder_orders_anew_also_without_limits():
    class Backwards:
        def predict(self, pairs):
            return np.array(
                [{"good": 5.0, "near": 1.0, "beside": 2.0, "far": 3.0}[b] for _, b in pairs], dtype=np.float32
            )

    model = angles(anchor=0, good=20, near=10, beside=30, far=60)
    mined = mine_hard_negatives(
        [("anchor", "good")], model, ["near", "beside", "far"], num_negatives=2, cross_encoder=Backwards()
    )
    assert mined.examples == [("anchor", "good", "far"), ("anchor", "good", "beside")] and mined.scores == [
        (5, 3),
        (5, 2),
    ]
    mined = mine_hard_negatives(
        [("anchor", "good")], model, ["near", "beside", "far"], relative_margin=0.5, cross_encoder=Backwards()
    )
    assert [negative for _, _, negative in mined.examples] == ["beside", "near"] and mined.left_out[
        "relative_margin"
    ] == 1


def test_texts_that_differ_in_a_sign_are_no_copies():
    """The hardest negatives: "C" beside "C++", "5" beside "-5", two words of Hindi that differ in a vowel."""
    texts = {
        "a C": 1,
        "a 5": 1,
        "का": 1,
        "learn C++": 2,
        "learn C": 3,
        "Learn C++!": 4,
        "-5": 2,
        "5": 3,
        "की": 2,
        "के": 3,
    }
    pairs = [("a C", "learn C++"), ("a 5", "-5"), ("का", "की")]
    mined = mine_hard_negatives(pairs, angles(**texts), [*texts][4:], num_negatives=9)
    found = {(anchor, negative) for anchor, _, negative in mined.examples}
    assert {("a C", "learn C"), ("a 5", "5"), ("का", "के")} <= found
    assert ("a C", "Learn C++!") not in found and mined.left_out["copy of anchor or positive"] == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_negatives": 0}, "num_negatives is 0"),
        ({"range_max": 2}, "range_max is 2, fewer than num_negatives, 3"),
        ({"output_format": "labeled-pair"}, "'labeled-pair'"),
    ],
)
def test_contradictory_options(world, options, message):
    with pytest.raises(ValueError, match=message):
        mine_hard_negatives(world[0], world[2], **options)


@pytest.mark.parametrize(
    "pairs, message", [([("a", "b"), ("a", None)], "pair 1"), ([("a", "b", "c")], "pair 0"), (["ab"], "pair 0 is 'ab'")]
)
def test_what_is_no_pair(pairs, message):
    with pytest.raises(TypeError, match=message):
        mine_hard_negatives(pairs, angles(a=0, b=9))


def test_no_pairs_and_broken_models():
    with pytest.raises(ValueError, match="no pairs"):
        mine_hard_negatives([], angles())
    with pytest.raises(ValueError, match="NaN or infinite values for 1 of 2"):
        mine_hard_negatives([("a", "b")], Table({"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [np.nan, 0.0]}), ["c"])
    broken = types.SimpleNamespace(predict=lambda pairs: np.full(len(pairs), np.nan))
    with pytest.raises(ValueError, match="cross_encoder gave"):
        mine_hard_negatives([("a", "b")], angles(a=0, b=9, c=20), ["c"], cross_encoder=broken)


def test_only_the_positive_in_the_corpus():
    mined = mine_hard_negatives([("a", "b")], angles(a=0, b=9))
    assert mined.examples == [] and mined.short == 1 and mined.left_out["positive"] == 1


def test_with_the_shipped_models(reference):
    """sbert-mini finds, cross-encoder-mini rescores; the same from both libraries' functions, in float32."""
    from course_lib.data import load_pairs
    from course_lib.encoder import SentenceEncoder
    from course_lib.models.cross_encoder import CrossEncoder

    encoder = SentenceEncoder.load("course/sbert-mini", device="cpu", dtype="float32")
    scorer = CrossEncoder.load("course/cross-encoder-mini", device="cpu", dtype="float32")
    pairs = load_pairs()[:8]
    corpus = [text for pair in load_pairs()[40:60] for text in pair]

    class Both:
        device, similarity, similarity_pairwise = "cpu", staticmethod(util.cos_sim), staticmethod(util.pairwise_cos_sim)

        def encode(self, texts, normalize_embeddings=False, **_):
            return encoder.encode(texts, normalize_embeddings=normalize_embeddings, show_progress_bar=False)

        encode_query = encode_document = encode

        def predict(self, pairs, **_):
            return torch.from_numpy(scorer.predict(pairs, show_progress_bar=False))

    for options in ({"range_max": 12}, {"cross_encoder": Both(), "relative_margin": 0.05}):
        expected, scores = reference(pairs, Both(), corpus, **options, verbose=False)
        if "cross_encoder" in options:
            options["cross_encoder"] = scorer
        mined = mine_hard_negatives(pairs, encoder, corpus, **options)
        assert mined.examples == expected and len(mined.examples) > 12
        assert np.abs(np.array(mined.scores) - np.array(scores)).max() < 1e-6
