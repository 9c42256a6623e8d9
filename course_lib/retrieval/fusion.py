"""Several rankings of the same documents into one: by rank, or by score.

    reciprocal_rank_fusion([["d3", "d1"], ["d1", "d7"]])                    # {"d1": 0.0325, "d3": 0.0164, "d7": 0.0161}
    weighted_fusion([{"d3": 12.1, "d1": 4.0}, {"d1": 0.8, "d7": 0.7}])      # {"d1": 1.0, "d3": 1.0, "d7": 0.0}

Each fuses the results of several systems for one query, and returns {document: score}, best first. BM25's scores go up
to 30, cosines to 1: ranks need no common scale, scores have to be brought to one.

Left out on purpose: other scales than min-max, weights learnt from labelled queries, votes (Borda, Condorcet).
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import wraps

from course_lib.support.rankings import checked_scores, ranked
from course_lib.support.text_inputs import check_container


def best_first(fuse: Callable) -> Callable:
    """The same function of rankings in any container, and of {document: score}: it gets lists, best first."""

    @wraps(fuse)
    def fuse_lists(rankings, *arguments, **options):
        check_container(rankings, "rankings", "a list of rankings")
        lists = [
            ranking if isinstance(ranking, str) else ranked(ranking, f"ranking {number}")
            for number, ranking in enumerate(rankings)
        ]
        return fuse(lists, *arguments, **options)

    return fuse_lists


@best_first
def reciprocal_rank_fusion(rankings: Sequence[Sequence[Hashable]], k: float = 60) -> dict[Hashable, float]:
    """{document: sum over the rankings that name it of 1 / (k + its rank there)}, best first.

    Cormack et al. 2009 (SIGIR), equation 1.
    rankings: for each system its documents, best first, or {document: score} (support/rankings.py); any may be empty.
        Ranks count from 1.
    k: the larger, the less it matters to be first rather than fifth. The paper's, chosen once and kept, is 60.
    Of equal scores the document that is named first, in the first ranking that names it, comes first.
    Raises ValueError for a ranking that names a document twice, and k below 0; TypeError for what is no ranking.
    """
    if not k >= 0:
        raise ValueError(f"k is {k}; expected at least 0")
    fused: dict[Hashable, float] = {}
    for number, ranking in enumerate(rankings):
        if isinstance(ranking, str) or len(set(ranking)) < len(ranking):
            twice = f"ranking {number} is a string or names a document twice: {list(ranking)[:5]}..."
            raise ValueError(f"{twice}; expected documents, each once")
        for rank, document in enumerate(ranking, 1):
            fused[document] = fused.get(document, 0.0) + 1 / (k + rank)
    return _best_first(fused)


def weighted_fusion(
    results: Sequence[Mapping[Hashable, float]], weights: Sequence[float] | None = None
) -> dict[Hashable, float]:
    """{document: sum over the systems of weight * score between 0 and 1}, best first.

    results: for each system {document: score}, higher is better; any may be empty. weights: one a system, all 1 by
    default. The scores of one system are brought to one scale: the highest becomes 1, the lowest 0, and all 1 where all
    are equal. A document that a system did not return gets 0, as the lowest it did return. Equal scores as above.
    Raises ValueError for NaN or infinite scores, and weights that do not fit; TypeError for what holds no scores.
    """
    check_container(results, "results", "a list of {document: score}")
    results = [checked_scores(scores, f"system {number}") for number, scores in enumerate(results)]
    weights = [1.0] * len(results) if weights is None else list(weights)
    if len(weights) != len(results) or not all(math.isfinite(w) and w >= 0 for w in weights):
        raise ValueError(f"weights are {weights} for {len(results)} systems; expected a number of at least 0 for each")
    fused = dict.fromkeys((document for scores in results for document in scores), 0.0)
    for scores, weight in zip(results, weights):
        lowest, highest = (float(extreme(scores.values(), default=0)) for extreme in (min, max))
        for document, score in scores.items():
            scaled = (float(score) - lowest) / (highest - lowest) if highest > lowest else 1.0
            fused[document] += weight * scaled
    return _best_first(fused)


def _best_first(fused: dict[Hashable, float]) -> dict[Hashable, float]:
    return dict(sorted(fused.items(), key=lambda item: -item[1]))  # stable: equal scores keep their order
