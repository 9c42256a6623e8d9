"""Several rankings of the same documents into one: by rank, or by score.

    reciprocal_rank_fusion([["d3", "d1"], ["d1", "d7"]])                    # {"d1": 0.0325, "d3": 0.0164, "d7": 0.0161}
    weighted_fusion([{"d3": 12.1, "d1": 4.0}, {"d1": 0.8, "d7": 0.7}])      # {"d1": 1.0, "d3": 1.0, "d7": 0.0}

Each fuses the results of several systems for one query, and returns {document: score}, best first. BM25's scores go up to
30, cosines to 1: ranks need no common scale, scores have to be brought to one.

Left out on purpose: weights learnt from labelled queries, fusion by votes (Borda, Condorcet).
"""

import math
from collections.abc import Hashable, Mapping, Sequence


def reciprocal_rank_fusion(rankings: Sequence[Sequence[Hashable]], k: float = 60) -> dict[Hashable, float]:
    """{document: sum over the rankings that name it of 1 / (k + its rank there)}, best first (Cormack et al. 2009, SIGIR, equation 1).

    rankings: for each system its documents, best first; any may be empty. Ranks count from 1.
    k: the larger, the less it matters to be first rather than fifth. The paper's, chosen once and kept, is 60.
    Of equal scores the document that is named first, in the first ranking that names it, comes first.
    Raises ValueError for a ranking that names a document twice, and k below 0.
    """
    if not k >= 0:
        raise ValueError(f"k is {k}; expected at least 0")
    fused: dict[Hashable, float] = {}
    for number, ranking in enumerate(rankings):
        if isinstance(ranking, str) or len(set(ranking)) < len(ranking):
            raise ValueError(
                f"ranking {number} is a string or names a document twice: {list(ranking)[:5]}...; expected documents, each once"
            )
        for rank, document in enumerate(ranking, 1):
            fused[document] = fused.get(document, 0.0) + 1 / (k + rank)
    return _best_first(fused)


def weighted_fusion(
    results: Sequence[Mapping[Hashable, float]], weights: Sequence[float] | None = None, normalize: str = "min-max"
) -> dict[Hashable, float]:
    """{document: sum over the systems of weight * normalised score}, best first.

    results: for each system {document: score}, higher is better; any may be empty. weights: one a system, all 1 by default.
    normalize: what is done to the scores of one system for one query.
        "min-max"    the highest becomes 1, the lowest 0; all 1 where all are equal
        "z"          less their mean, divided by their standard deviation (of the population); all 0 where all are equal
    A document that a system did not return gets what the lowest it did return has: 0 of "min-max". Equal scores as above.
    Raises ValueError for NaN or infinite scores, weights that do not fit, and another normalisation.
    """
    weights = [1.0] * len(results) if weights is None else list(weights)
    if len(weights) != len(results) or not all(math.isfinite(w) and w >= 0 for w in weights):
        raise ValueError(f"weights are {weights} for {len(results)} systems; expected a number of at least 0 for each")
    if normalize not in ("min-max", "z"):
        raise ValueError(f"normalize is {normalize!r}; expected 'min-max' or 'z'")
    fused = dict.fromkeys((document for scores in results for document in scores), 0.0)
    for number, (scores, weight) in enumerate(zip(results, weights)):
        if bad := [document for document, score in scores.items() if not math.isfinite(score)]:
            raise ValueError(
                f"system {number} gives {len(bad)} of {len(scores)} documents a score that is NaN or infinite, {bad[0]!r} first"
            )
        scaled = _normalized({document: float(score) for document, score in scores.items()}, normalize)
        missing = 0.0 if normalize == "min-max" else min(scaled.values(), default=0.0)
        for document in fused:
            fused[document] += weight * scaled.get(document, missing)
    return _best_first(fused)


def _normalized(scores: dict[Hashable, float], how: str) -> dict[Hashable, float]:
    if len(set(scores.values())) < 2:
        return dict.fromkeys(scores, 1.0 if how == "min-max" else 0.0)
    values = scores.values()
    if how == "min-max":
        start, unit = min(values), max(values) - min(values)
    else:
        start = math.fsum(values) / len(scores)
        unit = math.sqrt(math.fsum((value - start) ** 2 for value in values) / len(scores))
    return {document: (score - start) / unit for document, score in scores.items()}


def _best_first(fused: dict[Hashable, float]) -> dict[Hashable, float]:
    return dict(sorted(fused.items(), key=lambda item: -item[1]))  # stable: equal scores keep their order
