"""Numbers that say how good scores and rankings are: correlation with people, classification by a threshold, retrieval.

All take plain numbers, labels and ids; who made the scores is no concern of theirs (evaluation.py asks a model). All are
computed in float64, and equal scipy's, scikit-learn's and sentence_transformers'.

Left out on purpose: p-values; gains other than the grade itself (some use 2^grade - 1).
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np


def pearson(x, y) -> float:
    """Pearson's correlation of n numbers with n others, -1..1: the cosine of the two after centring.

    Computed in float64. Raises ValueError unless both have one length of at least 2, finite values, and are
    not constant: the correlation would be 0 / 0, and a model that scores all pairs alike is broken, not bad.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise ValueError(f"expected two sequences of one length, at least 2, got {x.shape} and {y.shape}")
    for which, values in (("first", x), ("second", y)):
        if bad := np.count_nonzero(~np.isfinite(values)):
            raise ValueError(
                f"no correlation: {bad} of {len(values)} values of the {which} sequence are NaN or infinite"
            )
        if np.all(values == values[0]):
            raise ValueError(f"no correlation: all {len(values)} values of the {which} sequence are equal")
    return float(np.clip(_direction(x) @ _direction(y), -1, 1))


def _direction(values: np.ndarray) -> np.ndarray:
    """Centred and of length 1, (n,)."""
    centred = values - values.mean()
    centred /= np.abs(centred).max()  # so that the squares of tiny values are not 0
    return centred / np.linalg.norm(centred)


def spearman(x, y) -> float:
    """Spearman's rank correlation, -1..1: Pearson's of the ranks, tied values sharing the average of theirs.

    What the STS tasks are scored by: it asks only that better pairs get higher scores (Reimers et al. 2016,
    COLING). ValueError as in `pearson`.
    """
    return pearson(_ranks(x), _ranks(y))


def _ranks(values) -> np.ndarray:
    """1 for the smallest of n values to n for the largest, (n,) float64. NaN stays, for `pearson` to find."""
    values = np.asarray(values, dtype=np.float64)
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[which]  # k equal values up to rank r share r - (k - 1) / 2
    return np.where(np.isfinite(values), ranks, np.nan)


def binary_classification(scores, labels) -> dict[str, float]:
    """How well "the score is at least the threshold" tells 1 from 0, at the best threshold for each measure.

    scores: (n,) floats, higher for a pair more alike; labels: (n,) of 0 and 1. Pairs of one score fall on one side.
        accuracy, accuracy_threshold     share of right answers, and the threshold where it is highest
        f1, f1_threshold                 2 * precision * recall / (precision + recall), likewise
        precision, recall, mcc           at f1_threshold; mcc: Matthews' correlation of answer and label, -1..1
        ap                               average precision: the precision at each pair of label 1, best score first, averaged
    A threshold is in the middle between two neighbouring scores; of several best ones it is the highest. The thresholds
    were chosen on these very pairs: for an honest accuracy on new pairs, take the threshold to them.
    ValueError for other labels, scores that are not finite, and where one of the two labels does not occur.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    scores = scores if scores.dtype.kind == "f" else scores.astype(np.float64)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(f"expected a label for each score, got {labels.shape} and {scores.shape}")
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise ValueError(
            f"expected labels 0 and 1, and both of them, got {np.unique(labels)[:5].tolist()} in {len(labels)} pairs"
        )
    if not np.isfinite(scores).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(scores))} of {len(scores)} scores are NaN or infinite")
    values, which, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    values = -values  # (groups,): the distinct scores, highest first
    chosen = np.cumsum(sizes)  # (groups,): pairs taken for 1 if the threshold lies below group i
    right = np.cumsum(np.bincount(which, weights=labels))  # (groups,): of these, really 1
    ones, n = right[-1], len(labels)

    accuracy = (
        np.append(n - ones, right + (n - ones) - (chosen - right)) / n
    )  # (1 + groups,): first, nothing is taken for 1
    precision, recall = right / chosen, right / ones  # (groups,)
    f1 = np.divide(2 * precision * recall, precision + recall, out=np.zeros(len(values)), where=right > 0)
    thresholds = np.append(_middle(values[:-1], values[1:]), values[-1])  # (groups,): below group i, above group i + 1
    above_all = np.nextafter(values[0], np.asarray(np.inf, values.dtype))
    best, best_f1 = accuracy.argmax(), f1.argmax()  # the first of several
    return {
        "accuracy": float(accuracy[best]),
        "accuracy_threshold": float(thresholds[best - 1] if best else above_all),
        "f1": float(f1[best_f1]),
        "f1_threshold": float(thresholds[best_f1]),
        "precision": float(precision[best_f1]),
        "recall": float(recall[best_f1]),
        "ap": float(np.sum(np.diff(recall, prepend=0) * precision)),
        "mcc": pearson(scores >= thresholds[best_f1], labels)
        if best_f1 < len(values) - 1
        else 0.0,  # 0 where all are taken for 1
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

    rankings: for each query's id the ids of documents, best first; relevant: the ids of those it should find, or a mapping
        from their ids to grades, of which those above 0 are relevant. Without grades all are worth 1. Only ndcg looks at them.
        accuracy     is there a relevant one?
        precision    the share of the k places that hold a relevant one; empty places count
        recall       the share of the relevant ones that are there
        mrr          1 / rank of the first relevant one, 0 without (Voorhees 1999, TREC-8)
        ndcg         sum of grade / log2(1 + rank) over the relevant ones, divided by what the best order would give (Järvelin
                     & Kekäläinen 2002; trec_eval and BEIR take the grade itself, as here, others 2 ** grade - 1)
        map          the precision at the rank of each relevant one, summed, divided by min(k, relevant ones)
    Queries without relevant documents count in no mean. ValueError where that leaves none, for an unknown measure or k
    below 1, and for a ranking that names a document twice.
    """
    if unknown := [name for name in at_k if name not in AT_K]:
        raise ValueError(f"no measure {', '.join(unknown)}; there are {', '.join(AT_K)}")
    wanted = [(name, k) for name, ks in at_k.items() for k in ks]
    if not wanted or min(k for _, k in wanted) < 1:
        raise ValueError(f"expected a k of at least 1 for some measure, got {dict(at_k)}")
    rows = []
    for query, ranking in rankings.items():
        if len(set(ranking)) < len(ranking):
            raise ValueError(f"the ranking of query {query!r} names a document twice")
        answers = relevant.get(query, ())
        grades = (
            {document: grade for document, grade in answers.items() if grade > 0}
            if isinstance(answers, Mapping)
            else dict.fromkeys(answers, 1)
        )
        if grades:
            gains = np.array([grades.get(document, 0) for document in ranking], dtype=float)  # (documents,)
            best = np.array(sorted(grades.values(), reverse=True), dtype=float)  # (relevant ones,)
            rows.append(
                [
                    _ndcg(gains[:k], best[:k]) if name == "ndcg" else _RANKING[name](gains[:k] > 0, k, len(best))
                    for name, k in wanted
                ]
            )
    if not rows:
        raise ValueError(f"none of the {len(rankings)} queries has a relevant document")
    return {f"{name}@{k}": float(mean) for (name, k), mean in zip(wanted, np.mean(rows, axis=0))}


def _mrr(hits: np.ndarray, k: int, total: int) -> float:
    return 1 / (hits.argmax() + 1) if hits.any() else 0.0


def _ndcg(gains: np.ndarray, best: np.ndarray) -> float:
    """gains: (up to k,), grades of the documents found; best: (up to k,), those of the best order."""
    return (gains / np.log2(np.arange(2, len(gains) + 2))).sum() / (best / np.log2(np.arange(2, len(best) + 2))).sum()


def _average_precision(hits: np.ndarray, k: int, total: int) -> float:
    precisions = np.cumsum(hits) / np.arange(1, len(hits) + 1)  # (documents,): at each rank
    return precisions[hits].sum() / min(k, total)


_RANKING = {  # hits: (up to k,), is the document at this rank relevant?; total: relevant documents there are
    "accuracy": lambda hits, k, total: float(hits.any()),
    "precision": lambda hits, k, total: hits.sum() / k,
    "recall": lambda hits, k, total: hits.sum() / total,
    "mrr": _mrr,
    "map": _average_precision,
}
