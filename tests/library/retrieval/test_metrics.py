"""course_lib.retrieval.metrics against scikit-learn and the evaluators of sentence-transformers, and by hand."""

import numpy as np
import pytest
from sentence_transformers.sentence_transformer.evaluation import (
    BinaryClassificationEvaluator,
    InformationRetrievalEvaluator,
)
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    ndcg_score,
    precision_score,
    recall_score,
)

from course_lib.retrieval.metrics import (
    AT_K,
    binary_classification,
    each_query,
    paired_bootstrap,
    ranking_metrics,
)


def classified():
    random = np.random.default_rng(4)
    labels = random.integers(0, 2, 80)
    scores = random.normal(size=80) + labels
    steps = random.integers(0, 3, 80)
    close = np.float32(1) + np.float32(2**-23) * steps.astype(np.float32)  # no float32 in between
    return {
        "plain": (scores, labels),
        "float32": (np.float32(scores), labels),
        "ties": (np.round(scores), labels),
        "close": (close, (steps > 0) * 1),
        "no use": (random.normal(size=80), labels),
        "backwards": (-scores, labels),
        "perfect": (labels * 0.5, labels),
        "wrong": (-1.0 * labels, labels),
        "all scores equal": (np.zeros(80), labels),
        "one of each": ([0.2, 0.7], [0, 1]),
        "mostly 0": (scores, (labels * (np.arange(80) < 9))),
        "mostly 1": (scores, np.maximum(labels, np.arange(80) < 75)),
        "whole numbers": (np.round(scores).astype(int), labels),
        "infinitesimal": (scores * 1e-310, labels),
    }


@pytest.mark.parametrize("name", classified())
def test_classification_equals_sentence_transformers_and_sklearn(name):
    scores, labels = map(np.asarray, classified()[name])
    ours, theirs = binary_classification(scores, labels), BinaryClassificationEvaluator
    floats = scores if scores.dtype.kind == "f" else scores.astype(float)  # sentence-transformers has no others
    accuracy, accuracy_threshold = theirs.find_best_acc_and_threshold(floats, labels, True)
    f1, precision, recall, f1_threshold = theirs.find_best_f1_and_threshold(floats, labels, True)
    answers = floats >= f1_threshold
    assert ours == pytest.approx(
        dict(
            accuracy=accuracy,
            accuracy_threshold=accuracy_threshold,
            f1=f1,
            f1_threshold=f1_threshold,
            precision=precision,
            recall=recall,
            ap=average_precision_score(labels, scores),
            mcc=matthews_corrcoef(labels, answers),
        ),
        abs=1e-9,
    )
    assert ours["accuracy"] == pytest.approx(np.mean((floats >= ours["accuracy_threshold"]) == labels), abs=1e-12)
    for metric, function in {"f1": f1_score, "precision": precision_score, "recall": recall_score}.items():
        assert ours[metric] == pytest.approx(function(labels, floats >= ours["f1_threshold"]), abs=1e-12)
    assert all(type(value) is float for value in ours.values())


def test_classification_by_hand():
    found = binary_classification([0.9, 0.8, 0.6, 0.1], [1, 0, 1, 0])
    assert found["accuracy"] == 0.75 and found["accuracy_threshold"] == pytest.approx(0.85)  # the first of two best
    assert found["f1"] == pytest.approx(0.8) and found["f1_threshold"] == pytest.approx(0.35)
    assert (found["precision"], found["recall"]) == (pytest.approx(2 / 3), 1)
    assert found["ap"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["mcc"] == pytest.approx((2 * 1 - 0 * 1) / np.sqrt(3 * 2 * 2 * 1))


def test_no_threshold_is_better_than_calling_everything_different():
    found = binary_classification([3, 2, 1], [0, 0, 1])
    assert found["accuracy"] == pytest.approx(2 / 3) and found["accuracy_threshold"] == np.nextafter(3, np.inf)
    assert found["f1"] == 0.5 and found["mcc"] == 0.0


@pytest.mark.parametrize(
    "scores, labels, message",
    [
        ([0.1, 0.2], [1, 1], r"both of them, got \[1\]"),
        ([0.1, 0.2], [0, 0], r"got \[0\]"),
        ([0.1, 0.2, 0.3], [0, 1, 2], r"\[0, 1, 2\]"),
        ([], [], "in 0 pairs"),
        ([0.1, np.nan], [0, 1], "1 of 2 scores are NaN"),
        ([np.inf, -np.inf], [0, 1], "2 of 2"),
        ([0.1], [0, 1], r"\(2,\) and \(1,\)"),
        ([0.1, 0.2], [0, 0.5], r"\[0.0, 0.5\]"),
        ([[1.0, 2.0]], [[0, 1]], "a label for each score"),
    ],
)
def test_what_cannot_be_classified(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        binary_classification(scores, labels)


def rankings(documents, seed):
    """40 queries, their rankings of all documents, 1 to 6 relevant ones each."""
    random = np.random.default_rng(seed)
    ids = [f"d{i}" for i in range(documents)]
    found = {f"q{i}": [str(d) for d in random.permutation(ids)] for i in range(40)}
    return found, {
        query: {str(d) for d in random.choice(ids, random.integers(1, 1 + min(6, documents)), replace=False)}
        for query in found
    }


@pytest.mark.parametrize(
    "documents, length, at_k",
    [
        (30, 30, AT_K),
        (30, 100, AT_K),
        (200, 100, AT_K),
        (4, 4, AT_K),
        (1, 1, AT_K),
        (50, 3, AT_K),
        (30, 0, AT_K),
        (
            60,
            60,
            {
                "accuracy": [2],
                "precision": [7],
                "recall": [7],
                "ndcg": [1, 3, 60],
                "mrr": [1, 5, 80],
                "map": [1, 2, 200],
            },
        ),
    ],
)
def test_rankings_equal_sentence_transformers(documents, length, at_k):
    found, relevant = rankings(documents, seed=documents + length)
    found = {query: ranking[:length] for query, ranking in found.items()}
    reference = InformationRetrievalEvaluator(
        dict.fromkeys(found, ""),
        {d: "" for ranking in found.values() for d in ranking},
        relevant,
        accuracy_at_k=at_k["accuracy"],
        precision_recall_at_k=at_k["recall"],
        mrr_at_k=at_k["mrr"],
        ndcg_at_k=at_k["ndcg"],
        map_at_k=at_k["map"],
    )
    expected = reference.compute_metrics(
        [[{"corpus_id": d, "score": -rank} for rank, d in enumerate(ranking)] for ranking in found.values()]
    )
    expected = {name.replace("@k", f"@{k}"): value for name, values in expected.items() for k, value in values.items()}
    ours = ranking_metrics(found, relevant, at_k)
    assert set(ours) == set(expected) and ours == pytest.approx(expected, abs=1e-9)
    assert all(type(value) is float for value in ours.values()) and (length == 0 or max(ours.values()) > 0)


def test_rankings_by_hand():
    found = ranking_metrics(
        {"q": ["a", "b", "c", "d"]},
        {"q": {"b", "d", "x"}},
        {"accuracy": [1, 2], "precision": [4, 8], "recall": [4], "mrr": [1, 4], "ndcg": [4], "map": [2, 4]},
    )
    assert found == pytest.approx(
        {
            "accuracy@1": 0,
            "accuracy@2": 1,
            "precision@4": 1 / 2,
            "precision@8": 1 / 4,
            "recall@4": 2 / 3,
            "mrr@1": 0,
            "mrr@4": 1 / 2,
            "ndcg@4": (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3) + 1 / 2),
            "map@2": 1 / 4,
            "map@4": (1 / 2 + 2 / 4) / 3,
        }
    )


def test_grades_equal_scikit_learn():
    generator = np.random.default_rng(0)
    grades, found = {}, {}
    for q in range(20):
        documents = [f"d{i}" for i in range(30)]
        grades[q], found[q] = (
            dict(zip(documents, generator.integers(0, 4, 30).tolist())),
            generator.permutation(documents)[:17].tolist(),
        )
    ours = [ranking_metrics({q: found[q]}, grades, {"ndcg": [1, 5, 10, 17]}) for q in found]
    for k in (1, 5, 10, 17):
        truth, scores = (
            [[table[d] for d in grades[q]] for q, table in of.items()]
            for of in (
                grades,
                {q: {d: 99 - found[q].index(d) if d in found[q] else 0 for d in grades[q]} for q in found},
            )
        )
        assert [one[f"ndcg@{k}"] for one in ours] == pytest.approx(
            [ndcg_score([t], [s], k=k) for t, s in zip(truth, scores)], abs=1e-12
        )
    plain = {q: {d for d, grade in table.items() if grade > 0} for q, table in grades.items()}
    rest = {name: ks for name, ks in AT_K.items() if name != "ndcg"}
    assert ranking_metrics(found, grades, rest) == ranking_metrics(found, plain, rest)
    assert ranking_metrics(found, grades, {"ndcg": [10]}) != ranking_metrics(found, plain, {"ndcg": [10]})
    with pytest.raises(ValueError, match="none of the 1 queries"):
        ranking_metrics({"q": ["a"]}, {"q": {"a": 0}})


def test_queries_without_answers_count_in_no_mean():
    found = ranking_metrics({"q": ["a"], "r": ["a"], "s": ["a"]}, {"q": {"a"}, "r": set()}, {"accuracy": [1]})
    assert found == {"accuracy@1": 1.0}
    assert ranking_metrics({"q": []}, {"q": ["a", "a"]}, {"recall": [1], "map": [1], "ndcg": [1], "mrr": [1]}) == {
        "recall@1": 0.0,
        "map@1": 0.0,
        "ndcg@1": 0.0,
        "mrr@1": 0.0,
    }


@pytest.mark.parametrize(
    "found, relevant, at_k, message",
    [
        ({}, {}, AT_K, "none of the 0 queries"),
        ({"q": ["a"]}, {"r": {"a"}}, AT_K, "none of the 1 queries has a relevant document"),
        ({"q": ["a", "b", "a"]}, {"q": {"a"}}, AT_K, "'q' names a document twice"),
        ({"q": ["a"]}, {"q": {"a"}}, {"hits": [1]}, "no measure hits"),
        ({"q": ["a"]}, {"q": {"a"}}, {"ndcg": [0]}, "at least 1"),
        ({"q": ["a"]}, {"q": {"a"}}, {}, "at least 1"),
        ({"q": ["a"]}, {"q": {"a"}}, {"ndcg": []}, "at least 1"),
    ],
)
def test_what_cannot_be_measured(found, relevant, at_k, message):
    with pytest.raises(ValueError, match=message):
        ranking_metrics(found, relevant, at_k)


def test_each_query_alone():
    rankings = {"p": ["a", "b"], "q": ["b", "a"]}
    found = each_query(rankings, {"p": {"a": 1}, "q": {"a": 1}}, "mrr", 10)
    assert found.tolist() == [1.0, 0.5]
    both = ranking_metrics(rankings, {"p": {"a": 1}, "q": {"a": 1}}, {"mrr": [10]})
    assert found.mean() == both["mrr@10"]


def test_paired_bootstrap_knows_its_interval():
    random = np.random.default_rng(0)
    shared, gain = random.normal(size=400), random.normal(0.2, 0.5, size=400)
    difference, low, high = paired_bootstrap(shared + gain, shared)
    error = gain.std() / 20  # of a mean of 400
    assert np.isclose(difference, gain.mean())
    assert (
        abs(low - (difference - 1.96 * error)) < 0.2 * error and abs(high - (difference + 1.96 * error)) < 0.2 * error
    )
    assert paired_bootstrap(shared, shared + gain)[0] == -difference


def test_paired_bootstrap_draws_each_query_with_its_partner():
    hard_and_easy = np.repeat([0.0, 1.0], 50)
    assert np.allclose(paired_bootstrap(hard_and_easy + 0.1, hard_and_easy), 0.1)  # not so, if drawn apart


@pytest.mark.parametrize("a, b", [([1.0, 2.0], [1.0]), ([], []), ([[1.0]], [[1.0]])])
def test_scores_that_are_no_pairs(a, b):
    with pytest.raises(ValueError, match="two scores for each query"):
        paired_bootstrap(a, b)
