"""Upstream's command-line evaluator on five fixtures (prs-eth/Marigold `script/depth/eval.py`), through `score` and `evaluate`."""

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from dad.data.benchmarks.base import Sample
from dad.evaluation import DATASETS, load_protocol, score
from dad.evaluation.evaluate import PredictionFolder, evaluate, summarise

GOLDENS = Path(__file__).parents[1] / "goldens" / "evaluation"

KEYS = ["abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "delta1", "delta2", "delta3", "i_rmse", "silog"]
UPSTREAM = [
    "abs_relative_difference",
    "squared_relative_difference",
    "rmse_linear",
    "rmse_log",
    "log10",
    "delta1_acc",
    "delta2_acc",
    "delta3_acc",
    "i_rmse",
    "silog_rmse",
]

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
def fixture(name):
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


def assert_close(found, expected):
    for key, upstream in zip(KEYS, UPSTREAM, strict=True):
        tolerance = 2e-4 if key == "silog" else 3e-5
        assert found[key] == pytest.approx(float(expected[upstream]), rel=tolerance), key


@pytest.mark.parametrize("kind", ["depth", "disparity"])
@pytest.mark.parametrize("name", FIXTURES)
def test_score_by_data_set_name(name, kind):
    benchmark = fixture(name)
    per_sample = benchmark.expected(kind)["per_sample"]
    assert len(per_sample) == len(benchmark)
    for sample, prediction, expected in zip(benchmark.samples, benchmark.predictions[kind], per_sample, strict=True):
        found = score(prediction, sample.depth, sample.mask, kind=kind, dataset=benchmark.name)
        assert_close(found, expected)


@pytest.mark.parametrize("kind", ["depth", "disparity"])
@pytest.mark.parametrize("name", [name for name in FIXTURES if name != "ds_eth3d"])
def test_evaluate_from_a_folder_gives_upstreams_means(name, kind, tmp_path):
    benchmark = fixture(name)
    for sample, prediction in zip(benchmark.samples, benchmark.predictions[kind], strict=True):
        path = (tmp_path / sample.id).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, prediction)
    protocol = load_protocol("marigold")
    rows = evaluate(benchmark, PredictionFolder(tmp_path, kind), [protocol])
    (result,) = summarise(rows, [protocol])
    assert_close(result["mean"], benchmark.expected(kind)["dataset_mean_as_printed"])
    assert (result["images"], result["empty"]) == (len(benchmark), 0)


def test_moge_takes_boundaries_out_of_diode_only():
    benchmark = fixture("ds_diode")
    sample, prediction = benchmark.samples[0], benchmark.predictions["disparity"][0]
    maps = (prediction, sample.depth, sample.mask)
    everywhere = score(*maps, kind="disparity", protocol="moge")
    filtered = score(*maps, kind="disparity", protocol="moge", dataset="diode")
    kept = score(*maps, kind="disparity", protocol=load_protocol("moge", {"edge_filter": None}), dataset="diode")
    assert filtered["n"] < everywhere["n"]
    assert kept == everywhere


def test_the_table_in_the_documentation():
    """Every number of the side-by-side in docs/protocols.md is what `score` gives."""
    text = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")]
    columns = [("ds_nyu", (0, 1)), ("ds_kitti_eigen", (0, 1)), ("ds_diode", (0,)), ("ds_diode", (1,))]
    assert len(lines) == 6
    for label, *cells in lines:
        kind = "depth" if "declared as depth" in label else "disparity"
        for (name, indices), cell in zip(columns, cells, strict=True):
            benchmark, found = fixture(name), []
            for index in indices:
                sample, prediction = benchmark.samples[index], benchmark.predictions["disparity"][index]
                options = {"kind": kind, "protocol": label.split("`")[1], "dataset": benchmark.name}
                found.append(score(prediction, sample.depth, sample.mask, **options))
            means = [np.mean([scores[metric] for scores in found]) for metric in ("abs_rel", "delta1")]
            assert " / ".join(f"{mean:.3f}" for mean in means) == cell, (label, name)
