import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dad.evaluation import alignment
from dad.evaluation.alignment import least_squares, weighted_l1


def lstsq(x, y):
    """What Marigold calls, in float64."""
    columns = np.stack([x, np.ones_like(x)], 1).astype(np.float64)
    return np.linalg.lstsq(columns, y.astype(np.float64), rcond=None)[0]


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 400),
    offset=st.floats(-1e3, 1e3),
    spread=st.floats(1e-2, 1e3),
)
@settings(max_examples=60, deadline=None)
def test_least_squares_is_numpys(seed, count, offset, spread):
    rng = np.random.default_rng(seed)
    x = (offset + spread * rng.standard_normal(count)).astype(np.float32)
    y = rng.uniform(0.1, 50, count).astype(np.float32)
    fit, expected = least_squares(x, y), lstsq(x, y)
    x = x.astype(np.float64)
    aligned, reference = fit.scale * x + fit.shift, expected[0] * x + expected[1]
    np.testing.assert_allclose(aligned, reference, rtol=1e-7, atol=1e-7 * np.abs(reference).max())


def test_least_squares_over_many_blocks():
    rng = np.random.default_rng(0)
    x = rng.normal(100, 3, 3 * alignment.BLOCK + 17).astype(np.float32)
    y = (x * 0.3 + rng.normal(0, 1, x.size)).astype(np.float32)
    np.testing.assert_allclose(least_squares(x, y), lstsq(x, y), rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 3.0, -0.2, 1e4])
def test_constant_prediction_gets_the_minimum_norm_solution(value):
    x = np.full(50, value, np.float32)
    y = np.linspace(1, 9, 50, dtype=np.float32)
    k = y.mean() / (float(x[0]) ** 2 + 1)
    np.testing.assert_allclose(least_squares(x, y), (k * float(x[0]), k), rtol=1e-6)
    np.testing.assert_allclose(least_squares(x, y), lstsq(x, y), rtol=1e-6)


@pytest.mark.parametrize("jitter", [1e-3, 1e-7, 1e-12, 1e-14, 1e-17])
def test_the_rank_rule_is_lapacks(jitter):
    x = np.float64(1.0) + jitter * np.arange(100)
    y = np.linspace(2, 8, 100)
    fit, expected = least_squares(x, y), lstsq(x, y)
    np.testing.assert_allclose(fit.scale * x + fit.shift, expected[0] * x + expected[1], rtol=1e-2)
    assert (abs(fit.scale) > 1e3) == (abs(expected[0]) > 1e3)


def test_few_pixels():
    assert least_squares(np.empty(0, np.float32), np.empty(0, np.float32)) == (0, 0)
    one = least_squares(np.float32([2]), np.float32([10]))
    np.testing.assert_allclose(one, lstsq(np.float32([2]), np.float32([10])), rtol=1e-12)
    assert one == pytest.approx((4, 2))
    assert least_squares(np.float32([1, 3]), np.float32([5, 9])) == pytest.approx((2, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_not_swallowed(value):
    x, y = np.float32([1, value, 3, 4]), np.float32([1, 2, 3, 4])
    assert np.isnan(least_squares(x, y)).all()
    assert np.isnan(least_squares(y, x)).all()
    assert np.isnan(weighted_l1(x, y, np.ones(4))).all()


def l1_loss(scale, shift, x, y, w):
    return np.sum(w * np.abs(scale * x + shift - y))


def best_of_all_pairs(x, y, w):
    """A minimum of the convex piecewise linear loss lies on a line through two pixels."""
    pairs = [(i, j) for i, j in itertools.combinations(range(x.size), 2) if x[i] != x[j]]
    slopes = [((y[j] - y[i]) / (x[j] - x[i]), i) for i, j in pairs]
    return min(l1_loss(s, y[i] - s * x[i], x, y, w) for s, i in slopes)


@given(
    points=st.lists(st.tuples(st.integers(-4, 4), st.integers(1, 9), st.integers(1, 3)), min_size=2, max_size=14),
    noise=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=300, deadline=None)
def test_weighted_l1_is_optimal_also_with_ties(points, noise, seed):
    x, y, w = np.array(points, float).T
    x = x + noise * np.random.default_rng(seed).standard_normal(x.size)
    if np.unique(x).size < 2:
        return
    fit = weighted_l1(x, y, w)
    assert l1_loss(*fit, x, y, w) <= best_of_all_pairs(x, y, w) * (1 + 1e-9) + 1e-9


def test_weighted_l1_ignores_outliers_and_recovers_a_planted_line():
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 1, 3000)
    y = 2.5 * x + 1.5
    y[::4] += rng.uniform(5, 50, y[::4].size)
    assert weighted_l1(x, y, 1 / y) == pytest.approx((2.5, 1.5), rel=1e-9)


def test_weighted_l1_without_a_line():
    assert weighted_l1(np.empty(0), np.empty(0), np.empty(0)) == (0, 0)
    assert weighted_l1(np.full(5, 2.0), np.array([1, 2, 3, 4, 100.0]), np.ones(5)) == (0, 3)
    assert weighted_l1(np.full(3, 2.0), np.array([1, 2, 3.0]), np.array([9.0, 1, 1])) == (0, 1)
