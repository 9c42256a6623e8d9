"""scipy's correlations, which raise where scipy warns and returns NaN."""

import numpy as np
from scipy import stats

from course_lib.support.vectors import array_of


def pearson(x, y) -> float:
    """Pearson's correlation of n numbers with n others, -1..1. ValueError where it is not defined, as in `spearman`."""
    return float(stats.pearsonr(*_defined(x, y)).statistic)


def spearman(x, y) -> float:
    """Spearman's rank correlation, -1..1: Pearson's of the ranks, tied values sharing the average of theirs.

    What the STS tasks are scored by: it asks only that better pairs get higher scores (Reimers et al. 2016, COLING).
    ValueError unless x and y have one length of at least 2, finite values, and are not constant: the correlation would
    be 0 / 0, and a model that scores all pairs alike is broken, not bad.
    """
    return float(stats.spearmanr(*_defined(x, y)).statistic)


def _defined(x, y) -> tuple[np.ndarray, np.ndarray]:
    """Both as (n,) in float64, if they have a correlation."""
    x, y = (array_of(values, name).astype(np.float64) for values, name in ((x, "x"), (y, "y")))
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise ValueError(f"expected two sequences of one length, at least 2, got {x.shape} and {y.shape}")
    for which, values in (("first", x), ("second", y)):
        if bad := np.count_nonzero(~np.isfinite(values)):
            raise ValueError(f"no correlation: {bad} of {len(x)} values of the {which} sequence are NaN or infinite")
        if np.all(values == values[0]):
            raise ValueError(f"no correlation: all {len(x)} values of the {which} sequence are equal")
    return x, y
