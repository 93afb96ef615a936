import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dad.evaluation import load_protocol, score, score_detail, score_local_global
from dad.evaluation.detail import DepthEdges


def boundary_f1_by_definition(prediction, depth, mask):
    """Every valid pixel against each of its four valid neighbours, one at a time."""
    scores, weights = [], np.linspace(0.05, 0.25, 10)
    height, width = depth.shape
    for weight in weights:
        hits = predicted = true = 0
        for i in range(height):
            for j in range(width):
                for k, m in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                    if not (0 <= k < height and 0 <= m < width and mask[i, j] and mask[k, m]):
                        continue
                    positive = prediction[i, j] > 0 and prediction[k, m] > 0
                    p = positive and prediction[k, m] / prediction[i, j] > 1 + weight
                    g = depth[k, m] / depth[i, j] > 1 + weight
                    predicted, true, hits = predicted + p, true + g, hits + (p and g)
        precision, recall = hits / max(predicted, 1), hits / max(true, 1)
        scores.append(2 * precision * recall / max(precision + recall, 1e-12))
    return np.sum(weights * scores) / np.sum(weights)


@pytest.mark.parametrize("seed", range(4))
def test_boundary_f1_is_its_definition(seed):
    rng = np.random.default_rng(seed)
    depth = np.exp(0.12 * rng.standard_normal((9, 11))).astype(np.float32)
    prediction = (depth * np.exp(0.05 * rng.standard_normal(depth.shape))).astype(np.float32)
    prediction[0, 3], prediction[4, 4] = -1, 0
    mask = rng.random(depth.shape) < 0.85
    expected = boundary_f1_by_definition(prediction, depth, mask)
    assert 0.2 < expected < 0.95
    assert DepthEdges(depth, mask).boundary_f1(prediction) == pytest.approx(expected, rel=1e-12)


def moge_f1(prediction, depth, mask):
    """microsoft/MoGe `moge/test/metrics.py` `boundary_f1`, radius 1, written again: windows around the inner pixels."""
    inner = (slice(1, -1), slice(1, -1))
    counts = np.zeros((10, 3))
    for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        p, g, m = (np.roll(values, shift, (0, 1))[inner] for values in (prediction, depth, mask))
        valid = m & mask[inner]
        for level, t in enumerate(np.linspace(0.05, 0.25, 10)):
            made, true = p / prediction[inner] > 1 + t, g / depth[inner] > 1 + t
            counts[level] += [(made & true & valid).sum(), (made & valid).sum(), (true & valid).sum()]
    hits, made, true = np.maximum(counts.T, 1e-12)
    precision, recall, weights = hits / true, hits / made, np.linspace(0.05, 0.25, 10)
    return np.sum(weights * 2 * precision * recall / (precision + recall)) / weights.sum()


def depth_pro_f1(prediction, depth):
    """`SI_boundary_F1` of apple/ml-depth-pro, `src/depth_pro/eval/boundary_metrics.py`, written down again.

    Inverse depth, each direction for itself.
    """
    levels = np.linspace(1.05, 1.25, 10)
    total = 0
    for t in levels:
        precision, recall = [], []
        inverse = [1 / np.clip(values, 1e-6, None) for values in (prediction, depth)]
        for axis in (0, 1):
            firsts, seconds = ([np.delete(values, place, axis) for values in inverse] for place in (-1, 0))
            for here, there in ((firsts, seconds), (seconds, firsts)):
                made, true = (there[side] / here[side] > t for side in (0, 1))
                hits = np.count_nonzero(made & true)
                precision.append(hits / max(np.count_nonzero(made), 1))
                recall.append(hits / max(np.count_nonzero(true), 1))
        p, r = np.mean(precision), np.mean(recall)
        total += t * (2 * p * r / (p + r) if p + r else 0)
    return total / levels.sum()


@pytest.mark.parametrize("seed", range(4))
def test_boundary_f1_as_moge_and_depth_pro_count_it(seed):
    rng = np.random.default_rng(seed)
    depth = np.exp(0.12 * rng.standard_normal((19, 23))) * np.linspace(1, 30, 23)
    prediction = depth * np.exp(0.06 * rng.standard_normal(depth.shape))
    prediction[:, 5:9] *= 1.1  # directions of their own
    mask = rng.random(depth.shape) < 0.85
    found = DepthEdges(depth, mask).boundaries(prediction)
    assert found["boundary_f1_moge"] == pytest.approx(moge_f1(prediction, depth, mask), rel=1e-12)
    everywhere = np.ones(depth.shape, bool)
    found = DepthEdges(depth, everywhere).boundaries(prediction)
    assert found["boundary_f1_depth_pro"] == pytest.approx(depth_pro_f1(prediction, depth), rel=1e-12)
    assert found["boundary_f1_moge"] == pytest.approx(moge_f1(prediction, depth, everywhere), rel=1e-12)
    assert len({round(value, 6) for value in found.values()}) == 3
    prediction[3, 4], prediction[10, 11], prediction[18, 2] = -2, 0, 1e-9
    found = DepthEdges(depth, everywhere).boundaries(prediction)
    assert found["boundary_f1_depth_pro"] == pytest.approx(depth_pro_f1(prediction, depth), rel=1e-12)
    holes = depth.copy()
    holes[~mask] = np.nan  # no pair with a hole is larger than any level: our mask does as much
    found = DepthEdges(depth, mask).boundaries(prediction)
    assert found["boundary_f1_depth_pro"] == pytest.approx(
        depth_pro_f1(np.where(mask, prediction, np.nan), holes), rel=1e-12
    )


def test_the_three_counts_of_a_step_and_of_a_missed_one():
    depth, mask = step(6, 8), np.ones((6, 8), bool)
    # one direction of the four has edges, and the three others count as nothing found where nothing is: 2/8 of P and R
    assert DepthEdges(depth, mask).boundaries(depth) == {
        **{
            "boundary_f1": pytest.approx(1),
            "boundary_f1_depth_pro": pytest.approx(0.25),
            "boundary_f1_moge": pytest.approx(1),
        }
    }
    assert set(DepthEdges(depth, mask).boundaries(np.full_like(depth, 3)).values()) == {0.0}
    border = np.full((6, 8), 2, np.float32)
    border[:, 0] = 1  # the nearer side is the border, which MoGe leaves out
    assert math.isnan(DepthEdges(border, mask).boundaries(border)["boundary_f1_moge"])


def test_the_disparity_protocol_sees_the_same_edges():
    rng = np.random.default_rng(5)
    depth = np.exp(rng.integers(0, 3, (30, 40)) * 0.4).astype(np.float32)
    mask = rng.random(depth.shape) < 0.9
    disparity = (2 / depth * np.exp(0.05 * rng.standard_normal(depth.shape))).astype(np.float32)
    midas, plain = (score_detail(disparity, depth, mask, kind="disparity", protocol=p) for p in ("midas", "disparity"))
    assert 0.5 < midas["boundary_f1"] < 0.99
    assert plain["boundary_f1"] == pytest.approx(midas["boundary_f1"], rel=1e-3)
    assert plain["edge_n"] == midas["edge_n"]
    assert plain["edge_abs_rel"] == pytest.approx(midas["edge_abs_rel"], rel=0.1)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_boundary_f1_of_a_scaled_truth_is_one_in_depth_and_disparity(seed, scale):
    rng = np.random.default_rng(seed)
    depth = np.exp(rng.integers(0, 3, (8, 8)) * 0.4).astype(np.float32)
    depth[0, 0], depth[0, 1] = 1, 3
    mask = np.ones(depth.shape, bool)
    edges = DepthEdges(depth, mask)
    assert edges.boundary_f1(depth * np.float32(scale)) == pytest.approx(1)
    noisy = (depth * np.exp(0.1 * rng.standard_normal(depth.shape))).astype(np.float32)
    inverted = DepthEdges(1 / depth, mask)
    assert inverted.boundary_f1(1 / noisy) == pytest.approx(edges.boundary_f1(noisy), abs=0.03)


def step(height=40, width=60):
    """A wall at 2 m before a wall at 4 m; the step is between columns 29 and 30."""
    depth = np.full((height, width), 2, np.float32)
    depth[:, width // 2 :] = 4
    return depth


def test_the_edge_band_holds_the_errors_beside_a_step():
    depth, mask = step(), np.ones((40, 60), bool)
    mask[5] = False
    band = DepthEdges(depth, mask).band
    expected = np.zeros(depth.shape, bool)
    expected[:, 27:33] = True  # the pixels at the step, and two more on each side
    assert np.array_equal(band, expected & mask)
    wide = DepthEdges(np.tile(depth, (1, 40)), np.ones((40, 2400), bool)).band
    assert np.array_equal(np.flatnonzero(~wide[0, 17:77]), [26, 27, 28, 29, 56, 57, 58, 59])  # a step every 30 columns
    prediction = depth.copy()
    prediction[:, 28] = 4  # a step that is two pixels off
    prediction[:, 29] = 4
    found = score_detail(prediction, depth, mask, kind="depth", protocol=load_protocol("marigold"))
    fit = score(prediction, depth, mask, kind="depth")
    error = np.abs(prediction * fit["scale"] + fit["shift"] - depth) / depth
    assert found["edge_n"] == 6 * 39
    assert found["edge_abs_rel"] == pytest.approx(error[band].mean(), rel=1e-5)
    assert found["edge_abs_rel"] > 5 * fit["abs_rel"]
    # the misplaced edge is missed on all but one pair of rows and pairs along the step do not exist
    assert found["boundary_f1"] == 0
    perfect = score_detail(3 * depth + 1, depth, mask, kind="depth")
    assert (perfect["boundary_f1"], round(perfect["edge_abs_rel"], 6)) == (1, 0)


def test_without_edges_there_is_nothing_to_measure():
    flat = np.full((10, 10), 3, np.float32) + np.linspace(0, 0.1, 10, dtype=np.float32)
    found = score_detail(flat, flat, np.ones((10, 10), bool), kind="depth")
    assert math.isnan(found["boundary_f1"])
    assert math.isnan(found["edge_abs_rel"])
    assert found["edge_n"] == 0
    scattered = np.zeros((10, 10), bool)
    scattered[::2, ::2] = True  # sparse depth: no two valid pixels are neighbours
    assert math.isnan(score_detail(step(10, 10), step(10, 10), scattered, kind="depth")["boundary_f1"])


def test_detail_is_measured_where_moge_does_not_look():
    depth, mask = step(), np.ones((40, 60), bool)
    marigold, moge = (
        score_detail(1 / depth, depth, mask, kind="disparity", protocol=p, dataset="diode")
        for p in ("marigold", "moge")
    )
    assert marigold["edge_n"] == moge["edge_n"] == 6 * 40
    assert moge["boundary_f1"] == 1


def test_a_local_fit_undoes_an_error_that_is_affine_in_the_centre():
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 9, (41, 63)).astype(np.float32)
    prediction = (5 * depth + rng.normal(0, 5, depth.shape)).astype(np.float32)
    centre = (slice(10, 30), slice(15, 46))
    prediction[centre] = 0.5 * depth[centre] + 7
    mask = rng.random(depth.shape) < 0.9
    found = score_local_global(prediction, depth, mask, kind="depth")
    assert found["centre_local_abs_rel"] < 1e-5
    assert found["centre_local_delta1"] == 1
    fit = np.polyfit(prediction[mask].astype(float), depth[mask].astype(float), 1)
    inside = mask[centre]
    error = np.abs(np.clip(np.polyval(fit, prediction[centre]), 1e-6, None) - depth[centre]) / depth[centre]
    assert found["centre_global_abs_rel"] == pytest.approx(error[inside].mean(), rel=1e-4)
    assert found["centre_global_abs_rel"] > 0.05


@pytest.mark.parametrize("protocol", ["marigold", "moge", "midas", "disparity", "native"])
def test_the_local_fit_is_scores_own_on_the_centre(protocol):
    rng = np.random.default_rng(1)
    depth = rng.uniform(1, 60, (40, 56)).astype(np.float32)
    prediction = (1 / depth + rng.normal(0, 0.01, depth.shape)).astype(np.float32)
    mask = np.ones(depth.shape, bool)
    centre = (slice(10, 30), slice(14, 42))
    options = {"kind": "disparity", "protocol": protocol, "dataset": "kitti"}
    found = score_local_global(prediction, depth, mask, **options)
    alone = score(prediction[centre], depth[centre], mask[centre], **options)
    assert found["centre_local_abs_rel"] == alone["abs_rel"]
    assert found["centre_local_delta1"] == alone["delta1"]
    assert found["centre_global_abs_rel"] != alone["abs_rel"]


def test_an_empty_centre_is_nan():
    depth = np.full((8, 8), 2, np.float32)
    mask = np.zeros((8, 8), bool)
    mask[0] = True
    found = score_local_global(depth, depth, mask, kind="depth")
    assert all(math.isnan(value) for value in found.values())
