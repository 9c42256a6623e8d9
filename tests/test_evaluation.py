"""course_lib.evaluation against scipy and the evaluators of sentence-transformers."""
import numpy as np
import pytest
import torch
from scipy import stats
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator as Reference

from course_lib.data import NLIExample, ScoredPair
from course_lib.evaluation import EmbeddingSimilarityEvaluator, LabelAccuracyEvaluator, pearson, spearman
from course_lib.losses import SoftmaxLoss


class Table:
    """An encoder that looks its vectors up; the further arguments are those that the reference passes."""

    similarity_fn_name = "cosine"

    def __init__(self, vectors, convert=np.asarray):
        self.vectors, self.convert = vectors, convert

    def encode(self, sentences, **_):
        return self.convert([self.vectors[s] for s in sentences])


@pytest.fixture
def pairs():
    score = np.random.default_rng(1).integers(0, 6, 40) / 5  # six values for forty pairs: many ties
    return [ScoredPair(f"a{i}", f"b{i}", float(s)) for i, s in enumerate(score)]


@pytest.fixture
def table():
    random = np.random.default_rng(2)
    return {f"{side}{i}": random.normal(size=7) for i in range(40) for side in "ab"}


def samples():
    random = np.random.default_rng(0)
    x, ties = random.normal(size=50), random.integers(0, 5, 50).astype(float)
    return {"plain": (x, random.normal(size=50)), "ties": (ties, x + ties), "both tied": (ties, np.round(x)),
            "far from zero": (x + 1e8, x**3), "tiny": (x * 1e-200, ties), "two values": ([1, 2], [5, 3]),
            "integers": ([3, 1, 2, 2], [1, 2, 3, 4]), "float32": (np.float32(x), np.float32(ties))}


@pytest.mark.parametrize("name", samples())
def test_correlations_equal_scipy(name):
    x, y = samples()[name]
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
    expected = stats.pearsonr(np.asarray(x, np.float64), np.asarray(y, np.float64)).statistic
    assert pearson(x, y) == pytest.approx(expected, abs=1e-9)
    assert type(pearson(x, y)) is type(spearman(x, y)) is float


def test_correlations_by_hand():
    assert pearson([1, 2, 3], [2, 4, 7]) == pytest.approx(5 / (2 * 38 / 3) ** 0.5)
    assert spearman([1, 2, 3], [1, 10, 100]) == pytest.approx(1.0)
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)  # 1, 2.5, 2.5, 4
    x = np.random.default_rng(3).normal(size=1000)
    assert abs(pearson(x, 0.1 * x)) <= 1 and abs(pearson(x, -0.1 * x)) <= 1


@pytest.mark.parametrize("correlation", [pearson, spearman])
@pytest.mark.parametrize("x, y, message", [
    ([1, 2, np.nan], [1, 2, 3], "1 of 3 values of the first sequence are NaN"),
    ([1, 2, 3], [np.inf, 2, -np.inf], "2 of 3 values of the second"),
    ([7, 7, 7], [1, 2, 3], "all 3 values of the first sequence are equal"),
    ([1, 2, 3], [0, 0, 0], "all 3 values of the second"),
    ([1, 2, 3], [1, 2], r"\(3,\) and \(2,\)"), ([1], [1], "at least 2"), ([], [], "at least 2"),
    ([[1, 2]], [[1, 2]], r"\(1, 2\)")])
def test_what_has_no_correlation_is_refused(correlation, x, y, message):
    with pytest.raises(ValueError, match=message):
        correlation(x, y)


@pytest.mark.parametrize("name", ["", "sts-dev"])
def test_similarity_equals_sentence_transformers(pairs, table, name):
    ours = EmbeddingSimilarityEvaluator(pairs, name)
    columns = [p.sentence1 for p in pairs], [p.sentence2 for p in pairs], [p.score for p in pairs]
    kinds = ["cosine", "dot", "euclidean", "manhattan"]
    theirs = Reference(*columns, name=name, similarity_fn_names=kinds, main_similarity="cosine")
    theirs.store_metrics_in_model_card_data = lambda *_: None  # a Table has no model card
    expected = theirs(Table(table))
    found = ours(Table(table))
    assert len(found) == 8 and set(found) == {k for k in expected if not k.endswith("_max")}
    assert found == pytest.approx({k: expected[k] for k in found}, abs=1e-9)
    assert ours.primary_metric == theirs.primary_metric and ours.primary_metric in found


@pytest.mark.parametrize("convert", [
    lambda v: torch.tensor(np.array(v)), lambda v: np.array(v, dtype=np.float32),
    lambda v: torch.tensor(np.array(v), requires_grad=True)])
def test_a_model_may_return_arrays_or_tensors(pairs, table, convert):
    evaluator = EmbeddingSimilarityEvaluator(pairs)
    assert evaluator(Table(table, convert)) == pytest.approx(evaluator(Table(table)), abs=1e-6)


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
