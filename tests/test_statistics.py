"""The statistics of a class: as SciPy and published examples have them, and never a number where there is none."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from grader import statistics
from grader.statistics import Undefined

# M. Bland and D. Altman, Statistics notes: Cronbach's alpha, BMJ 314 (1997), 572: the ten items of the mini-HAQ.
ITEMS, SUM_OF_VARIANCES, VARIANCE_OF_THE_TOTAL, ALPHA = 10, 11.16, 77.44, 0.95

# Three answers of ten people, from https://www.statology.org/cronbachs-alpha-in-python/, with pingouin's result.
SURVEY = [[1, 2, 2, 3, 2, 2, 3, 3, 2, 3], [1, 1, 1, 2, 3, 3, 2, 3, 3, 3], [1, 1, 2, 1, 2, 3, 3, 3, 2, 3]]
SURVEY_ALPHA = 0.7734375


def scores(seed: int, students: int = 40, items: int = 6) -> np.ndarray:
    """Scores of items that have something in common, shape (items, students)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=students) + rng.normal(size=(items, students))


# The middle and the ends


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_a_quantile_is_scipy_s(share):
    values = [3.0, 1.0, 40.0, 2.0, 5.0, 1.0]
    assert statistics.quantile(values, share) == pytest.approx(stats.scoreatpercentile(values, 100 * share))
    with pytest.raises(Undefined, match="there is no submission"):
        statistics.quantile([], share)


# Discrimination


@pytest.mark.parametrize("seed", range(5))
def test_discrimination_of_a_check_is_scipy_s_point_biserial_with_the_rest(seed):
    items = (scores(seed) > 0.3) * np.array([[2], [3], [1], [5], [2], [4]])
    total = items.sum(axis=0)
    for item in items:
        expected = stats.pointbiserialr(item > 0, total - item).statistic
        assert statistics.item_rest_correlation(item, total - item) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_discrimination_of_a_problem_is_scipy_s_correlation_with_the_rest(seed):
    items = scores(seed)
    total = items.sum(axis=0)
    for item in items:
        expected = stats.pearsonr(item, total - item).statistic
        assert statistics.item_rest_correlation(item, total - item) == pytest.approx(expected, abs=1e-12)


def test_the_textbook_formula_of_the_point_biserial_correlation_gives_the_same():
    passed, rest = np.array([1, 1, 0, 1, 0, 1, 0, 0]), np.array([9.0, 7, 3, 8, 5, 4, 2, 6])
    ones, zeros = rest[passed == 1], rest[passed == 0]
    expected = (ones.mean() - zeros.mean()) / rest.std() * np.sqrt(len(ones) * len(zeros)) / len(rest)
    assert statistics.item_rest_correlation(passed, rest) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("item", "rest", "why"),
    [
        ([], [], "3 submissions"),
        ([1], [5], "3 submissions"),
        ([1, 0], [5, 2], "3 submissions"),
        ([2, 2, 2], [5, 6, 7], "the same score here"),
        ([0, 1, 0], [4, 4, 4], "the same score in the rest"),
        ([1, 2, 3], [0.4 - 0.1, 0.5 - 0.2, 0.6 - 0.3], "the same score in the rest"),  # equal but for the last bits
    ],
)
def test_discrimination_that_is_not_determined_says_why(item, rest, why):
    with pytest.raises(Undefined, match=why):
        statistics.item_rest_correlation(item, rest)


# Reliability


def test_alpha_of_the_published_example():
    """Items with the published variances: equal ones, with the covariances that make up the total's."""
    covariance = (VARIANCE_OF_THE_TOTAL - SUM_OF_VARIANCES) / (ITEMS * (ITEMS - 1))
    wanted = np.full((ITEMS, ITEMS), covariance)
    np.fill_diagonal(wanted, SUM_OF_VARIANCES / ITEMS)
    noise = np.random.default_rng(0).normal(size=(ITEMS, 249))
    white = np.linalg.solve(np.linalg.cholesky(np.cov(noise)), noise)
    items = np.linalg.cholesky(wanted) @ white
    assert items.sum(axis=0).var(ddof=1) == pytest.approx(VARIANCE_OF_THE_TOTAL)

    assert round(statistics.cronbach_alpha(items), 2) == ALPHA


def test_alpha_of_a_published_table():
    assert statistics.cronbach_alpha(SURVEY) == pytest.approx(SURVEY_ALPHA, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_what_the_covariance_matrix_says(seed):
    """k times the mean covariance, over the mean variance plus k - 1 times the mean covariance."""
    items = scores(seed)
    matrix = np.cov(items)
    k = len(items)
    variance, covariance = np.diag(matrix).mean(), matrix[~np.eye(k, dtype=bool)].mean()
    expected = k * covariance / (variance + (k - 1) * covariance)
    assert statistics.cronbach_alpha(items) == pytest.approx(expected)


def test_alpha_is_one_for_copies_and_falls_below_zero_where_items_work_against_each_other():
    assert statistics.cronbach_alpha([[1, 2, 4]] * 3) == pytest.approx(1)
    assert statistics.cronbach_alpha([[1, 2, 3, 4], [4, 3, 1, 2]]) < 0


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([], "two problems"),
        ([[1, 2, 3]], "two problems"),
        ([[], []], "3 submissions"),
        ([[1], [2]], "3 submissions"),
        ([[1, 2], [2, 4]], "3 submissions"),
        ([[5, 5, 5], [1, 1, 1]], "all have the same score"),
        ([[1, 2, 3], [3, 2, 1]], "all have the same score"),
    ],
)
def test_alpha_that_is_not_determined_says_why(items, why):
    with pytest.raises(Undefined, match=why):
        statistics.cronbach_alpha(items)


# Difficulty, middle and spread


def test_difficulty_is_the_share_of_the_points():
    assert statistics.difficulty([2, 0, 2, 2], 2) == 0.75
    assert statistics.difficulty([1.5, 3], 3) == 0.75
    with pytest.raises(Undefined, match="no points"):
        statistics.difficulty([0, 0], 0)
    with pytest.raises(Undefined, match="no submission"):
        statistics.difficulty([], 2)


def test_mean_median_and_deviation_are_scipy_s():
    numbers = [3.0, 8.0, 1.0, 9.5]
    described = stats.describe(numbers)
    assert statistics.mean(numbers) == described.mean
    assert statistics.standard_deviation(numbers) == pytest.approx(described.variance**0.5)
    assert statistics.median(numbers) == 5.5
    for function in (statistics.mean, statistics.median, statistics.standard_deviation):
        with pytest.raises(Undefined):
            function([])
    with pytest.raises(Undefined, match="two submissions"):
        statistics.standard_deviation([3])


def test_shares_fall_into_ten_bins_and_the_bonus_into_one_of_its_own():
    assert statistics.distribution([]) == [0] * 11
    assert statistics.distribution([0, 0.05, 0.1, 0.999, 1.0, 1.08]) == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2]
    assert statistics.distribution([0.1 + 0.2])[3] == 1  # 0.30000000000000004
    assert statistics.distribution([1 - 0.9, 0.7 / 7 * 3])[1:4] == [1, 0, 1]  # 0.09999999999999998, 0.29999999999999993


marks = st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 3.0])] * 3), max_size=8)


@given(marks)
def test_whatever_the_scores_there_is_a_number_or_a_reason(rows):
    items = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    for function, numbers in (
        (statistics.item_rest_correlation, (items[0], items[1])),
        (statistics.cronbach_alpha, (items,)),
        (statistics.difficulty, (items[0], 3.0)),
    ):
        with contextlib.suppress(Undefined):
            found = function(*numbers)
            assert np.isfinite(found)
            assert found <= 1 + 1e-12
