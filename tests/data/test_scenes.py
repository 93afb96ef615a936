"""Rendered scenes: pure functions of the seed, exact depth, honest intrinsics, resumable folders."""

import json

import numpy as np
import pytest
from PIL import Image

from dad.data.benchmarks import open_benchmark
from dad.data.scenes import KINDS, render_scene, write_scenes
from dad.data.scenes.layouts import Camera, Layout, Light
from dad.data.scenes.materials import PATTERNS, Material, albedo, noise
from dad.data.scenes.shapes import Assembly, template
from dad.errors import UserError


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_is_a_function_of_its_seed(kind):
    one, two, other = (render_scene(kind, seed, height=48, width=64, samples=1) for seed in (3, 3, 4))
    assert np.array_equal(one.rgb, two.rgb)
    assert np.array_equal(one.depth, two.depth)
    assert one.camera == two.camera
    assert not np.array_equal(one.depth, other.depth)


@pytest.mark.parametrize("kind", KINDS)
def test_depth_does_not_depend_on_the_colours_rays(kind):
    one, two = (render_scene(kind, 5, height=48, width=64, samples=samples) for samples in (1, 3))
    assert np.array_equal(one.depth, two.depth)


@pytest.mark.parametrize(
    ("kind", "nearest", "farthest"), [("indoor", 0.05, 30), ("outdoor", 0.3, 80), ("driving", 0.3, 80)]
)
def test_ranges_and_sky(kind, nearest, farthest):
    skies = []
    for seed in range(6):
        scene = render_scene(kind, seed, height=48, width=64, samples=1)
        assert scene.rgb.dtype == np.uint8
        assert scene.depth.dtype == np.float32
        valid = scene.depth > 0
        assert valid.mean() > 0.3
        assert scene.depth[valid].min() > nearest
        assert scene.depth.max() < farthest
        skies.append(1 - valid.mean())
    assert (max(skies) == 0) == (kind == "indoor")


@pytest.fixture
def plane_scene(monkeypatch):
    """A layout whose depth is known in closed form: a floor seen from `height` with a pitch, and nothing else."""

    def layout(rng):
        parts = Assembly.empty()
        grey = Material(pattern="plain", first=np.full(3, 0.5), second=np.full(3, 0.5), scale=1.0)
        parts.place("box", (1000, 1000, 1), (0, 0, -1), grey)
        camera = Camera(position=np.array([0, 0, 1.5]), yaw=0.3, pitch=0.2, roll=0.1, fov=np.radians(60))
        light = Light(lamp=None, direction=np.array([0, 0, 1.0]), ambient=0.5, colour=np.ones(3), haze=0.0)
        return Layout(parts=parts, camera=camera, light=light, max_depth=50.0)

    monkeypatch.setitem(KINDS, "indoor", layout)


def test_depth_of_a_floor_in_closed_form(plane_scene):
    scene = render_scene("indoor", 0, height=60, width=80, samples=1)
    camera = scene.camera
    assert camera["fx"] == pytest.approx(40 / np.tan(np.radians(30)))
    x = (np.arange(80) + 0.5 - camera["cx"]) / camera["fx"]
    y = (np.arange(60) + 0.5 - camera["cy"]) / camera["fy"]
    x, y = np.meshgrid(x, y)
    # undo the roll, then the pitch: how far the ray through a pixel descends per metre of depth
    c, s = np.cos(0.1), np.sin(0.1)
    level = s * x + c * y
    descent = level * np.cos(0.2) + np.sin(0.2)
    with np.errstate(divide="ignore"):
        expected = np.where(descent > 0, 1.5 / descent, np.inf)
    expected = np.where(expected < 50, expected, 0)
    inside = (np.abs(expected - 50) > 1) & (np.abs(descent) > 1e-3)
    either = np.abs(scene.depth - expected) / np.maximum(expected, 1)
    mirrored = np.where(
        (level2 := -s * x + c * y) * np.cos(0.2) + np.sin(0.2) > 0, 1.5 / (level2 * np.cos(0.2) + np.sin(0.2)), 0
    )
    mirrored = np.where(mirrored < 50, mirrored, 0)
    other = np.abs(scene.depth - mirrored) / np.maximum(mirrored, 1)
    # the roll's sign is a convention; the geometry must fit one of the two exactly
    assert min(either[inside].max(), other[inside & (np.abs(mirrored - 50) > 1)].max()) < 1e-3


def test_lidar_is_sparse_and_agrees_with_the_dense_depth():
    scene = render_scene("driving", 2, height=96, width=128, samples=1)
    hit = scene.lidar > 0
    assert 0.02 < hit.mean() < 0.3
    assert np.array_equal(scene.lidar[hit], scene.depth[hit])
    assert hit.sum(axis=1).argmax() > 30  # rings lie on the ground and the facades, not in the sky


@pytest.mark.parametrize("pattern", PATTERNS)
def test_materials_are_colours_and_cover_their_pattern(pattern):
    rng = np.random.default_rng(0)
    points = rng.uniform(-5, 5, (4000, 3))
    normals = np.tile([0.0, 0.0, 1.0], (4000, 1))
    material = Material(pattern=pattern, first=np.full(3, 0.2), second=np.full(3, 0.8), scale=0.7, grain=0.0)
    colour = albedo(material, points, normals)
    assert colour.min() >= 0.2 - 1e-6
    assert colour.max() <= 0.8 + 1e-6
    assert (len(np.unique(colour.round(3))) == 1) == (pattern == "plain")


def test_noise_is_smooth_and_periodic():
    uv = np.random.default_rng(1).uniform(-20, 20, (2000, 2))
    assert noise(uv, 0.5) == pytest.approx(noise(uv + [16.0, -16.0], 0.5), abs=1e-4)  # 32 periods of 0.5 m
    assert np.abs(noise(uv, 0.5) - noise(uv + 0.001, 0.5)).max() < 0.02


@pytest.mark.parametrize("shape", ["box", "cylinder", "sphere", "cone"])
def test_templates_are_centred_unit_shapes(shape):
    vertices, faces = template(shape)
    assert np.abs(vertices).max() == pytest.approx(0.5, abs=0.01)
    assert vertices[:, 2].min() == pytest.approx(-0.5, abs=1e-6)
    assert faces.max() < len(vertices)


def test_a_folder_is_resumed_and_recipes_are_not_mixed(tmp_path):
    options = {"kind": "driving", "seed": 7, "height": 24, "width": 32, "samples": 1}
    write_scenes(tmp_path, count=2, **options)
    first = (tmp_path / "rgb" / "000000.png").stat().st_mtime_ns
    write_scenes(tmp_path, count=3, **options)
    assert (tmp_path / "rgb" / "000000.png").stat().st_mtime_ns == first
    assert json.loads((tmp_path / "scenes.json").read_text())["count"] == 3
    scene = render_scene("driving", 9, height=24, width=32, samples=1)
    assert np.array_equal(np.load(tmp_path / "depth" / "000002.npy"), scene.depth)
    assert np.array_equal(np.load(tmp_path / "lidar" / "000002.npy"), scene.lidar)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "rgb" / "000002.png")), scene.rgb)
    assert json.loads((tmp_path / "camera" / "000002.json").read_text())["seed"] == 9
    with pytest.raises(UserError, match="another recipe"):
        write_scenes(tmp_path, count=3, **options | {"seed": 8})


def test_mistakes():
    with pytest.raises(UserError, match="unknown scene kind 'moon'"):
        render_scene("moon", 0)
    with pytest.raises(UserError, match="positive size"):
        render_scene("indoor", 0, height=0)


def test_workers_do_not_change_a_folder(tmp_path):
    options = {"kind": "indoor", "seed": 1, "count": 2, "height": 24, "width": 32, "samples": 1}
    write_scenes(tmp_path / "one", **options)
    write_scenes(tmp_path / "two", **options, workers=2)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 2 * 3 + 2
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


@pytest.mark.parametrize("name", ["depth/000001.npy", "rgb/000001.png", "camera/000001.json"])
def test_a_damaged_scene_is_named_and_rendered_again(tmp_path, name):
    options = {"kind": "indoor", "seed": 1, "count": 2, "height": 24, "width": 32, "samples": 1}
    write_scenes(tmp_path, **options)
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    spoiled = bytearray(whole[tmp_path / name])
    spoiled[-3] ^= 1
    (tmp_path / name).write_bytes(spoiled)
    if "camera" not in name:  # which no score is made of
        scenes = open_benchmark("scenes-indoor", tmp_path)
        assert scenes[0].depth.shape == (24, 32)
        with pytest.raises(
            UserError, match=f"{name} cannot be read .its contents do not fit the recorded checksum.: render"
        ):
            scenes[1]
    write_scenes(tmp_path, **options)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == whole


def test_scenes_of_an_earlier_version_have_no_checksums_and_get_them(tmp_path):
    options = {"kind": "indoor", "seed": 1, "count": 2, "height": 24, "width": 32, "samples": 1}
    write_scenes(tmp_path, **options)
    checksums = (tmp_path / "checksums.json").read_bytes()
    (tmp_path / "checksums.json").unlink()
    assert len(open_benchmark("scenes-indoor", tmp_path)) == 2
    write_scenes(tmp_path, **options)
    assert (tmp_path / "checksums.json").read_bytes() == checksums


def test_a_larger_set_is_kept_by_a_smaller_call(tmp_path):
    options = {"kind": "indoor", "seed": 5, "height": 24, "width": 32, "samples": 1}
    write_scenes(tmp_path, count=3, **options)
    write_scenes(tmp_path, count=2, **options)
    assert json.loads((tmp_path / "scenes.json").read_text())["count"] == 3
    assert not (tmp_path / "recipe.json").exists()
    assert len(list((tmp_path / "rgb").iterdir())) == 3


def test_folders_and_sizes_that_cannot_be_are_refused_before_work(tmp_path):
    sizes = {"kind": "indoor", "seed": 0, "height": 24, "width": 32}
    (tmp_path / "photos/rgb").mkdir(parents=True)
    (tmp_path / "photos/rgb/000000.png").write_bytes(b"a photo of somebody")
    with pytest.raises(UserError, match="were not rendered here"):
        write_scenes(tmp_path / "photos", count=1, **sizes)
    (tmp_path / "file").write_text("")
    for out, message in (("file", "is a file"), ("file/x", "lies below")):
        with pytest.raises(UserError, match=message):
            write_scenes(tmp_path / out, count=1, **sizes)
    with pytest.raises(UserError, match="render fewer"):
        write_scenes(tmp_path / "many", count=10**12, **sizes)
    with pytest.raises(UserError, match="too large"):
        write_scenes(tmp_path / "large", count=1, kind="indoor", seed=0, height=10**6, width=10**6)
    for name, text in (("scenes.json", "[]"), ("recipe.json", '{"count": "x"}'), ("scenes.json", "{")):
        (tmp_path / "damaged").mkdir(exist_ok=True)
        (tmp_path / "damaged" / name).write_text(text)
        with pytest.raises(UserError, match="damaged|JSON"):
            write_scenes(tmp_path / "damaged", count=1, **sizes)
        (tmp_path / "damaged" / name).unlink()
    assert not (tmp_path / "many").exists()


def test_what_cannot_be_drawn_is_refused_before_anything_is_written(tmp_path):
    for wrong in ({"seed": -1}, {"height": 0}, {"samples": 0}):
        with pytest.raises(UserError, match="a scene needs"):
            write_scenes(
                tmp_path / "s", kind="indoor", count=1, **{"seed": 0, "height": 32, "width": 32, "samples": 1} | wrong
            )
    assert not (tmp_path / "s").exists()
