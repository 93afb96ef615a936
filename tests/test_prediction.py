"""The verb `predict`: outputs, names, bad images, points."""

import json
import os

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
from dad.prediction import Points, find_images, predict


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
    np.testing.assert_allclose(
        relative_to_depth(np.array([[0.0, 0.5, 1.0]]), "disparity", near=1, far=4), [[4, 1 / 0.625, 1]]
    )
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
    assert (
        main(
            [
                "export",
                "--run",
                str(tmp_path / "m.safetensors"),
                "--format",
                "safetensors",
                "--out",
                str(tmp_path / "e"),
            ]
        )
        == 0
    )
    assert "largest difference 0.0e+00" in capsys.readouterr().out


def _photo(path, size=(6, 8), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path


@pytest.mark.parametrize("out", ["p", "./p/../p", "link"])
@pytest.mark.parametrize("given", ["p", "p/a.png", "link/a.png"])
def test_photos_are_never_replaced_by_their_maps(tmp_path, monkeypatch, given, out):
    monkeypatch.chdir(tmp_path)
    before = _photo(tmp_path / "p/a.png").read_bytes()
    (tmp_path / "link").symlink_to("p")
    with pytest.raises(UserError, match="would replace"):
        predict([given], Brightness(), out)
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["a.png"]
    assert (tmp_path / "p/a.png").read_bytes() == before


def test_files_that_are_no_maps_of_ours_are_not_replaced(tmp_path):
    """Depth beside its photo, a photo of that name with another ending, a sub-folder's maps on its parent's photos."""
    for given, there in (("p/a.jpg", "p/a.npy"), ("q/a.jpg", "q/a.png"), ("r/sub/a.jpg", "r/a_colour.png")):
        _photo(tmp_path / given)
        if there.endswith(".npy"):
            np.save(tmp_path / there, np.ones(3))
        else:
            _photo(tmp_path / there, seed=1)
        before = (tmp_path / there).read_bytes()
        with pytest.raises(UserError, match="is there and is no map"):
            predict([tmp_path / given], Brightness(), (tmp_path / there).parent)
        assert (tmp_path / there).read_bytes() == before
    for _ in range(2):  # maps of an earlier run are replaced
        assert predict([tmp_path / "p/a.jpg"], Brightness(), tmp_path / "out") == (1, [])


def test_outputs_inside_the_folder_of_photos_are_not_predicted_themselves(tmp_path):
    _photo(tmp_path / "p/a.jpg")
    for _ in range(3):
        assert predict([tmp_path / "p"], Brightness(), tmp_path / "p/maps") == (1, [])
    assert sorted(path.name for path in (tmp_path / "p/maps").iterdir()) == ["a.npy", "a.png", "a_colour.png"]


def test_two_images_never_share_an_output(tmp_path, capsys):
    _photo(tmp_path / "p/x.jpg", (6, 8))
    _photo(tmp_path / "p/x_colour.png", (8, 6))
    written, problems = predict([tmp_path / "p"], Brightness(), tmp_path / "out")
    assert written == 1
    assert "x_colour.png would replace that of" in problems[0]
    with Image.open(tmp_path / "out/x_colour.png") as image:
        assert (image.mode, image.size) == ("RGB", (8, 6))
    _photo(tmp_path / "q/a.jpg")
    _photo(tmp_path / "q/A.png")
    with pytest.raises(UserError, match="where case does not count"):
        predict([tmp_path / "q"], Brightness(), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_long_names_get_their_maps_or_are_named(tmp_path):
    limit = os.pathconf(tmp_path, "PC_NAME_MAX")
    longest, longer = "a" * (limit - len("_colour.png")), "b" * (limit - len(".jpg"))
    for name in (longest, longer, "z"):
        _photo(tmp_path / "p" / f"{name}.jpg")
    written, problems = predict([tmp_path / "p"], Brightness(), tmp_path / "out")
    assert written == 2
    assert "its name is too long" in problems[0]
    assert (tmp_path / "out" / f"{longest}_colour.png").is_file()


def test_what_a_folder_holds_besides_is_named(tmp_path, capsys):
    data = _photo(tmp_path / "p/a.jpg").read_bytes()
    for name in ("b.jfif", "c.heic", "d.gif", "e.tar", "notes.txt", "list"):
        (tmp_path / "p" / name).write_bytes(data)
    written, problems = predict([tmp_path / "p"], Brightness(), tmp_path / "out")
    assert written == 2, "JFIF is JPEG"
    assert [problem.split("p/")[-1].split(":")[0] for problem in problems] == ["c.heic", "d.gif", "e.tar"]
    told = capsys.readouterr().err
    assert "skipped " in told
    assert "1 .txt" in told
    assert "1 list" in told


def test_whatever_one_image_raises_the_others_are_predicted(tmp_path):
    class Picky(Brightness):
        """Fails on batches that hold an image of a certain colour, in a way nobody foresaw."""

        def __call__(self, rgb):
            if (rgb[:, :, 0, 0] == 0).all(1).any():
                raise RuntimeError("Calculated padded input size per channel: (2 x 8)")
            return super().__call__(rgb)

    for number in range(4):
        _photo(tmp_path / f"p/{number}.png", seed=number)
    Image.new("RGB", (8, 6)).save(tmp_path / "p/black.png")
    (tmp_path / "out/1").mkdir(parents=True)
    (tmp_path / "out/1.npy").mkdir()
    Image.new("L", (1, 1)).save(tmp_path / "x.png")
    with pytest.raises(UserError, match="is no map"):
        predict([tmp_path / "p"], Picky(), tmp_path / "out")
    (tmp_path / "out/1.npy").rmdir()
    written, problems = predict([tmp_path / "p"], Picky(), tmp_path / "out", batch=3)
    assert written == 4
    assert len(problems) == 1
    assert "black.png" in problems[0]
    assert "padded input size" in problems[0]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("size", "options"), [((1, 3000), {}), ((3000, 1), {}), ((20, 2000), {}), ((6, 8), {"short_side": 112000})]
)
def test_inputs_beyond_reason_are_refused_image_by_image(tmp_path, size, options):
    _photo(tmp_path / "p/a.png", (60, 80))
    _photo(tmp_path / "p/long.png", size)
    written, problems = predict([tmp_path / "p"], "zoo/vit-small", tmp_path / "out", **options)
    assert written == (0 if options else 1)
    assert "long.png" in problems[-1]
    assert "\n" not in problems[-1]


@pytest.mark.parametrize("near", [float("nan"), 0, -1, float("inf"), 10])
def test_distances_are_checked_before_any_work(tmp_path, near):
    _photo(tmp_path / "p/a.png")
    with pytest.raises(UserError, match="near and far"):
        predict([tmp_path / "p"], "zoo/no-such-model", tmp_path / "out", points=Points(near=near))


@pytest.mark.parametrize(
    "text",
    ['{"fx": 1, "fy": NaN, "cx": 1, "cy": 1}', '{"fx": true, "fy": 1, "cx": 1, "cy": 1}', "[1, 2, 3, 4]", "5", '{"fx"'],
)
def test_what_is_no_camera_is_refused(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(UserError, match="is no camera file"):
        read_camera(tmp_path / "c.json")
    (tmp_path / "good.json").write_bytes(b"\xef\xbb\xbf" + b'{"fx": 10,\r\n"fy": 10, "cx": 5, "cy": 5}')
    assert read_camera(tmp_path / "good.json") == Camera(10, 10, 5, 5)
