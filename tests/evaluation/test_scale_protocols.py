"""`median`, `median-pooled` and `log-lsq` against the evaluators they stand for, written down again plainly from
reading them.

Sources: ultralytics 8.4.104 and 8.4.190 `ultralytics/utils/metrics.py` (DepthMetrics), plumbline-bench 0.2.1
`plumbline/metrics/alignment.py` and `plumbline/metrics/depth.py`.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dad.data.benchmarks.base import Sample
from dad.evaluation import load_protocol, score
from dad.evaluation.evaluate import evaluate, summarise
from dad.evaluation.predictions import PredictionFolder

FIXTURES = ["ds_nyu", "ds_kitti_eigen", "ds_kitti_None", "ds_scannet", "ds_diode"]
UPSTREAM = ["delta1", "delta2", "delta3", "abs_rel", "rmse", "silog"]
LOW = 1e-3


class Stored:
    """A benchmark in memory."""

    def __init__(self, samples, dataset):
        self.samples = samples
        self.name, self.min_depth, self.max_depth, self.align_max_res = dataset, 0.0, math.inf, None

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]

    def image(self, index):
        return self.samples[index].id


class AtHand(PredictionFolder):
    """Predictions in memory, by image."""

    def __init__(self, samples, predictions, kind):
        self.kind, self.name = kind, "stored"
        self.maps = {sample.id: prediction for sample, prediction in zip(samples, predictions, strict=True)}

    def predict(self, sample):
        return self.maps[sample.id]


def summary(protocol, samples, predictions, *, kind="depth", dataset="nyuv2", strict=False):
    """The data set's means by `evaluate` and `summarise`."""
    rules = load_protocol(protocol)
    rows = evaluate(Stored(samples, dataset), AtHand(samples, predictions, kind), [rules], strict=strict)
    (result,) = summarise(rows, [rules], strict=strict)
    return result["mean"]


def lower_median(values):
    return np.sort(values)[(values.size - 1) // 2]


def sums(p, g):
    """Per pixel: the three deltas, relative error, squared error, log difference."""
    ratio, e = np.maximum(p / g, g / p), np.log(p) - np.log(g)
    return [ratio < 1.25, ratio < 1.25**2, ratio < 1.25**3, np.abs(p - g) / g, (p - g) ** 2, e]


def released(predictions, truths, high):
    """8.4.104: sums over all pixels of all images."""
    parts = []
    for pred, gt in zip(predictions, truths, strict=True):
        mask = (gt > LOW) & (gt < high) & np.isfinite(pred)
        if not mask.any():
            continue
        p, g = pred[mask].astype(np.float64), gt[mask].astype(np.float64)
        scale = lower_median(g) / lower_median(np.maximum(p, LOW))
        parts.append(sums(np.clip(p * scale, LOW, high), g))
    d1, d2, d3, rel, squares, e = (np.concatenate(part).astype(np.float64) for part in zip(*parts, strict=True))
    silog = 100 * math.sqrt(max(np.mean(e**2) - np.mean(e) ** 2, 0))
    return dict(
        zip(UPSTREAM, [d1.mean(), d2.mean(), d3.mean(), rel.mean(), math.sqrt(squares.mean()), silog], strict=True)
    )


def current(predictions, truths, high):
    """8.4.190: finished per image, then the mean over images; NaN is as far as can be, infinities the range's ends."""
    images = []
    for pred, gt in zip(predictions, truths, strict=True):
        mask = (gt > LOW) & (gt < high)
        if mask.sum() < 10:
            continue
        p, g = pred[mask].astype(np.float64), gt[mask].astype(np.float64)
        finite = np.isfinite(p)
        p = p * lower_median(g[finite]) / lower_median(np.maximum(p[finite], LOW))
        p = np.clip(np.nan_to_num(p, nan=high, posinf=high, neginf=LOW), LOW, high)
        d1, d2, d3, rel, squares, e = sums(p, g)
        silog = 100 * math.sqrt(max(np.mean(e**2) - np.mean(e) ** 2, 0))
        images.append([d1.mean(), d2.mean(), d3.mean(), rel.mean(), math.sqrt(squares.mean()), silog])
    return dict(zip(UPSTREAM, np.mean(images, 0), strict=True))


HIGH = {"nyuv2": 100.0, "kitti": 80.0, "scannet": 100.0, "diode": 80.0}


def truth_of(sample):
    return np.where(sample.mask, sample.depth, 0).astype(np.float32)


@pytest.mark.parametrize(("protocol", "upstream"), [("median", current), ("median-pooled", released)])
@pytest.mark.parametrize("name", FIXTURES)
def test_ultralytics_validators_on_the_fixtures(fixture, name, protocol, upstream):
    benchmark = fixture(name)
    expected = upstream(benchmark.predictions["depth"], map(truth_of, benchmark.samples), HIGH[benchmark.name])
    found = summary(protocol, benchmark.samples, benchmark.predictions["depth"], dataset=benchmark.name)
    for key in UPSTREAM:
        assert found[key] == pytest.approx(expected[key], rel=3e-4 if key == "silog" else 3e-5), key


def unequal_images(seed=0):
    """Three images with 12, 300 and 4000 valid pixels and errors of their own, one of them with truth out of range."""
    rng = np.random.default_rng(seed)
    samples, predictions = [], []
    for index, count in enumerate((12, 300, 4000)):
        depth = rng.uniform(1, 60, (70, 80)).astype(np.float32)
        depth[0, :5] = 300
        mask = np.zeros(depth.shape, bool)
        mask.ravel()[rng.choice(depth.size, count, replace=False)] = True
        samples.append(Sample(f"{index}.png", "", np.zeros((70, 80, 3), np.uint8), depth, mask))
        predictions.append(
            (depth * np.exp((0.1 + 0.2 * index) * rng.standard_normal(depth.shape)) - 0.5).astype(np.float32)
        )
    return samples, predictions


def test_pixels_weigh_alike_where_the_protocol_says_so():
    samples, predictions = unequal_images()
    truths = [truth_of(sample) for sample in samples]
    pooled, per_image = released(predictions, truths, 100.0), current(predictions, truths, 100.0)
    assert pooled["abs_rel"] > 1.2 * per_image["abs_rel"]  # the worst image has the most pixels
    for protocol, expected in (("median-pooled", pooled), ("median", per_image)):
        found = summary(protocol, samples, predictions)
        for key in UPSTREAM:
            assert found[key] == pytest.approx(expected[key], rel=1e-4), (protocol, key)


def test_strict_does_with_nan_and_few_pixels_what_each_version_did():
    samples, predictions = unequal_images(1)
    few = np.zeros_like(samples[0].mask)
    few[20, :9] = True
    samples.append(Sample("few.png", "", samples[0].rgb, samples[0].depth, few))
    predictions.append(predictions[0] * 3)
    places = np.flatnonzero(samples[2].mask)
    for start, value in enumerate((np.nan, np.inf, -np.inf)):
        predictions[2].ravel()[places[start:300:3]] = value
    truths = [truth_of(sample) for sample in samples]
    for protocol, upstream in (("median-pooled", released), ("median", current)):
        found, expected = summary(protocol, samples, predictions, strict=True), upstream(predictions, truths, 100.0)
        for key in UPSTREAM:
            assert found[key] == pytest.approx(expected[key], rel=1e-4), (protocol, key)


def test_the_lineage_of_plumbline_is_the_same_where_the_number_of_pixels_is_odd():
    rng = np.random.default_rng(2)
    depth = rng.uniform(1, 9, (15, 17)).astype(np.float32)
    prediction = (depth * np.exp(0.3 * rng.standard_normal(depth.shape))).astype(np.float32)
    scale = np.median(depth) / np.median(prediction)
    aligned = prediction.astype(np.float64) * scale
    found = score(prediction, depth, np.ones(depth.shape, bool), kind="depth", protocol="median")
    assert (found["scale"], found["shift"]) == (pytest.approx(scale, rel=1e-6), 0)
    assert found["abs_rel"] == pytest.approx(np.mean(np.abs(aligned - depth) / depth), rel=1e-5)
    assert found["delta1"] == np.mean(np.maximum(aligned / depth, depth / aligned) < 1.25)


def log_lsq(pred, gt, high):
    """plumbline's fit in the space "log", then the range."""
    mask = (gt > LOW) & (gt < high)
    fitted = mask & (pred > 0)
    system = np.stack([np.log(pred[fitted].astype(np.float64)), np.ones(fitted.sum())], 1)
    scale, shift = np.linalg.lstsq(system, np.log(gt[fitted].astype(np.float64)), rcond=None)[0]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        aligned = np.exp(scale * np.log(np.maximum(pred[mask].astype(np.float64), 1e-37)) + shift)
    return scale, shift, sums(np.clip(aligned, LOW, high), gt[mask].astype(np.float64))


@pytest.mark.parametrize("kind", ["depth", "disparity"])
@pytest.mark.parametrize("name", FIXTURES)
def test_least_squares_in_log_depth(fixture, name, kind):
    benchmark = fixture(name)
    for sample, prediction in zip(benchmark.samples, benchmark.predictions[kind], strict=True):
        scale, shift, (_, _, _, rel, squares, e) = log_lsq(prediction, truth_of(sample), HIGH[benchmark.name])
        found = score(prediction, sample.depth, sample.mask, kind=kind, protocol="log-lsq", dataset=benchmark.name)
        closer, farther = (np.abs(e) < math.log(1.25) + sign * 1e-5 for sign in (-1, 1))
        assert (found["scale"] < 0) == (kind == "disparity")
        assert (found["scale"], found["shift"]) == (pytest.approx(scale, rel=1e-6), pytest.approx(shift, rel=1e-5))
        assert found["abs_rel"] == pytest.approx(rel.mean(), rel=3e-5)
        # whole blocks of the fixtures share a value, and one can lie at the threshold
        assert closer.mean() <= found["delta1"] <= farther.mean()
        assert farther.mean() - closer.mean() < 2e-3
        assert found["rmse"] == pytest.approx(math.sqrt(squares.mean()), rel=3e-5)
        assert found["silog"] == pytest.approx(100 * e.std(), rel=2e-4)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 20), st.floats(0.3, 3))
@settings(max_examples=20, deadline=None)
def test_each_fit_undoes_what_it_is_made_to_undo(seed, factor, power):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, 9, (12, 13)).astype(np.float32)
    mask = np.ones(depth.shape, bool)
    scaled = (factor * depth).astype(np.float32)
    bent = (factor * depth**power).astype(np.float32)
    for prediction, kind, protocol in (
        (scaled, "depth", "median"),
        (1 / scaled, "disparity", "median"),
        (bent, "depth", "log-lsq"),
        (1 / bent, "disparity", "log-lsq"),
    ):
        found = score(prediction, depth, mask, kind=kind, protocol=protocol)
        assert found["abs_rel"] < 1e-5, (kind, protocol)
        assert found["delta1"] == 1


def test_a_scale_alone_is_unkind_to_maps_with_a_shift():
    depth = np.linspace(1, 9, 400).reshape(20, 20).astype(np.float32)
    shifted = 1 / depth + np.float32(0.3)
    mask = np.ones(depth.shape, bool)
    assert score(shifted, depth, mask, kind="disparity")["abs_rel"] < 1e-4
    assert score(shifted, depth, mask, kind="disparity", protocol="median")["abs_rel"] > 0.2


def test_truth_out_of_range_is_left_out_and_predictions_are_clipped():
    depth = np.linspace(1, 9, 400).reshape(20, 20).astype(np.float32)
    depth[0, 0], depth[0, 1], depth[0, 2] = 100, 250, 5e-4
    prediction = np.where(depth > 90, 1, depth).astype(np.float32)
    prediction[15, 5], prediction[6, 6] = 1e6, 0  # on both sides of the median, which stays
    found = score(prediction, depth, np.ones(depth.shape, bool), kind="depth", protocol="median")
    assert found["n"] == 397
    errors = np.array([(100 - depth[15, 5]) / depth[15, 5], (depth[6, 6] - 1e-3) / depth[6, 6]])
    assert found["abs_rel"] == pytest.approx(errors.sum() / 397, rel=1e-4)
    kitti = load_protocol("median", {"caps": {"kitti": 8.0}})
    assert (
        score(prediction, depth, np.ones(depth.shape, bool), kind="depth", protocol=kitti, dataset="kitti")["n"] < 360
    )


def test_a_disparity_that_falls_with_depth_is_not_called_turned():
    depth = np.linspace(1, 9, 400).reshape(20, 20).astype(np.float32)
    sample = Sample("a.png", "", np.zeros((20, 20, 3), np.uint8), depth, np.ones(depth.shape, bool))
    for maps, kind, turned in (
        (1 / depth, "disparity", ""),
        (depth, "disparity", "positive"),
        (1 / depth, "depth", "negative"),
    ):
        (row,) = evaluate(Stored([sample], "nyuv2"), AtHand([sample], [maps], kind), ["log-lsq"])
        assert row["message"].startswith(
            f"the fit turns the prediction around (its scale is {turned})" if turned else ""
        )
        assert bool(row["message"]) == bool(turned)
