import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dad.data.benchmarks import BENCHMARKS
from dad.errors import UserError
from dad.evaluation import DATASETS, DatasetRules, load_protocol, score
from dad.evaluation.datasets import dataset_rules
from dad.evaluation.metrics import METRICS

KEYS = [*METRICS, "scale", "shift", "n"]


def scene(seed=0, shape=(20, 30), far=9.0):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, far, shape).astype(np.float32)
    return depth, rng.random(shape) < 0.7


def noisy(depth, seed=1, spread=0.2):
    return (depth * np.random.default_rng(seed).lognormal(0, spread, depth.shape)).astype(np.float32)


def test_keys_and_types_are_the_documented_ones():
    depth, mask = scene()
    found = score(noisy(depth), depth, mask, kind="depth")
    assert list(found) == KEYS
    assert all(type(value) is float for value in found.values())
    assert found["n"] == mask.sum()


@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 100), shift=st.floats(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_planted_scale_and_shift_is_recovered(seed, scale, shift):
    depth, mask = scene(seed)
    for kind, target in (("depth", depth), ("disparity", 1 / depth)):
        prediction = target.astype(np.float64) * scale + shift * scale
        found = score(prediction, depth, mask, kind=kind)
        assert found["scale"] == pytest.approx(1 / scale, rel=1e-3)
        assert found["shift"] == pytest.approx(-shift, rel=1e-3, abs=1e-3)
        assert found["abs_rel"] < 1e-4
        assert found["delta1"] == 1


@given(scale=st.floats(0.01, 100), shift=st.floats(-10, 10), sign=st.sampled_from([-1, 1]))
@settings(max_examples=40, deadline=None)
def test_depth_metrics_do_not_depend_on_the_predictions_scale_and_shift(scale, shift, sign):
    depth, mask = scene()
    prediction = noisy(depth)
    moved = prediction.astype(np.float64) * scale * sign + shift
    plain = score(prediction, depth, mask, kind="depth", dataset="nyuv2")
    other = score(moved, depth, mask, kind="depth", dataset="nyuv2")
    for key in METRICS:
        assert other[key] == pytest.approx(plain[key], rel=2e-3, abs=1e-6), key


def test_pixels_outside_the_mask_have_no_influence():
    depth, mask = scene()
    prediction = noisy(1 / depth)
    spoiled, holed = prediction.copy(), depth.copy()
    spoiled[~mask], holed[~mask] = np.nan, 0
    for protocol in ("marigold", "moge", "midas", "disparity", "native"):
        expected = score(prediction, depth, mask, kind="disparity", protocol=protocol)
        assert score(spoiled, holed, mask, kind="disparity", protocol=protocol) == expected


def test_inputs_are_not_changed():
    depth, mask = scene()
    maps = (noisy(1 / depth), depth, mask)
    copies = [values.copy() for values in maps]
    for protocol in ("marigold", "moge"):
        score(*maps, kind="disparity", protocol=protocol, dataset="diode")
    for values, copy in zip(maps, copies, strict=True):
        np.testing.assert_array_equal(values, copy)


def lstsq(x, y):
    return np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1), y, rcond=None)[0]


def outdoor():
    """Far depths and a poor prediction: many aligned disparities are near zero or negative."""
    depth, mask = scene(5, (40, 50), far=300.0)
    disparity = 1 / depth + np.random.default_rng(6).normal(0, 0.02, depth.shape)
    return disparity.astype(np.float32), depth, mask


def basic(p, g):
    with np.errstate(divide="ignore"):
        ratio = np.maximum(p / g, g / p)
    return {
        "abs_rel": np.mean(np.abs(p - g) / g),
        "delta1": np.mean(ratio < 1.25),
        "rmse": np.sqrt(np.mean((p - g) ** 2)),
    }


@pytest.mark.parametrize("protocol", ["marigold", "moge", "midas", "disparity", "native"])
def test_every_protocol_for_disparity_against_plain_numpy(protocol):
    prediction, depth, mask = outdoor()
    p, g = prediction[mask].astype(np.float64), depth[mask].astype(np.float64)
    fit = p > 0 if protocol == "marigold" else np.ones(p.size, bool)
    scale, shift = lstsq(p[fit], 1 / g[fit])
    aligned = scale * p + shift
    assert (aligned < 0).any()
    expected = {
        "marigold": lambda: basic(np.clip(1 / np.maximum(aligned, 1e-3), 0.6, 350), g),
        "moge": lambda: basic(1 / np.maximum(aligned, 1 / g.max()), g),
        "midas": lambda: basic(1 / np.maximum(aligned, 1 / 80), g),
        "disparity": lambda: basic(np.maximum(aligned, 1e-6), 1 / g),
        "native": lambda: basic(1 / (aligned + 1e-6), g),
    }[protocol]()
    # MoGe filters the boundaries of DIODE, which has nothing to do with the alignment under test
    rules = load_protocol("moge", {"edge_filter": None}) if protocol == "moge" else protocol
    found = score(prediction, depth, mask, kind="disparity", protocol=rules, dataset="diode")
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=2e-3 if protocol == "native" else 1e-4), key
    assert found["scale"] == pytest.approx(scale, rel=1e-5)


def test_native_depth_is_least_squares_without_a_clip():
    depth, mask = scene()
    prediction = noisy(depth, spread=0.8)
    p, g = prediction[mask].astype(np.float64), depth[mask].astype(np.float64)
    scale, shift = lstsq(p, g)
    for key, value in basic(scale * p + shift, g).items():
        assert score(prediction, depth, mask, kind="depth", protocol="native", dataset="nyuv2")[key] == pytest.approx(
            value, rel=1e-4
        )


def test_the_midas_cap_follows_the_data_set():
    prediction, depth, mask = outdoor()
    p, g = prediction[mask].astype(np.float64), depth[mask].astype(np.float64)
    scale, shift = lstsq(p, 1 / g)
    expected = basic(1 / np.maximum(scale * p + shift, 1 / 10), g)
    found = score(prediction, depth, mask, kind="disparity", protocol="midas", dataset="nyuv2")
    assert found["abs_rel"] == pytest.approx(expected["abs_rel"], rel=1e-4)


def test_the_grid_variant_thins_both_axes():
    depth, mask = scene(2, (48, 100))
    prediction = noisy(depth)
    rows, columns = np.floor(np.arange(int(48 * 0.32)) / 0.32).astype(int), np.floor(np.arange(32) / 0.32).astype(int)
    limits = DatasetRules("", 1e-3, math.inf, align_max_res=32)
    for rules, picked in (("marigold", np.arange(48)), (load_protocol("marigold", {"decimation": "grid"}), rows)):
        kept = np.zeros_like(mask)
        kept[np.ix_(picked, columns)] = True
        kept &= mask
        found = score(prediction, depth, mask, kind="depth", protocol=rules, dataset=limits)
        assert (found["scale"], found["shift"]) == pytest.approx(tuple(lstsq(prediction[kept], depth[kept])), rel=1e-4)
        assert found["n"] == mask.sum()


def test_all_predictions_non_positive_become_the_far_limit():
    depth, mask = scene()
    found = score(np.full(depth.shape, -1, np.float32), depth, mask, kind="disparity", dataset="nyuv2")
    assert (found["scale"], found["shift"]) == (0, 0)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((10 - depth[mask]) ** 2)), rel=1e-5)


def test_nan_inside_the_mask_of_a_disparity_is_scored_as_the_nearest_depth_in_strict_mode():
    depth, mask = scene()
    prediction = (1 / depth).astype(np.float32)
    row, column = np.argwhere(mask)[0]
    prediction[row, column] = np.nan
    found = score(prediction, depth, mask, kind="disparity", dataset="diode", strict=True)
    truth = depth[row, column]
    assert found["abs_rel"] * mask.sum() == pytest.approx((truth - 0.6) / truth, rel=1e-3)
    assert found["scale"] == pytest.approx(1, rel=1e-4)
    moge = score(prediction, depth, mask, kind="disparity", protocol="moge", strict=True)
    assert math.isnan(moge["abs_rel"])
    with pytest.raises(np.linalg.LinAlgError, match="upstream evaluator stops"):
        score(prediction, depth, mask, kind="disparity", protocol="native", strict=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value):
    depth, mask = scene()
    row, column = np.argwhere(mask)[0]
    broken = depth.copy()
    broken[row, column] = value
    with pytest.raises(UserError, match=rf"^image a\.png: 1 of {mask.sum()} valid pixels of the prediction"):
        score(broken, depth, mask, kind="depth", image="a.png")
    with pytest.raises(UserError, match="of the ground truth are NaN or infinite"):
        score(depth, broken, mask, kind="depth")


@pytest.mark.parametrize("value", [0, -1.5])
def test_truth_that_is_no_distance_is_refused(value):
    depth, mask = scene()
    row, column = np.argwhere(mask)[0]
    truth = depth.copy()
    truth[row, column] = value
    message = (
        rf"^image a\.png: 1 of {mask.sum()} valid pixels of the ground truth are not positive: take them out of the "
        rf"mask$"
    )
    for protocol in ("marigold", "native"):
        with pytest.raises(UserError, match=message):
            score(depth, truth, mask, kind="depth", protocol=protocol, image="a.png")
    assert score(depth, truth, mask, kind="depth", protocol="native", strict=True)["n"] == mask.sum()
    mask[row, column] = False
    assert score(depth, truth, mask, kind="depth")["abs_rel"] == pytest.approx(0, abs=1e-6)


def test_huge_but_finite_predictions_are_not_taken_for_infinite():
    depth, mask = scene()
    found = score(depth * np.float32(1e37), depth, mask, kind="depth")
    assert found["scale"] == pytest.approx(1e-37, rel=1e-4)
    assert found["delta1"] == 1


def test_an_image_without_valid_pixels_has_no_metrics():
    depth, _ = scene()
    for protocol in ("marigold", "moge", "native"):
        found = score(depth, depth, np.zeros(depth.shape, bool), kind="depth", protocol=protocol, dataset="diode")
        assert all(math.isnan(found[key]) for key in METRICS)
        assert (found["scale"], found["shift"], found["n"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction": np.ones((3, 4), np.float32)}, r"prediction is \(3, 4\), the ground truth \(20, 30\)"),
        ({"prediction": np.ones((1, 20, 30), np.float32)}, r"prediction is \(1, 20, 30\)"),
        ({"prediction": np.full((20, 30), "a")}, "not a real number type"),
        ({"mask": np.ones((20, 30))}, "the mask is float64, not bool"),
        ({"mask": np.ones((20, 31), bool)}, r"mask \(20, 31\) must be"),
        ({"kind": "depths"}, "protocol marigold@1 scores depth, disparity predictions, not 'depths'"),
        ({"protocol": "midas"}, "protocol midas@1 scores disparity predictions, not 'depth'"),
        (
            {"protocol": "marigolds"},
            "unknown protocol 'marigolds'; known are marigold, disparity, log-lsq, median, median-pooled, midas, moge, "
            "native",
        ),
        ({"dataset": "nyu"}, "unknown data set 'nyu'; known are nyuv2, kitti"),
        ({"dataset": {"min_depth": 5, "max_depth": 1}}, "is empty"),
        ({"dataset": {"min_depth": 5}}, "not a description of a data set"),
        ({"dataset": {"min_depth": 0, "max_depth": 1, "align_max_res": 0}}, "a positive number is needed"),
        ({"dataset": 3}, "not a description of a data set"),
    ],
)
def test_mistakes_are_named(change, message):
    depth, mask = scene()
    arguments = {"prediction": depth, "depth": depth, "mask": mask, "kind": "depth", **change}
    with pytest.raises(UserError, match=message):
        score(arguments.pop("prediction"), arguments.pop("depth"), arguments.pop("mask"), **arguments)


def test_data_sets_of_the_readers_and_of_the_scorer_agree():
    for name, reader in BENCHMARKS.items():
        rules = DATASETS[name]
        stated = (reader.min_depth, reader.max_depth, reader.align_max_res)
        assert (rules.min_depth, rules.max_depth, rules.align_max_res) == stated, name
    assert dataset_rules(None).max_depth == math.inf


def test_scoring_imports_no_torch():
    code = (
        "import sys, dad.evaluation, dad.evaluation.evaluate; sys.exit('torch' in sys.modules or 'pandas' in "
        "sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
