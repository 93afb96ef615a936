"""Upstream's results (prs-eth/Marigold `script/depth/eval.py`, a command) from files, in every layout, by the verb."""

import functools
import io
import json
import math
import tarfile
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dad.evaluation.to_files import evaluate_to_files

GOLDENS = Path(__file__).parents[1] / "goldens" / "evaluation"

UPSTREAM = {
    "abs_rel": "abs_relative_difference",
    "sq_rel": "squared_relative_difference",
    "rmse": "rmse_linear",
    "rmse_log": "rmse_log",
    "log10": "log10",
    "delta1": "delta1_acc",
    "delta2": "delta2_acc",
    "delta3": "delta3_acc",
    "i_rmse": "i_rmse",
    "silog": "silog_rmse",
}
MODES = {"depth": "least_square", "disparity": "least_square_disparity"}


@functools.cache
def golden(name):
    data = dict(np.load(GOLDENS / f"{name}.npz"))
    if name == "ds_kitti_None":
        data = dict(np.load(GOLDENS / "ds_kitti_eigen.npz")) | {key: data[key] for key in data if key == "meta"}
    meta = json.loads(str(data.pop("meta")))
    lines = [line.split() for line in meta["filename_list"].split("\n")]
    return data, meta, [line for line in lines if line[1] != "None"]


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@functools.cache
def grey(height, width, kind="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 90, 90)).save(buffer, kind)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def mask_of(data, index):
    return np.unpackbits(data[f"mask_npy{index}_packed"], count=768 * 1024).reshape(768, 1024).astype(np.uint8)


def marigold(name):
    """{path: bytes} in prs-eth/Marigold's layout."""
    data, _, lines = golden(name)
    files = {}
    for index, paths in enumerate(lines):
        if name == "ds_diode":
            files[paths[0]] = grey(768, 1024)
            files[paths[1]] = npy(data[f"depth_npy{index}"][:, :, None])
            files[paths[2]] = npy(mask_of(data, index).astype(np.float64))
            continue
        depth = data[f"depth_png{index}"]
        files[paths[0]] = grey(*depth.shape, "JPEG" if paths[0].endswith("jpg") else "PNG")
        files[paths[1]] = png(depth)
        if name == "ds_nyu":
            files[paths[2]] = png(data[f"filled_png{index}"])
    return files


def genpercept(name):
    """GenPercept's layout differs in the name of DIODE's outdoor folder."""
    return {path.replace("outdoor/", "outdoors/"): content for path, content in marigold(name).items()}


def official(name):
    """{path: bytes} in the release's own layout."""
    files = {}
    for path, content in marigold(name).items():
        if name == "ds_diode":
            path = f"val/{path}"
        if "proj_depth" in path:
            path = f"val/{path}"
        if name == "ds_scannet":
            folder, _, frame = path.rpartition("/")
            stem, suffix = frame.split(".")
            path = f"scans/{folder}/{int(stem)}.{suffix}"
            content = grey(968, 1296, "JPEG") if suffix == "jpg" else content
        files[path] = content
    return files


LAYOUTS = {
    ("ds_nyu", "marigold"): marigold,
    ("ds_kitti_eigen", "marigold"): marigold,
    ("ds_kitti_eigen", "official"): official,
    ("ds_kitti_None", "marigold"): marigold,
    ("ds_scannet", "marigold"): marigold,
    ("ds_scannet", "official"): official,
    ("ds_diode", "marigold"): marigold,
    ("ds_diode", "genpercept"): genpercept,
    ("ds_diode", "official"): official,
}
NAMES = {"ds_nyu": "nyuv2", "ds_scannet": "scannet", "ds_diode": "diode", "ds_eth3d": "eth3d"}


def write_folder(root, files):
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def write_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def write_predictions(root, name, kind, style="plain"):
    """Named as documented, or as upstream's inference names them."""
    data, _, lines = golden(name)
    for index, (rgb, *_) in enumerate(lines):
        path = PurePosixPath(rgb).with_suffix(".npy")
        if style == "upstream":
            path = path.with_name("pred_" + path.name.removeprefix("rgb_"))
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / path, data[f"pred_{kind}{index}" if kind == "depth" else f"pred_disp{index}"])
    return root


def check(name, kind, root, predictions, tmp_path, **options):
    dataset = NAMES.get(name, "kitti")
    if name == "ds_kitti_None":
        options["crop"] = "none"
    written = evaluate_to_files(
        benchmarks=[(dataset, root)],
        predictions=predictions,
        kind=kind,
        options={dataset: options},
        out=tmp_path / f"{kind}.csv",
    )
    (result,) = written["results"]
    resolution = 1024 if name == "ds_eth3d" else None
    _, meta, lines = golden(name)
    expected = meta["results"][f"marigold/{MODES[kind]}/max_res={resolution}"]["dataset_mean_as_printed"]
    for metric, upstream in UPSTREAM.items():
        tolerance = 2e-4 if metric == "silog" else 3e-5
        assert result["mean"][metric] == pytest.approx(float(expected[upstream]), rel=tolerance), metric
    assert (result["images"], result["empty"], result["failed"]) == (len(lines), 0, 0)
    assert result["dataset"] == ("kitti+crop=none" if name == "ds_kitti_None" else dataset)
    assert written["failures"] == []


@pytest.mark.parametrize(("name", "layout"), LAYOUTS)
def test_folder_and_list_made_from_it(name, layout, tmp_path):
    root = write_folder(tmp_path / "data", LAYOUTS[name, layout](name))
    for kind in MODES:
        check(name, kind, root, write_predictions(tmp_path / kind, name, kind), tmp_path)


@pytest.mark.parametrize(("name", "layout"), LAYOUTS)
def test_tar_with_upstreams_list_and_prediction_names(name, layout, tmp_path):
    root = write_tar(tmp_path / "data.tar", LAYOUTS[name, layout](name))
    listed = tmp_path / "list.txt"
    listed.write_text(golden(name)[1]["filename_list"])
    check(
        name,
        "disparity",
        root,
        write_predictions(tmp_path / "p", name, "disparity", "upstream"),
        tmp_path,
        list_file=listed,
    )


@pytest.fixture
def nyu_release(tmp_path):
    """nyu_depth_v2_labeled.mat and splits.mat with nine images, axes reversed as MATLAB's HDF5 files have them."""
    data, _, lines = golden("ds_nyu")
    root = tmp_path / "nyu"
    root.mkdir()
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "w", userblock_size=512) as file:
        raw = file.create_dataset("rawDepths", (9, 640, 480), np.float32)
        filled = file.create_dataset("depths", (9, 640, 480), np.float32)
        images = file.create_dataset("images", (9, 3, 640, 480), np.uint8, chunks=(1, 3, 640, 480), compression="gzip")
        scenes = file.create_dataset("scenes", (1, 9), h5py.ref_dtype)
        for number in range(9):
            name = file.create_dataset(
                f"#refs#/{number}", data=np.array([[ord(c)] for c in f"hall_{number}"], np.uint16)
            )
            scenes[0, number] = name.ref
        for index, (rgb, *_) in enumerate(lines):
            place = int(rgb[-8:-4]) - 1
            raw[place] = (data[f"depth_png{index}"] / 1000.0).astype(np.float32).T
            filled[place] = 7
            images[place, 0, :, 0] = np.arange(640) % 256
            name = file.create_dataset(
                f"#refs#/s{index}", data=np.array([[ord(c)] for c in rgb.split("/")[1]], np.uint16)
            )
            scenes[0, place] = name.ref
    # the first block of a MATLAB 7.3 file is text, HDF5 starts after it
    with open(root / "nyu_depth_v2_labeled.mat", "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    savemat(root / "splits.mat", {"testNdxs": np.array([[1], [9]], np.uint16), "trainNdxs": np.array([[2]], np.uint16)})
    return root


def test_nyu_release(nyu_release, tmp_path):
    for kind in MODES:
        predictions = write_predictions(tmp_path / kind, "ds_nyu", kind)
        check("ds_nyu", kind, nyu_release, predictions, tmp_path)
    listed = tmp_path / "list.txt"
    listed.write_text(golden("ds_nyu")[1]["filename_list"])
    check("ds_nyu", "depth", nyu_release / "nyu_depth_v2_labeled.mat", tmp_path / "depth", tmp_path, list_file=listed)


def eth3d_files(data):
    """The recipe in the fixture's note: 24-megapixel maps from two 56 x 84 grids."""
    (h, w), grid, noise = (4032, 6048), data["grid"], data["noise"]
    rows, columns = np.arange(h, dtype=np.int32)[:, None], np.arange(w, dtype=np.int32)[None, :]

    def enlarged(values):
        return np.repeat(np.repeat(values, 72, 0), 72, 1)

    def quantised(values, step):
        values /= step
        return np.rint(values, out=values).astype(np.float32) * np.float32(step)

    keep = np.unpackbits(data["out_mask0_packed"], count=h * w).reshape(h, w).astype(bool)
    depth = ((enlarged(grid.astype(np.int32)) + (7 * rows + 13 * columns) % 32) / np.float32(16)).astype("<f4")
    depth[~keep] = math.inf
    depth[10, :200] = 0
    ramp = (3 * rows + 11 * columns) % 64
    as_depth = quantised(enlarged(grid / 640 + 0.05 * noise) + ramp / 2048, 1 / 4096)
    as_disparity = quantised(enlarged(192 / grid + 0.8 * noise + 2) + ramp / 256, 1 / 512)
    return depth, as_depth, as_disparity


def test_eth3d_at_full_size(tmp_path):
    data, _, ((rgb, depth_path),) = golden("ds_eth3d")
    depth, as_depth, as_disparity = eth3d_files(data)
    predictions = {"depth": as_depth, "disparity": as_disparity}
    files = {rgb: grey(4032, 6048, "JPEG"), depth_path: depth.tobytes()}
    for kind, root in (
        ("disparity", write_tar(tmp_path / "eth3d.tar", files)),
        (
            "depth",
            write_folder(
                tmp_path / "eth3d", {path.split("/", 1 if path == rgb else 2)[-1]: files[path] for path in files}
            ),
        ),
    ):
        (tmp_path / kind / rgb).parent.mkdir(parents=True)
        np.save((tmp_path / kind / rgb).with_suffix(".npy"), predictions[kind])
        check("ds_eth3d", kind, root, tmp_path / kind, tmp_path)
