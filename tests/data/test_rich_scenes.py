"""Rich scenes: pure functions of a seed, exact depth under any lens, closed bodies, textures leaving geometry alone."""

import json
import os

import numpy as np
import pytest
import trimesh
from PIL import Image

from dad.data.scenes import KINDS, STYLES, render_scene, write_scenes
from dad.data.scenes.layouts import Camera
from dad.data.scenes.rich import furniture, meshes, nature, street, vehicles
from dad.data.scenes.rich.families import FAMILIES
from dad.data.scenes.rich.people import person
from dad.data.scenes.rich.picture import developed
from dad.data.scenes.rich.stage import Lighting, Setting, Stage
from dad.data.scenes.rich.surfaces import PATTERNS, Palette, Photographs, Surface, colour_of
from dad.errors import UserError

RICH = sorted(FAMILIES)


def small(kind, seed, style, **options):
    return render_scene(kind, seed, height=48, width=64, style=style, **options)


@pytest.mark.parametrize("style", RICH)
@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_is_a_function_of_its_seed(kind, style):
    one, two, other = (small(kind, seed, style) for seed in (3, 3, 4))
    assert np.array_equal(one.rgb, two.rgb)
    assert np.array_equal(one.depth, two.depth)
    assert one.camera == two.camera
    assert not np.array_equal(one.depth, other.depth)
    assert (one.lidar is None) == (kind != "driving")


def test_styles_are_different_scenes():
    depths = [small("outdoor", 0, style).depth for style in STYLES]
    assert all(not np.array_equal(a, b) for i, a in enumerate(depths) for b in depths[:i])


@pytest.mark.parametrize("style", RICH)
@pytest.mark.parametrize(("kind", "farthest"), [("indoor", 30), ("outdoor", 80), ("driving", 80)])
def test_ranges_and_lenses(kind, farthest, style):
    fields = []
    for seed in range(8):
        scene = small(kind, seed, style)
        valid = scene.depth > 0
        assert valid.mean() > 0.2
        assert 0.02 < scene.depth[valid].min() < scene.depth.max() < farthest
        assert 10 < scene.rgb.mean() < 245
        fields.append(np.degrees(2 * np.arctan(32 / scene.camera["fx"])))
    assert 20 < min(fields) < max(fields) - 10 < 115


@pytest.fixture
def tilted_floor(monkeypatch):
    """A floor and nothing else, seen by a rolled camera whose optical axis misses the middle of the picture."""

    def setting(palette):
        stage = Stage()
        stage.add([(meshes.box((1000, 1000, 1), (0, 0, -1)), palette.flat(0.5))])
        camera = Camera(position=np.array([0, 0, 1.5]), yaw=0.3, pitch=0.2, roll=0.0, fov=np.radians(60))
        lighting = Lighting(sky=np.full(3, 0.5), ground=np.full(3, 0.2), reach=2.0)
        return Setting(stage, camera, lighting, max_depth=50.0, centre=(0.4, 0.6))

    monkeypatch.setitem(FAMILIES["rich"], "indoor", setting)


def test_depth_of_a_floor_in_closed_form(tilted_floor):
    scene = small("indoor", 0, "rich")
    camera = scene.camera
    assert (camera["cx"], camera["cy"]) == pytest.approx((0.4 * 64, 0.6 * 48))
    assert camera["fx"] == pytest.approx(32 / np.tan(np.radians(30)))
    level = (np.arange(48) + 0.5 - camera["cy"]) / camera["fy"]
    descent = level * np.cos(0.2) + np.sin(0.2)  # metres that a ray falls per metre of depth
    expected = np.where(descent > 0, 1.5 / np.where(descent > 0, descent, 1), np.inf)
    expected = np.repeat(np.where(expected < 50, expected, 0)[:, None], 64, 1)
    sure = np.abs(expected - 50) > 1
    assert scene.depth[sure] == pytest.approx(expected[sure], rel=2e-4)


def test_textures_change_colours_only(tmp_path):
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    textures = Photographs(tmp_path)
    assert len(textures) == 3
    without, with_them = small("indoor", 2, "rich"), small("indoor", 2, "rich", textures=textures)
    assert np.array_equal(without.depth, with_them.depth)
    assert without.camera == with_them.camera
    assert np.abs(without.rgb.astype(int) - with_them.rgb).mean() > 2
    with pytest.raises(UserError, match="style plain"):
        small("indoor", 2, "plain", textures=textures)
    with pytest.raises(UserError, match="no .jpg or .png"):
        Photographs(tmp_path / "nothing")


def test_textures_that_cannot_be_read_are_named_and_pipes_passed_over(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    textures = Photographs(tmp_path)
    assert [path.name for path in textures.files] == ["b.png"]
    assert len(textures.digest()) == 8
    with pytest.raises(UserError, match=r"textures: .*b\.png cannot be read"):
        textures.levels(0)


def test_a_photograph_stands_upright_and_is_averaged_far_away(tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :, 0] = 255  # red above, blue below
    pixels[32:, :, 2] = 255
    Image.fromarray(pixels).save(tmp_path / "flag.png")
    surface = Surface(pattern="plain", first=np.ones(3), second=np.ones(3), scale=1.0, grain=0.0, photo=0)
    points = np.array([[0.5, 0.0, 0.8], [0.5, 0.0, 0.2]])
    towards = np.array([[0.0, -1.0, 0.0]] * 2)
    near = colour_of(surface, points, towards, np.full(2, 1e-4), Photographs(tmp_path))
    assert near == pytest.approx(np.array([[1, 0.004, 0.004], [0.004, 0.004, 1]]), abs=0.01)
    far = colour_of(surface, points, towards, np.full(2, 1.0), Photographs(tmp_path))
    assert far[0] == pytest.approx(far[1], abs=0.35)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_colours_and_fade_with_distance(pattern):
    rng = np.random.default_rng(0)
    points = rng.uniform(-3, 3, (4000, 3))
    normals = np.tile([0.0, 0.0, 1.0], (4000, 1))
    surface = Surface(pattern=pattern, first=np.full(3, 0.2), second=np.full(3, 0.8), scale=0.4, grain=0.0)
    near, far = (colour_of(surface, points, normals, np.full(4000, footprint), None) for footprint in (1e-4, 50.0))
    assert near.min() > 0.1
    assert near.max() < 0.95
    assert near.std() > 0.01
    if pattern != "plain":
        assert far.std() < 1e-3
        assert far.mean() == pytest.approx(near.mean(), abs=0.05)


def solid(mesh):
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)


def test_bodies_are_closed_and_have_their_sizes():
    ball = solid(meshes.ellipsoid((0.5, 1.0, 1.5), (1, 2, 3), sides=40))
    assert ball.is_watertight
    assert abs(ball.volume) == pytest.approx(4 / 3 * np.pi * 0.5 * 1.0 * 1.5, rel=0.04)
    assert ball.bounds.mean(0) == pytest.approx([1, 2, 3], abs=1e-6)
    rod = solid(meshes.tube([(0, 0, 0), (0, 0, 1), (0, 0, 2)], 0.1, sides=48))
    assert rod.is_watertight
    assert abs(rod.volume) == pytest.approx(np.pi * 0.01 * 2, rel=0.01)
    vase = solid(meshes.lathe([(0.2, 0), (0.2, 1)], sides=64))
    assert abs(vase.volume) == pytest.approx(np.pi * 0.04, rel=0.01)
    pair = solid(meshes.boxes([(1, 2, 3), (1, 1, 1)], [(0, 0, 0), (5, 0, 0)], [0.3, 0.0]))
    assert pair.is_watertight
    assert pair.volume == pytest.approx(7)
    wheel = solid(meshes.ring(0.5, 0.05, (0, 0, 0), axis=0, sides=80))
    assert wheel.extents == pytest.approx([0.087, 1.1, 1.1], abs=0.02)
    assert abs(solid(meshes.prism([(0, 0), (1, 0), (0, 1)], 2.0)).volume) == pytest.approx(1.0)


def extent(parts):
    vertices = np.concatenate([mesh.vertices for mesh, _ in parts])
    return vertices.min(0), vertices.max(0)


@pytest.mark.parametrize("seed", range(6))
def test_things_have_the_sizes_of_things(seed):
    palette = Palette(np.random.default_rng(seed))
    low, high = extent(person(palette))
    assert -0.05 < low[2] < 0.1
    assert 1.4 < high[2] < 2.15
    low, high = extent(furniture.chair(palette))
    assert 0.7 < high[2] < 1.2
    assert (high - low)[:2].max() < 0.9
    low, high = extent(vehicles.car(palette))
    assert 3.5 < high[1] - low[1] < 5.6
    assert 1.5 < high[0] - low[0] < 2.5
    assert 1.3 < high[2] < 2.3
    low, high = extent(nature.tree(palette, 10.0))
    assert 3 < high[2] < 20
    low, high = extent(street.building(palette, 10.0, 8.0, 9.0))
    assert 9 < high[2] < 18


def test_development_keeps_the_order_of_light():
    ramp = np.repeat(np.linspace(0.01, 1, 400)[None, :, None], 60, 0) * np.ones(3)
    grey = developed(ramp, np.random.default_rng(0)).mean((0, 2))
    assert np.corrcoef(grey, np.arange(400))[0, 1] > 0.9
    assert grey[-40:].mean() > grey[:40].mean() + 60


def test_folders_name_their_style_and_textures(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save(tmp_path / "photos" / "a.png")
    options = {"kind": "indoor", "seed": 0, "count": 1, "height": 24, "width": 32}
    write_scenes(tmp_path / "plain", **options)
    write_scenes(tmp_path / "rich", **options, style="rich")
    write_scenes(tmp_path / "textured", **options, style="rich", textures=str(tmp_path / "photos"))
    plain, rich, textured = (
        json.loads((tmp_path / name / "scenes.json").read_text()) for name in ("plain", "rich", "textured")
    )
    assert plain == {"kind": "indoor", "seed": 0, "height": 24, "width": 32, "samples": 2, "version": 1, "count": 1}
    assert rich["style"] == "rich"
    assert "textures" not in rich
    assert len(textured["textures"]) == 8
    with pytest.raises(UserError, match="another recipe"):
        write_scenes(tmp_path / "rich", **options, style="rich", textures=str(tmp_path / "photos"))
    with pytest.raises(UserError, match="unknown scene style 'poor'"):
        write_scenes(tmp_path / "x", **options, style="poor")
