"""The verb `predict`: outputs, names, bad images, points."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from dad.cli import main
from dad.errors import UserError
from dad.models.checkpoints import save_network
from dad.models.config import VitDptConfig
from dad.models.registry import build_network
from dad.pointcloud import Camera, assumed_camera, read_camera, relative_to_depth, unproject, write_ply
from dad.predict import Points, find_images, predict


class Brightness:
    """An estimator that calls bright near."""

    kind, name, patch = "disparity", "brightness", 1

    def __init__(self):
        self.shapes = []

    def __call__(self, rgb):
        self.shapes.append(tuple(rgb.shape))
        return rgb.mean(1, keepdim=True) * 4 - 1


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (6, 8)), ("sub/b.jpg", (6, 8)), ("sub/c.PNG", (5, 8)), ("a.b.png", (6, 8))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / name)
    (root / "notes.txt").write_text("no image")
    return root


def test_outputs_hold_the_estimators_values(folder, tmp_path):
    model = Brightness()
    written, problems = predict([folder], model, tmp_path / "out", batch=2)
    assert (written, problems) == (4, [])
    assert sorted(model.shapes) == [(1, 3, 5, 8), (1, 3, 6, 8), (2, 3, 6, 8)], "images of equal size share batches"
    rgb = np.asarray(Image.open(folder / "a.png"), np.float32) / 255
    found = np.load(tmp_path / "out" / "a.npy")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rgb.mean(2) * 4 - 1, atol=1e-5)
    with Image.open(tmp_path / "out" / "a.png") as image:
        low, high = float(image.text["dad.minimum"]), float(image.text["dad.maximum"])
        assert (image.mode, image.text["dad.kind"]) == ("I;16", "disparity")
        np.testing.assert_allclose(np.asarray(image) / 65535 * (high - low) + low, found, atol=(high - low) / 65535)
    with Image.open(tmp_path / "out" / "a_colour.png") as image:
        assert (image.mode, image.size) == ("RGB", (8, 6))
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.npy")}
    assert names == {"a.npy", "a.b.npy", "sub/b.npy", "sub/c.npy"}


def test_a_bad_image_is_named_and_skipped(folder, tmp_path, capsys):
    (folder / "bad.png").write_bytes(b"not an image")
    whole = (folder / "a.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    written, problems = predict([folder], Brightness(), tmp_path / "out")
    assert written == 4
    assert len(problems) == 2
    errors = capsys.readouterr().err
    for name in ("bad.png", "cut.png"):
        assert f"skipped {folder / name}: not a readable image" in errors
    assert not list((tmp_path / "out").glob("cut*"))


def test_values_that_are_not_finite_are_named(folder, tmp_path, capsys):
    class Broken(Brightness):
        def __call__(self, rgb):
            return super().__call__(rgb) * torch.nan

    written, problems = predict([folder / "a.png"], Broken(), tmp_path / "out")
    assert written == 0
    assert "not finite" in problems[0]
    assert not (tmp_path / "out").exists()


def test_mistakes_are_reported_before_any_work(folder, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        find_images([tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        find_images([tmp_path / "empty"])
    Image.new("RGB", (4, 4)).save(folder / "a.jpg")
    with pytest.raises(UserError, match="would both be written as a"):
        find_images([folder])
    with pytest.raises(UserError, match="batch"):
        predict([folder / "a.png"], Brightness(), tmp_path / "out", batch=0)


def test_points_lie_where_the_camera_says(folder, tmp_path):
    predict([folder / "a.png"], Brightness(), tmp_path / "out", points=Points(Camera(10, 20, 3.5, 2.5), near=2, far=4))
    data = (tmp_path / "out" / "a.ply").read_bytes()
    header, _, body = data.partition(b"end_header\n")
    assert b"element vertex 48" in header
    vertices = np.frombuffer(body, dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "u1", 3)])
    disparity = np.load(tmp_path / "out" / "a.npy")
    assert vertices["z"].min() == pytest.approx(2)
    assert vertices["z"].max() == pytest.approx(4)
    assert vertices["z"].argmin() == disparity.argmax()
    pixels = np.asarray(Image.open(folder / "a.png")).reshape(-1, 3)
    np.testing.assert_array_equal(vertices["rgb"], pixels)
    columns = np.tile(np.arange(8), 6)
    rows = np.repeat(np.arange(6), 8)
    np.testing.assert_allclose(vertices["x"] / vertices["z"] * 10 + 3.5, columns, atol=1e-5)
    np.testing.assert_allclose(vertices["y"] / vertices["z"] * 20 + 2.5, rows, atol=1e-5)


def test_geometry():
    camera = assumed_camera(100, 200, 90)
    assert camera.fx == pytest.approx(100)
    assert (camera.cx, camera.cy) == (99.5, 49.5)
    depth = relative_to_depth(np.array([[0.0, 1.0]]), "depth", near=1, far=5)
    np.testing.assert_allclose(depth, [[1, 5]])
    np.testing.assert_allclose(relative_to_depth(np.array([[0.0, 0.5, 1.0]]), "disparity", near=1, far=4), [[4, 1 / 0.625, 1]])
    np.testing.assert_allclose(unproject(np.full((1, 1), 3.0), Camera(2, 2, 0, 0)), [[0, 0, 3]])
    for near, far in ((0, 1), (2, 1), (1, 1)):
        with pytest.raises(UserError, match="0 < near < far"):
            relative_to_depth(np.zeros((1, 1)), "depth", near=near, far=far)
    with pytest.raises(UserError, match="between 0 and 180"):
        assumed_camera(1, 1, 180)


def test_camera_files(tmp_path):
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({"fx": 1, "fy": 2, "cx": 3, "cy": 4, "width": 5}))
    assert read_camera(path) == Camera(1, 2, 3, 4)
    for content in ("{}", "[", json.dumps({"fx": 0, "fy": 2, "cx": 3, "cy": 4})):
        path.write_text(content)
        with pytest.raises(UserError, match="camera"):
            read_camera(path)


def test_trimesh_reads_the_points(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    points = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    colours = np.arange(15, dtype=np.uint8).reshape(5, 3)
    write_ply(tmp_path / "x.ply", points, colours)
    cloud = trimesh.load(tmp_path / "x.ply")
    np.testing.assert_allclose(cloud.vertices, points, atol=1e-7)
    np.testing.assert_array_equal(cloud.colors[:, :3], colours)


def test_the_command_line(folder, tmp_path, capsys):
    torch.manual_seed(0)
    config = VitDptConfig(width=32, depth=4, heads=2, taps=(0, 1, 2, 3), grid=4, reassemble=(8, 8, 16, 16), fusion=8)
    save_network(tmp_path / "m.safetensors", build_network(config), input_size=56, origin="")
    given = ["predict", str(folder), "--model", str(tmp_path / "m.safetensors"), "--out", str(tmp_path / "out")]
    assert main([*given, "--points"]) == 0
    assert "4 images predicted" in capsys.readouterr().out
    assert (tmp_path / "out" / "sub" / "c.ply").exists()
    assert main([*given, "--camera", "x.json"]) == 2
    assert main(["export", "--run", str(tmp_path / "m.safetensors"), "--format", "safetensors", "--out", str(tmp_path / "e")]) == 0
    assert "largest difference 0.0e+00" in capsys.readouterr().out
