"""Upstream's evaluator command (prs-eth/Marigold `script/depth/eval.py`) on 5 fixtures, by `score` and `evaluate`."""

from pathlib import Path

import numpy as np
import pytest

from dad.evaluation import load_protocol, score
from dad.evaluation.evaluate import PredictionFolder, evaluate, summarise

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

FIXTURES = ["ds_nyu", "ds_kitti_eigen", "ds_kitti_None", "ds_scannet", "ds_diode", "ds_eth3d"]


def assert_close(found, expected):
    for key, upstream in zip(KEYS, UPSTREAM, strict=True):
        tolerance = 2e-4 if key == "silog" else 3e-5
        assert found[key] == pytest.approx(float(expected[upstream]), rel=tolerance), key


@pytest.mark.parametrize("kind", ["depth", "disparity"])
@pytest.mark.parametrize("name", FIXTURES)
def test_score_by_data_set_name(fixture, name, kind):
    benchmark = fixture(name)
    per_sample = benchmark.expected(kind)["per_sample"]
    assert len(per_sample) == len(benchmark)
    for sample, prediction, expected in zip(benchmark.samples, benchmark.predictions[kind], per_sample, strict=True):
        found = score(prediction, sample.depth, sample.mask, kind=kind, dataset=benchmark.name)
        assert_close(found, expected)


@pytest.mark.parametrize("kind", ["depth", "disparity"])
@pytest.mark.parametrize("name", [name for name in FIXTURES if name != "ds_eth3d"])
def test_evaluate_from_a_folder_gives_upstreams_means(fixture, name, kind, tmp_path):
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


def test_moge_takes_boundaries_out_of_diode_only(fixture):
    benchmark = fixture("ds_diode")
    sample, prediction = benchmark.samples[0], benchmark.predictions["disparity"][0]
    maps = (prediction, sample.depth, sample.mask)
    everywhere = score(*maps, kind="disparity", protocol="moge")
    filtered = score(*maps, kind="disparity", protocol="moge", dataset="diode")
    kept = score(*maps, kind="disparity", protocol=load_protocol("moge", {"edge_filter": None}), dataset="diode")
    assert filtered["n"] < everywhere["n"]
    assert kept == everywhere


def test_the_table_in_the_documentation(fixture):
    """Every number of the side-by-side in docs/protocols.md is what `score` gives."""
    text = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text()
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    columns = [("ds_nyu", (0, 1)), ("ds_kitti_eigen", (0, 1)), ("ds_diode", (0,)), ("ds_diode", (1,))]
    assert len(lines) == 8
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
