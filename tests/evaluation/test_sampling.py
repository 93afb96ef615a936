import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dad.evaluation.sampling import decimated, nearest_to_grid, occlusion_edges, without_outliers


@given(length=st.integers(2, 3000), limit=st.integers(1, 2999))
@settings(max_examples=200, deadline=None)
def test_decimation_picks_torchs_columns(length, limit):
    factor = limit / length
    if factor >= 1 or int(length * factor) == 0:
        return
    row = torch.arange(length, dtype=torch.float32)[None, None]
    expected = torch.nn.Upsample(scale_factor=factor, mode="nearest")(row)[0, 0].numpy()
    np.testing.assert_array_equal(decimated(length, factor), expected)


def nearest_by_loops(mask, size):
    height, width = mask.shape
    best = {}
    for i, j in zip(*np.nonzero(mask), strict=True):
        y, x = (i + 0.5) * size / height, (j + 0.5) * size / width
        cell = (int(np.ceil(y - 1e-6)) - 1, int(np.ceil(x - 1e-6)) - 1)
        distance = ((y - cell[0] - 0.5) * height / size) ** 2 + ((x - cell[1] - 0.5) * width / size) ** 2
        if cell not in best or distance < best[cell][0] - 1e-6:
            best[cell] = (distance, i * width + j)
    return [best[cell][1] for cell in sorted(best)]


@pytest.mark.parametrize("shape", [(13, 18), (5, 40), (3, 4), (16, 32), (8, 8), (1, 50)])
@pytest.mark.parametrize("keep", [0.05, 0.5, 1.0])
def test_nearest_to_grid_by_loops(shape, keep):
    mask = np.random.default_rng(1).random(shape) < keep
    assert nearest_to_grid(mask, 8).tolist() == nearest_by_loops(mask, 8)


def test_a_map_smaller_than_the_grid_is_taken_whole():
    mask = np.random.default_rng(2).random((24, 32)) < 0.8
    np.testing.assert_array_equal(nearest_to_grid(mask, 64), np.flatnonzero(mask))


def test_a_large_map_gives_at_most_one_pixel_per_cell():
    mask = np.random.default_rng(2).random((640, 480)) < 0.5
    picks = nearest_to_grid(mask, 64)
    assert picks.size == 64 * 64
    assert mask.ravel()[picks].all()
    assert nearest_to_grid(np.zeros((640, 480), bool), 64).size == 0


def test_edges_of_a_step_and_of_a_slope():
    depth = np.full((12, 20), 2.0, np.float32)
    depth[:, 10:] = 4.0
    valid = np.ones(depth.shape, bool)
    edges = occlusion_edges(depth, valid)
    assert edges[:, 9:11].all()
    assert not edges[:, :8].any()
    assert not edges[:, 12:].any()
    slope = np.tile(np.linspace(2, 2.5, 20, dtype=np.float32), (12, 1))
    assert not occlusion_edges(slope, valid).any()
    # the far side alone is no boundary: with the near side invalid there is nothing to compare with
    assert not occlusion_edges(depth, np.broadcast_to(np.arange(20) >= 10, depth.shape)).any()


def test_outliers_are_measured_in_the_quantile():
    depth = np.ones((10, 20), np.float32)
    depth[0, :3] = 500, 1000, 1500
    mask = np.ones(depth.shape, bool)
    mask[1] = False
    kept = without_outliers(depth, mask, quantile=0.01, factor=1000)
    assert kept.sum() == mask.sum() - 1
    assert not kept[0, 2]
    empty = np.zeros_like(mask)
    assert not without_outliers(depth, empty, quantile=0.01, factor=1000).any()
