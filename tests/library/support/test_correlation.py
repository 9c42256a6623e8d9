"""course_lib.support.correlation: scipy's numbers, and errors where there is none."""

import numpy as np
import pytest
from scipy import stats

from course_lib.support.correlation import pearson, spearman


def samples():
    random = np.random.default_rng(0)
    x, ties = random.normal(size=50), random.integers(0, 5, 50).astype(float)
    return {
        "plain": (x, random.normal(size=50)),
        "ties": (ties, x + ties),
        "both tied": (ties, np.round(x)),
        "far from zero": (x + 1e8, x**3),
        "tiny": (x * 1e-200, ties),
        "two values": ([1, 2], [5, 3]),
        "integers": ([3, 1, 2, 2], [1, 2, 3, 4]),
        "float32": (np.float32(x), np.float32(ties)),
    }


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
@pytest.mark.parametrize(
    "x, y, message",
    [
        ([1, 2, np.nan], [1, 2, 3], "1 of 3 values of the first sequence are NaN"),
        ([1, 2, 3], [np.inf, 2, -np.inf], "2 of 3 values of the second"),
        ([7, 7, 7], [1, 2, 3], "all 3 values of the first sequence are equal"),
        ([1, 2, 3], [0, 0, 0], "all 3 values of the second"),
        ([1, 2, 3], [1, 2], r"\(3,\) and \(2,\)"),
        ([1], [1], "at least 2"),
        ([], [], "at least 2"),
        ([[1, 2]], [[1, 2]], r"\(1, 2\)"),
    ],
)
def test_what_has_no_correlation_is_refused(correlation, x, y, message):
    with pytest.raises(ValueError, match=message):
        correlation(x, y)
