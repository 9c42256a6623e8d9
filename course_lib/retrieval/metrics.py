"""Numbers that say how good scores and rankings are: classification by a threshold, retrieval.

All take plain numbers, labels and ids; who made the scores is no concern of theirs (evaluators.py asks a model). All
are computed in float64, and equal sentence_transformers'; what scikit-learn has is scikit-learn's.

Left out on purpose: p-values; gains other than the grade itself (some use 2^grade - 1).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from sklearn.metrics import average_precision_score, matthews_corrcoef

from course_lib.support.rankings import graded, ranked
from course_lib.support.text_inputs import check_mapping
from course_lib.support.vectors import array_of


def binary_classification(scores, labels) -> dict[str, float]:
    """How well "the score is at least the threshold" tells 1 from 0, at the best threshold for each measure.

    scores: (n,) floats, higher for a pair more alike; labels: (n,) of 0 and 1. Pairs of one score fall on one side.
        accuracy, accuracy_threshold     share of right answers, and the threshold where it is highest
        f1, f1_threshold                 2 * precision * recall / (precision + recall), likewise
        precision, recall, mcc           at f1_threshold; mcc: Matthews' correlation of answer and label, -1..1
        ap                               average precision: the precision at each pair of label 1, best score first,
                                         averaged
    A threshold is in the middle between two neighbouring scores; of several best ones it is the highest. The thresholds
    were chosen on these very pairs: for an honest accuracy on new pairs, take the threshold to them.
    ValueError for other labels, scores that are not finite, and where one of the two labels does not occur.
    """
    scores, labels = array_of(scores, "scores"), array_of(labels, "labels")
    scores = scores if scores.dtype.kind == "f" else scores.astype(np.float64)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(f"expected a label for each score, got {labels.shape} and {scores.shape}")
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise ValueError(
            f"expected labels 0 and 1, and both of them, got {np.unique(labels)[:5].tolist()} in {len(labels)} pairs"
        )
    if not np.isfinite(scores).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(scores))} of {len(scores)} scores are NaN or infinite")
    values, group, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    values = -values  # (groups,): the distinct scores, highest first
    chosen = np.cumsum(sizes)  # (groups,): pairs taken for 1 if the threshold lies below group i
    right = np.cumsum(np.bincount(group, weights=labels))  # (groups,): of these, really 1
    ones, zeros, n = right[-1], len(labels) - right[-1], len(labels)
    accuracy = np.append(zeros, right + zeros - (chosen - right)) / n  # (1 + groups,): first, nothing is taken for 1
    precision, recall = right / chosen, right / ones  # (groups,)
    f1 = np.divide(2 * precision * recall, precision + recall, out=np.zeros(len(values)), where=right > 0)
    above_all = np.nextafter(values[0], np.asarray(np.inf, values.dtype))
    below = np.append(_middle(values[:-1], values[1:]), values[-1])  # (groups,): below group i, above group i + 1
    best, best_f1 = accuracy.argmax(), f1.argmax()  # the first of several
    return {
        "accuracy": float(accuracy[best]),
        "accuracy_threshold": float(below[best - 1] if best else above_all),
        "f1": float(f1[best_f1]),
        "f1_threshold": float(below[best_f1]),
        "precision": float(precision[best_f1]),
        "recall": float(recall[best_f1]),
        "ap": float(average_precision_score(labels, scores)),
        "mcc": float(matthews_corrcoef(labels, scores >= below[best_f1])),
    }


def _middle(higher: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Halfway, (n,); `higher` where rounding would give `lower`, whose pairs belong to the other side."""
    middle = (higher + lower) / 2
    return np.where(middle == lower, higher, middle)


AT_K = {
    "accuracy": (1, 3, 5, 10),
    "precision": (1, 3, 5, 10),
    "recall": (1, 3, 5, 10),
    "ndcg": (10,),
    "mrr": (10,),
    "map": (100,),
}


def ranking_metrics(
    rankings: Mapping[str, Sequence[str]],
    relevant: Mapping[str, Collection[str] | Mapping[str, int]],
    at_k: Mapping[str, Sequence[int]] = AT_K,
) -> dict[str, float]:
    """Mean over the queries of measures of their first k documents, 0..1: {"accuracy@1": ..., "ndcg@10": ...}.

    rankings: for each query's id the ids of documents, best first, or {id: score}, which is put in order as trec_eval
        and ranx do; relevant: the ids of those it should find, or a mapping from their ids to grades, of which those
        above 0 are relevant (support/rankings.py says which containers). Without grades all are worth 1. Only ndcg
        looks at them.
        accuracy     is there a relevant one?
        precision    the share of the k places that hold a relevant one; empty places count
        recall       the share of the relevant ones that are there
        mrr          1 / rank of the first relevant one, 0 without (Voorhees 1999, TREC-8)
        ndcg         sum of grade / log2(1 + rank) over the relevant ones, divided by what the best order would give
                     (Järvelin & Kekäläinen 2002; trec_eval and BEIR take the grade itself, others 2 ** grade - 1)
        map          the precision at the rank of each relevant one, summed, divided by min(k, relevant ones)
    Queries without relevant documents count in no mean. ValueError where that leaves none, for an unknown measure or k
    below 1, and for a ranking that names a document twice; TypeError for other containers.
    """
    rankings = check_mapping(rankings, "rankings", "{query's id: documents, best first}")
    relevant = check_mapping(relevant, "relevant", "{query's id: ids of documents}")
    if unknown := [name for name in at_k if name not in AT_K]:
        raise ValueError(f"no measure {', '.join(unknown)}; there are {', '.join(AT_K)}")
    if wrong := [name for name, ks in at_k.items() if not isinstance(ks, Iterable)]:
        raise TypeError(f"at_k[{wrong[0]!r}] is {at_k[wrong[0]]!r}; expected a list of numbers")
    wanted = [(name, k) for name, ks in at_k.items() for k in ks]
    if not wanted or min(k for _, k in wanted) < 1:
        raise ValueError(f"expected a k of at least 1 for some measure, got {dict(at_k)}")
    rows = []
    for query, ranking in rankings.items():
        ranking = ranked(ranking, f"the ranking of query {query!r}")
        if len(set(ranking)) < len(ranking):
            raise ValueError(f"the ranking of query {query!r} names a document twice")
        grades = graded(relevant.get(query, ()), f"relevant[{query!r}]")
        best = np.array(sorted((g for g in grades.values() if g > 0), reverse=True), dtype=float)  # (relevant ones,)
        if len(best):
            gains = np.array([max(0, grades.get(document, 0)) for document in ranking], dtype=float)  # (documents,)
            rows.append([_MEASURES[name](gains[:k], best, k) for name, k in wanted])
    if not rows:
        raise ValueError(f"none of the {len(rankings)} queries has a relevant document")
    return {f"{name}@{k}": float(mean) for (name, k), mean in zip(wanted, np.mean(rows, axis=0))}


def each_query(
    rankings: Mapping[str, Sequence[str]], relevant: Mapping, measure: str = "ndcg", k: int = 10
) -> np.ndarray:
    """One measure of `ranking_metrics` for each query alone, in the order of `rankings`: (queries,)."""
    name = f"{measure}@{k}"
    return np.array([ranking_metrics({q: found}, relevant, {measure: [k]})[name] for q, found in rankings.items()])


def paired_bootstrap(a, b, draws: int = 2_000, seed: int = 0) -> tuple[float, float, float]:
    """By how much is the mean of `a` above that of `b`, and between which values would it lie with other queries?

    a, b: (queries,), what two searches score on the same queries. The queries are drawn anew, with repetition, `draws`
    times, and each draw serves both searches (Efron 1979). Returns the difference of the means, and the 2.5th and the
    97.5th percentile of the differences. ValueError unless there is one score for each query in both.
    """
    a, b = array_of(a, "a"), array_of(b, "b")
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(f"expected two scores for each query, got {a.shape} and {b.shape}")
    gains = np.asarray(a - b, dtype=np.float64)  # (queries,)
    drawn = np.random.default_rng(seed).integers(len(gains), size=(draws, len(gains)))  # (draws, queries)
    low, high = np.percentile(gains[drawn].mean(axis=1), (2.5, 97.5))
    return float(gains.mean()), float(low), float(high)


def _discounted(gains: np.ndarray) -> float:
    """Each gain divided by log2(1 + its rank), added up: (documents,) -> a number."""
    return (gains / np.log2(np.arange(2, len(gains) + 2))).sum()


def _average_precision(gains: np.ndarray, best: np.ndarray, k: int) -> float:
    ranks = np.flatnonzero(gains) + 1  # (found,): of the relevant documents
    return (np.arange(1, len(ranks) + 1) / ranks).sum() / min(k, len(best))


_MEASURES = {  # gains: (up to k,), grades of the documents found, 0 for the others; best: (relevant ones,), best first
    "accuracy": lambda gains, best, k: float(gains.any()),
    "precision": lambda gains, best, k: np.count_nonzero(gains) / k,
    "recall": lambda gains, best, k: np.count_nonzero(gains) / len(best),
    "ndcg": lambda gains, best, k: _discounted(gains) / _discounted(best[:k]),
    "mrr": lambda gains, best, k: 1 / ((gains > 0).argmax() + 1) if gains.any() else 0.0,
    "map": _average_precision,
}
