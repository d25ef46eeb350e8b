"""What a class's scores say about the class and about the assignment. Pure: numbers in, numbers out.

Classical test theory, as in M. J. Allen and W. M. Yen, Introduction to Measurement Theory (1979), chapters 4 and 6.
An item is a problem or a check. A statistic that the numbers do not determine raises `Undefined`, never gives nan.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Sums of points differ in their last bits though they are equal.
_EQUAL = 1e-9
# Through two students there is always a line.
_FEWEST = 3

BINS = 10


class Undefined(ValueError):
    """These numbers do not determine the statistic: the message says why, in a few words."""


def mean(scores: Sequence[float]) -> float:
    """The arithmetic mean."""
    return float(np.mean(_some(scores)))


def median(scores: Sequence[float]) -> float:
    """The middle score; of an even number of them, the mean of the two in the middle."""
    return float(np.median(_some(scores)))


def quantile(values: Sequence[float], share: float) -> float:
    """What a share of the values lies below, from 0 to 1; between two of them on the line that joins them."""
    return float(np.quantile(_some(values), share))


def standard_deviation(scores: Sequence[float]) -> float:
    """The sample's: the squared deviations are divided by n - 1."""
    if len(scores) < 2:
        raise Undefined("it takes two submissions")
    return float(np.std(_some(scores), ddof=1))


def distribution(shares: Sequence[float]) -> list[int]:
    """How many shares of the points lie in [0, 10 %), [10 %, 20 %), ..., [90 %, 100 %), and at 100 % or, by a bonus,
    above: BINS + 1 counts."""
    counts = [0] * (BINS + 1)
    for share in shares:
        counts[min(BINS, max(0, int(share * BINS + _EQUAL)))] += 1
    return counts


def difficulty(scores: Sequence[float], points: float) -> float:
    """The item's difficulty index p = mean score / points: the share of its points that the class got. A high p is an
    easy item. Of an item that is passed or not, the share who passed."""
    if points <= 0:
        raise Undefined("it is worth no points")
    return mean(scores) / points


def item_rest_correlation(item: Sequence[float], rest: Sequence[float]) -> float:
    """The item's discrimination: Pearson's correlation of its scores with those of the rest, r(x, t - x).

    item, rest: of the same students, in the same order; the rest is the total without the item, which would correlate
    with itself. For an item that is passed or not, this is the point-biserial correlation
    (M1 - M0) / s * sqrt(n1 n0 / n^2), where M1 and M0 are the mean rests of those who pass and fail.
    """
    x, y = np.asarray(item, dtype=float), np.asarray(rest, dtype=float)
    if len(x) < _FEWEST:
        raise Undefined(f"it takes {_FEWEST} submissions")
    if _all_equal(x):
        raise Undefined("all have the same score here")
    if _all_equal(y):
        raise Undefined("all have the same score in the rest")
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def cronbach_alpha(items: Sequence[Sequence[float]]) -> float:
    """The reliability alpha = k / (k - 1) * (1 - sum of the items' variances / variance of their sum).

    items: k lists of n scores. The variances are the sample's, with n - 1. From L. J. Cronbach, Coefficient alpha and
    the internal structure of tests, Psychometrika 16 (1951), 297-334. It may be negative.
    """
    scores = np.asarray(items, dtype=float)
    if len(scores) < 2:
        raise Undefined("it takes two problems")
    if scores.shape[1] < _FEWEST:
        raise Undefined(f"it takes {_FEWEST} submissions")
    total = scores.sum(axis=0)
    if _all_equal(total):
        raise Undefined("all have the same score")
    k = len(scores)
    return float(k / (k - 1) * (1 - scores.var(axis=1, ddof=1).sum() / total.var(ddof=1)))


def _some(scores: Sequence[float]) -> Sequence[float]:
    if not len(scores):
        raise Undefined("there is no submission")
    return scores


def _all_equal(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= _EQUAL * max(1.0, float(np.abs(values).max())))
