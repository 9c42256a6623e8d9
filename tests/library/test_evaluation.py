"""course_lib.evaluation against the evaluators of sentence-transformers; alignment and uniformity by loops."""

import math

import numpy as np
import pytest
import torch
from evaluator_reference import KINDS, Table, quiet, random_vectors
from sentence_transformers.sentence_transformer import evaluation as reference

from course_lib.data import NLIExample, ScoredPair
from course_lib.evaluation import EmbeddingSimilarityEvaluator, LabelAccuracyEvaluator, alignment, uniformity
from course_lib.losses import SoftmaxLoss
from course_lib.support.embeddings import embed


@pytest.fixture
def pairs():
    score = np.random.default_rng(1).integers(0, 6, 40) / 5  # six values for forty pairs: many ties
    return [ScoredPair(f"a{i}", f"b{i}", float(s)) for i, s in enumerate(score)]


@pytest.fixture
def table():
    return random_vectors()


@pytest.mark.parametrize("name", ["", "sts-dev"])
def test_similarity_equals_sentence_transformers(pairs, table, name):
    ours = EmbeddingSimilarityEvaluator(pairs, name)
    columns = [p.sentence1 for p in pairs], [p.sentence2 for p in pairs], [p.score for p in pairs]
    theirs = quiet(
        reference.EmbeddingSimilarityEvaluator(*columns, name=name, similarity_fn_names=KINDS, main_similarity="cosine")
    )
    expected = theirs(Table(table))
    found = ours(Table(table))
    assert len(found) == 8 and set(found) == {k for k in expected if not k.endswith("_max")}
    assert found == pytest.approx({k: expected[k] for k in found}, abs=1e-9)
    assert ours.primary_metric == theirs.primary_metric and ours.primary_metric in found


@pytest.mark.parametrize(
    "convert",
    [
        lambda v: torch.tensor(np.array(v)),
        lambda v: np.array(v, dtype=np.float32),
        lambda v: torch.tensor(np.array(v), requires_grad=True),
    ],
)
def test_a_model_may_return_arrays_or_tensors(pairs, table, convert):
    evaluator = EmbeddingSimilarityEvaluator(pairs)
    assert evaluator(Table(table, convert)) == pytest.approx(evaluator(Table(table)), abs=1e-6)


def test_only_a_model_that_knows_progress_bars_is_told_to_show_none():
    class WithBar:
        def encode(self, texts, show_progress_bar=None):
            assert show_progress_bar is False
            return np.ones((len(texts), 2))

    class Without:
        def encode(self, texts):
            return np.ones((len(texts), 2))

    assert embed(WithBar(), ["a"]).shape == embed(Without(), ["a"]).shape == (1, 2)


def test_a_perfect_model_has_rank_correlation_one():
    angles = {"a": 0.0, "b": 0.3, "c": 0.8, "d": 1.5}
    table = {k: [np.cos(x), np.sin(x)] for k, x in angles.items()}
    pairs = [ScoredPair("a", k, s) for k, s in zip("abcd", [1.0, 0.9, 0.2, 0.0])]
    metrics = EmbeddingSimilarityEvaluator(pairs)(Table(table))
    assert metrics["spearman_cosine"] == metrics["spearman_euclidean"] == 1.0 > metrics["pearson_cosine"]


def test_broken_models_are_named(pairs, table):
    evaluator = EmbeddingSimilarityEvaluator(pairs)
    with pytest.raises(ValueError, match="NaN or infinite values for 1 of 40"):
        evaluator(Table(table | {"b3": [np.nan] * 7}))
    with pytest.raises(ValueError, match="all 40 values of the second sequence are equal"):
        evaluator(Table(dict.fromkeys(table, [1.0, 2.0])))
    with pytest.raises(ValueError, match=r"\(1, 7\) for 40 sentences, expected \(40, dim\)"):
        evaluator(Table(table, lambda v: np.array(v[:1])))
    with pytest.raises(ValueError, match="at least 2"):
        EmbeddingSimilarityEvaluator(pairs[:1])(Table(table))


@pytest.mark.parametrize("name, key", [("", "accuracy"), ("snli", "snli_accuracy")])
@pytest.mark.parametrize("convert", [np.asarray, lambda v: np.array(v, dtype=np.float32)])
def test_label_accuracy(name, key, convert):
    loss = SoftmaxLoss(2)
    weight = torch.zeros(3, 6)  # of u, v and |u - v|, two dimensions each
    weight[0, 4] = weight[1, 0] = weight[2, 3] = 1.0  # 0 if they differ in the first, 2 if v has the second
    loss.classifier.weight.data, loss.classifier.bias.data = weight, torch.zeros(3)
    table = {"u": [2.0, 0.0], "far": [-1.0, 0.0], "near": [2.0, 0.0], "up": [2.0, 9.0]}
    examples = [NLIExample("u", *rest) for rest in [("far", 0), ("near", 1), ("up", 2), ("up", 0)]]
    evaluator = LabelAccuracyEvaluator(examples, loss, name)
    assert evaluator(Table(table, convert)) == {key: 0.75}
    assert evaluator.primary_metric == key
    swapped = [NLIExample(e.hypothesis, e.premise, e.label) for e in examples]  # the order of u and v matters
    assert LabelAccuracyEvaluator(swapped, loss, name)(Table(table, convert)) == {key: 0.5}


def test_label_accuracy_needs_examples():
    with pytest.raises(ValueError, match="at least one"):
        LabelAccuracyEvaluator([], SoftmaxLoss(2))


# ---- alignment and uniformity


def vectors(n, dim=6, seed=0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniformity_by_loop(x):
    rows = [row / row.norm() for row in x]
    values = [math.exp(-2 * (a - b).square().sum()) for i, a in enumerate(rows) for b in rows[:i]]
    return math.log(sum(values) / len(values))


def test_alignment_and_uniformity_equal_their_definitions():
    x, y = vectors(9), vectors(9, seed=1)
    squared = [((a / a.norm() - b / b.norm()) ** 2).sum().item() for a, b in zip(x, y)]
    assert alignment(x, y).item() == pytest.approx(sum(squared) / 9, abs=1e-9)
    assert alignment(x, y).item() == pytest.approx(2 - 2 * torch.cosine_similarity(x, y).mean().item(), abs=1e-9)
    assert uniformity(x).item() == pytest.approx(uniformity_by_loop(x), abs=1e-9)


def test_known_values_of_alignment_and_uniformity():
    point, poles = torch.ones(4, 3), torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
    assert alignment(point, point) == 0 and uniformity(point).item() == pytest.approx(0, abs=1e-6)
    assert alignment(poles, -poles).item() == pytest.approx(4) and uniformity(poles).item() == pytest.approx(-8)
    assert uniformity(vectors(2000, 300)).item() == pytest.approx(-4, abs=0.1)


def test_lengths_and_order_of_vectors_do_not_matter():
    x, y = vectors(7), vectors(7, seed=1)
    order, lengths = torch.tensor([3, 0, 6, 1, 5, 2, 4]), torch.arange(1.0, 8)[:, None]
    torch.testing.assert_close(alignment(x * lengths, y), alignment(x[order], y[order]))
    torch.testing.assert_close(uniformity(x * lengths), uniformity(x[order]))


def test_alignment_and_uniformity_have_gradients():
    x, y = vectors(5).requires_grad_(), vectors(5, seed=1)
    (alignment(x, y) + uniformity(x)).backward()
    assert x.grad.isfinite().all() and (x.grad.norm(dim=1) > 0).all()


def test_gradients_are_finite_where_two_texts_are_one():
    x = torch.cat([vectors(3), vectors(1, seed=2).expand(2, 6)]).detach().requires_grad_()
    uniformity(x).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("x, y", [((3, 4), (2, 4)), ((3, 4), (3, 5)), ((4,), (4,)), ((0, 4), (0, 4))])
def test_alignment_names_wrong_shapes(x, y):
    with pytest.raises(ValueError, match=r"one shape \(pairs, dim\), got"):
        alignment(torch.ones(x), torch.ones(y))


@pytest.mark.parametrize("shape", [(1, 4), (4,), (0, 4)])
def test_uniformity_needs_two_texts(shape):
    with pytest.raises(ValueError, match="two texts at least"):
        uniformity(torch.ones(shape))
