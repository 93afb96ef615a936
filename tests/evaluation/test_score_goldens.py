"""Every upstream reference case by the public `score`. Sources: prs-eth/Marigold and microsoft/MoGe, see each meta."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from dad.errors import UserError
from dad.evaluation import load_protocol, score
from dad.evaluation.sampling import occlusion_edges

GOLDENS = Path(__file__).parents[1] / "goldens" / "evaluation"

KEYS = {
    "abs_relative_difference": "abs_rel",
    "squared_relative_difference": "sq_rel",
    "rmse_linear": "rmse",
    "rmse_log": "rmse_log",
    "log10": "log10",
    "delta1_acc": "delta1",
    "delta2_acc": "delta2",
    "delta3_acc": "delta3",
    "i_rmse": "i_rmse",
    "silog_rmse": "silog",
}

KINDS = {"least_square": "depth", "least_square_disparity": "disparity", None: "depth"}

NO_ALIGNMENT = """
name: unaligned
version: 1
description: the clips of marigold alone
fixed:
  alignments:
    depth: {domain: depth, solver: none, fit_pixels: mask}
  score_domain: depth
  clip: dataset
  minimum: 1e-6
  decimation: none
  resolution: truth
  average: image-mean
  strict: {nonfinite_fit: error, empty_images: poison}
"""


def read(name):
    with np.load(GOLDENS / name, allow_pickle=False) as data:
        return json.loads(str(data["meta"])), {key: data[key] for key in data.files if key != "meta"}


def assert_metrics(found, expected, *, skip=()):
    for upstream, key in KEYS.items():
        value = float(expected[upstream])
        if key in skip:
            continue
        tolerance = 2e-4 if key == "silog" else 3e-5
        assert found[key] == pytest.approx(value, rel=tolerance, abs=1e-9, nan_ok=True), key


def limits(meta):
    far = math.inf if meta["max_depth"] is None else meta["max_depth"]
    return {"min_depth": meta["min_depth"], "max_depth": far, "align_max_res": meta["max_resolution"]}


@pytest.fixture(scope="module")
def unaligned(tmp_path_factory):
    path = tmp_path_factory.mktemp("protocol") / "unaligned.yaml"
    path.write_text(NO_ALIGNMENT)
    return load_protocol(path)


CASES = sorted(path.name for path in GOLDENS.glob("align_*.npz"))


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("align_20")])
def test_marigold_case(name, unaligned):
    meta, arrays = read(name)
    protocol = unaligned if meta["mode"] is None else "marigold"
    found = score(
        arrays["pred"],
        arrays["gt"],
        arrays["mask"],
        kind=KINDS[meta["mode"]],
        protocol=protocol,
        dataset=limits(meta),
        strict=True,
    )
    # a constant ratio leaves only rounding in silog; upstream's is 0 or NaN by luck
    assert_metrics(found, meta["metrics"], skip=("silog",) if meta["case"].startswith("03") else ())
    assert found["n"] == meta["n_valid"]
    if meta["mode"] is not None:
        assert found["scale"] == pytest.approx(meta["scale"], rel=3e-5)
        assert found["shift"] == pytest.approx(meta["shift"], rel=3e-5)
    else:
        assert (found["scale"], found["shift"]) == (1.0, 0.0)


def test_the_cases_are_all_there():
    assert len(CASES) == 21


def test_default_mode_agrees_with_strict_mode_on_finite_predictions():
    for name in ("align_02_disparity_basic.npz", "align_21_nan_pred_outside_mask.npz"):
        meta, arrays = read(name)
        maps = (arrays["pred"], arrays["gt"], arrays["mask"])
        options = {"kind": KINDS[meta["mode"]], "dataset": limits(meta)}
        assert score(*maps, **options) == score(*maps, **options, strict=True)


def test_nan_in_a_depth_prediction_stops_upstream_and_is_refused_by_default():
    meta, arrays = read("align_20_nan_pred_inside_mask.npz")
    maps = (arrays["pred"], arrays["gt"], arrays["mask"])
    assert meta["error"].startswith("LinAlgError")
    with pytest.raises(np.linalg.LinAlgError):
        score(*maps, kind="depth", dataset=limits(meta), strict=True)
    with pytest.raises(UserError, match=r"image a/b\.png: 1 of \d+ valid pixels of the prediction are NaN or infinite"):
        score(*maps, kind="depth", dataset=limits(meta), image="a/b.png")


def test_moge_disparity_floor():
    for name in ("moge_disp_01_basic.npz", "moge_disp_03_nonpositive_pred_kept.npz"):
        meta, arrays = read(name)
        found = score(arrays["pred"], arrays["gt"], arrays["mask"], kind="disparity", protocol="moge")
        for key, expected in (("scale", "scale"), ("shift", "shift"), ("abs_rel", "rel"), ("delta1", "delta1")):
            assert found[key] == pytest.approx(meta[expected], rel=3e-5), (name, key)


def test_moge_affine_depth_by_weighted_l1():
    meta, arrays = read("moge_depth_01_basic.npz")
    found = score(arrays["pred"], arrays["gt"], arrays["mask"], kind="depth", protocol="moge")
    for key, expected in (("scale", "scale"), ("shift", "shift"), ("abs_rel", "rel"), ("delta1", "delta1")):
        assert found[key] == pytest.approx(meta[expected], rel=3e-5), key


def test_moge_occlusion_edges():
    meta, arrays = read("moge_edge_01.npz")
    assert meta["thickness"] == [1, 2]
    for thickness in meta["thickness"]:
        edges = occlusion_edges(arrays["depth"], arrays["mask"], thickness=thickness, tolerance=meta["tol"])
        np.testing.assert_array_equal(edges, arrays[f"out_edge_t{thickness}"])
        assert 0 < edges.sum() < edges.size
