"""Five data sets in memory with the results of upstream's evaluator on them, for the tests of several modules."""

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from dad.data.benchmarks.base import Sample
from dad.evaluation import DATASETS

GOLDENS = Path(__file__).parents[1] / "goldens" / "evaluation"

FIXTURES = {
    "ds_nyu": "nyuv2",
    "ds_kitti_eigen": "kitti",
    "ds_kitti_None": "kitti",
    "ds_scannet": "scannet",
    "ds_diode": "diode",
    "ds_eth3d": "eth3d",
}

MODES = {"depth": "least_square", "disparity": "least_square_disparity"}


@dataclass
class Fixture:
    """A benchmark in memory, the predictions of both kinds, and upstream's results."""

    name: str
    meta: dict
    samples: list
    predictions: dict
    align_max_res: int | None
    min_depth: float = field(init=False)
    max_depth: float = field(init=False)

    def __post_init__(self):
        self.min_depth, self.max_depth = DATASETS[self.name].min_depth, DATASETS[self.name].max_depth

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]

    def expected(self, kind):
        return self.meta["results"][f"marigold/{MODES[kind]}/max_res={self.align_max_res}"]


def bottom_centre(depth):
    """KITTI's benchmark crop: 352 rows from the bottom, 1216 columns from the centre."""
    top, left = depth.shape[0] - 352, int((depth.shape[1] - 1216) / 2)
    return depth[top:, left : left + 1216]


def kron(grid, size):
    return np.repeat(np.repeat(grid, size, 0), size, 1)


def ramp(h, w, m=32, a=7, c=13):
    return (a * np.arange(h)[:, None] + c * np.arange(w)[None, :]) % m


def quantised(values, step):
    return (np.round(values / step) * step).astype(np.float32)


def eth3d_maps(data):
    """The recipe in the fixture's note: 4032x6048 maps from two 56x84 grids."""
    grid, noise, (h, w) = data["grid"], data["noise"], (4032, 6048)
    mask = np.unpackbits(data["out_mask0_packed"], count=h * w).reshape(h, w).astype(bool)
    depth = np.where(mask, (kron(grid, 72) + ramp(h, w)) / 16, 0).astype(np.float32)
    depths = quantised(kron(grid / 640 + 0.05 * noise, 72) + ramp(h, w, 64, 3, 11) / 2048, 1 / 4096)
    disparities = quantised(kron(192 / grid + 0.8 * noise + 2, 72) + ramp(h, w, 64, 3, 11) / 256, 1 / 512)
    return depth, mask, depths, disparities


@functools.cache
def fixture_of(name):
    data = dict(np.load(GOLDENS / f"{name}.npz", allow_pickle=False))
    meta = json.loads(str(data["meta"]))
    inputs = dict(np.load(GOLDENS / "ds_kitti_eigen.npz")) if name == "ds_kitti_None" else data
    lines = [line.split() for line in meta["filename_list"].split("\n")]
    rgbs = [line[0] for line in lines if "None" not in line]
    samples, predictions = [], {"depth": [], "disparity": []}
    for index, rgb in enumerate(rgbs):
        if name == "ds_eth3d":
            depth, mask, as_depth, as_disparity = eth3d_maps(data)
        else:
            as_depth, as_disparity = inputs[f"pred_depth{index}"], inputs[f"pred_disp{index}"]
            if name == "ds_diode":
                depth = inputs[f"depth_npy{index}"]
            elif name.startswith("ds_kitti"):
                depth = bottom_centre(inputs[f"depth_png{index}"]).astype(np.float32) / 256
            else:
                depth = inputs[f"depth_png{index}"].astype(np.float32) / 1000
            shape = tuple(data[f"out_mask{index}_shape"])
            mask = np.unpackbits(data[f"out_mask{index}_packed"], count=shape[0] * shape[1]).reshape(shape).astype(bool)
        assert mask.sum() == data[f"out_mask{index}_n"]
        samples.append(Sample(rgb, rgb.split("/")[0], np.zeros((*depth.shape, 3), np.uint8), depth, mask))
        predictions["depth"].append(as_depth)
        predictions["disparity"].append(as_disparity)
    benchmark = Fixture(FIXTURES[name], meta, samples, predictions, DATASETS[FIXTURES[name]].align_max_res)
    np.testing.assert_array_equal(data["out_limits"], (benchmark.min_depth, benchmark.max_depth))
    return benchmark


@pytest.fixture(scope="session")
def fixture():
    """A function: the data set behind a golden file's name, read once."""
    return fixture_of
