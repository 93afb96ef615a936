import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dad.evaluation.metrics import BLOCK, METRICS, measure


def by_definition(p, g):
    p, g = p.astype(np.float64), g.astype(np.float64)
    e = np.log(p) - np.log(g)
    ratio = np.maximum(p / g, g / p)
    return {
        "abs_rel": np.mean(np.abs(p - g) / g),
        "sq_rel": np.mean((p - g) ** 2 / g),
        "rmse": np.sqrt(np.mean((p - g) ** 2)),
        "rmse_log": np.sqrt(np.mean(e**2)),
        "log10": np.mean(np.abs(np.log10(p) - np.log10(g))),
        "delta1": np.mean(ratio < 1.25),
        "delta2": np.mean(ratio < 1.25**2),
        "delta3": np.mean(ratio < 1.25**3),
        "i_rmse": np.sqrt(np.mean((1 / p - 1 / g) ** 2)),
        "silog": 100 * np.std(e),
    }


@pytest.mark.parametrize("count", [1, 7, BLOCK, 2 * BLOCK + 3])
def test_against_the_definitions(count):
    rng = np.random.default_rng(count)
    g = rng.uniform(0.5, 80, count).astype(np.float32)
    p = (g * rng.lognormal(0.1, 0.4, count)).astype(np.float32)
    found = measure(p, g)
    assert tuple(found) == METRICS
    for key, value in by_definition(p, g).items():
        assert found[key] == pytest.approx(value, rel=1e-5, abs=1e-9), key


def test_transform_is_applied_and_inputs_are_left_alone():
    g = np.linspace(1, 9, 3 * BLOCK, dtype=np.float32)
    p = g / 2
    before = p.copy(), g.copy()
    assert measure(p, g, lambda block: block * np.float32(2))["abs_rel"] == 0
    np.testing.assert_array_equal(p, before[0])
    np.testing.assert_array_equal(g, before[1])


def test_thresholds_are_strict_in_both_directions():
    ratio = np.float32([1.25, 1.5625, 1.953125])
    for p, g in ((ratio * 4, np.full(3, 4, np.float32)), (np.full(3, 4, np.float32), ratio * 4)):
        found = measure(p, g)
        assert [found[f"delta{k}"] * 3 for k in (1, 2, 3)] == pytest.approx([0, 1, 2])


@given(values=st.lists(st.tuples(*[st.floats(2.0**-6, 1024, width=32)] * 2), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_deltas_grow_and_zero_error_means_equal(values):
    p, g = np.array(values, np.float32).T.copy()
    found = measure(p, g)
    assert 0 <= found["delta1"] <= found["delta2"] <= found["delta3"] <= 1
    assert (found["abs_rel"] == 0) == bool((p == g).all())
    assert all(value >= 0 for value in found.values())
    same = measure(g, g)
    assert {key for key, value in same.items() if value == 0} == set(METRICS) - {"delta1", "delta2", "delta3"}
    assert same["delta1"] == 1


def test_silog_ignores_a_factor():
    rng = np.random.default_rng(0)
    g = rng.uniform(1, 20, 500).astype(np.float32)
    p = (g * rng.lognormal(0, 0.2, 500)).astype(np.float32)
    assert measure(p * 7, g)["silog"] == pytest.approx(measure(p, g)["silog"], rel=1e-4)
    assert measure(g * 7, g)["silog"] == pytest.approx(0, abs=1e-2)


def test_zero_truth_gives_infinite_errors_and_no_pixel_gives_nan():
    found = measure(np.float32([1, 2]), np.float32([0, 2]))
    assert [found[key] for key in ("abs_rel", "sq_rel", "rmse_log", "log10", "i_rmse")] == [math.inf] * 5
    assert math.isnan(found["silog"])
    assert (found["delta1"], found["rmse"]) == (0.5, pytest.approx(math.sqrt(0.5)))
    empty = measure(np.empty(0, np.float32), np.empty(0, np.float32))
    assert all(math.isnan(value) for value in empty.values())


def test_abs_rel_offset_changes_only_abs_rel():
    p, g = np.float32([1.5, 3]), np.float32([1, 2])
    plain, offset = measure(p, g), measure(p, g, abs_rel_offset=1.0)
    assert offset["abs_rel"] == pytest.approx((0.5 / 2 + 1 / 3) / 2)
    assert {key for key in METRICS if plain[key] != offset[key]} == {"abs_rel"}
