import json
import math

import numpy as np
import pytest

from dad.data.benchmarks import BENCHMARKS, open_benchmark
from dad.errors import UserError


@pytest.fixture
def scenes(tmp_path, pixels, encoded):
    """Three driving scenes of 30 x 40 pixels; depth is 0, 0.0005, 79.9, 80 and 10.5 in the first row's first pixels."""
    for folder in ("rgb", "depth", "lidar"):
        (tmp_path / folder).mkdir()
    for i in range(3):
        depth = np.full((30, 40), 5 + i, np.float32)
        depth[0, :5] = [0, 0.0005, 79.9, 80, 10.5]
        (tmp_path / "rgb" / f"{i:06d}.png").write_bytes(encoded(pixels(i)))
        np.save(tmp_path / "depth" / f"{i:06d}.npy", depth)
        np.save(tmp_path / "lidar" / f"{i:06d}.npy", np.where(np.arange(40) % 4 == 2, depth, 0).astype(np.float32))
    write_header(tmp_path, "driving")
    return tmp_path


def write_header(root, kind):
    (root / "scenes.json").write_text(
        json.dumps({"kind": kind, "count": 3, "seed": 70, "height": 30, "width": 40, "version": 1})
    )


def test_driving_scenes_are_scored_on_their_lidar(scenes, pixels):
    benchmark = open_benchmark("scenes-driving", scenes)
    assert (benchmark.name, benchmark.min_depth, benchmark.max_depth, benchmark.align_max_res) == (
        "scenes-driving",
        1e-3,
        80,
        None,
    )
    samples = list(benchmark)
    assert [(sample.id, sample.scene, sample.unit) for sample in samples] == [
        (f"rgb/{i:06d}.png", f"driving-{70 + i}", "m") for i in range(3)
    ]
    for i, sample in enumerate(samples):
        assert np.array_equal(sample.rgb, pixels(i))
        assert np.array_equal(sample.mask, np.broadcast_to(np.arange(40) % 4 == 2, (30, 40)))
        assert np.unique(sample.depth[1:][sample.mask[1:]]) == 5 + i
        assert (sample.depth.dtype, sample.mask.dtype) == (np.float32, bool)


def test_masks_are_strict_and_follow_the_range(scenes):
    for folder in ("lidar",):
        for path in (scenes / folder).iterdir():
            path.unlink()
        (scenes / folder).rmdir()
    for kind, expected in (("driving", [0, 0, 1, 0, 1]), ("outdoor", [0, 0, 1, 0, 1]), ("indoor", [0, 0, 0, 0, 0])):
        write_header(scenes, kind)
        benchmark = open_benchmark(f"scenes-{kind}", scenes)
        assert benchmark[0].mask[0, :6].tolist() == [*expected, 1]
        assert benchmark[0].mask[1:].all()
        assert benchmark.max_depth == (10 if kind == "indoor" else 80)


def test_scenes_that_are_not_whole_are_refused(scenes):
    with pytest.raises(UserError, match=r"holds driving scenes.*needs indoor"):
        open_benchmark("scenes-indoor", scenes)
    np.save(scenes / "lidar" / "000001.npy", np.zeros((30, 41), np.float32))
    with pytest.raises(UserError, match=r"lidar/000001\.npy: expected float32 \(30, 40\)"):
        open_benchmark("scenes-driving", scenes)[1]
    (scenes / "rgb" / "000000.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"rgb/000000\.png cannot be read"):
        open_benchmark("scenes-driving", scenes)[0]
    (scenes / "lidar" / "000002.npy").unlink()
    with pytest.raises(UserError, match=r"1 of 6 files.*lidar/000002\.npy"):
        open_benchmark("scenes-driving", scenes)
    (scenes / "scenes.json").write_text("{}")
    with pytest.raises(UserError, match=r"scenes\.json is damaged"):
        open_benchmark("scenes-driving", scenes)
    (scenes / "scenes.json").unlink()
    with pytest.raises(UserError, match="no scenes at"):
        open_benchmark("scenes-driving", scenes)


def test_an_unknown_benchmark_is_refused_with_the_allowed_names(tmp_path):
    names = [
        "nyuv2",
        "kitti",
        "eth3d",
        "scannet",
        "diode",
        "scenes-indoor",
        "scenes-outdoor",
        "scenes-driving",
        "samples",
    ]
    with pytest.raises(UserError, match=f"'nyu', allowed are {', '.join(names)}"):
        open_benchmark("nyu", tmp_path)
    assert list(BENCHMARKS) == names


HEADER = "name,rgb,gt,kind,unit,scale,dataset,domain,note"
ROWS = [
    "room,a.png,a_gt.png,depth,m,0.001,NYUv2,indoor,",
    'stereo,sub/b.jpg,b_gt.png,disparity,px,0.25,Middlebury,indoor tabletop,"with, comma"',
]


@pytest.fixture
def pairs(make_folder, pixels, encoded):
    """A folder with two pairs and their manifest.csv; returns (folder, stored depth, stored disparity)."""
    random = np.random.default_rng(0)
    depth, disparity = (random.integers(1, 65536, (30, 40), dtype=np.uint16) for _ in range(2))
    depth[:4], disparity[:, :7] = 0, 0
    folder = make_folder(
        {
            "a.png": encoded(pixels(1)),
            "sub/b.jpg": encoded(pixels(2), "JPEG"),
            "a_gt.png": encoded(depth),
            "b_gt.png": encoded(disparity),
            "manifest.csv": "\n".join([HEADER, *ROWS, ""]).encode(),
        }
    )
    return folder, depth, disparity


def test_depth_and_disparity_are_read(pairs):
    folder, depth, disparity = pairs
    benchmark = open_benchmark("samples", folder)
    assert (len(benchmark), benchmark.min_depth, benchmark.max_depth, benchmark.align_max_res) == (
        2,
        1e-3,
        math.inf,
        None,
    )
    room, stereo = benchmark
    assert (room.id, room.scene, room.unit) == ("a.png", "NYUv2/indoor", "m")
    assert np.allclose(room.depth, depth / 1000, rtol=1e-6)
    assert np.array_equal(room.mask, depth > 1)
    assert (stereo.id, stereo.scene, stereo.unit) == ("sub/b.jpg", "Middlebury/indoor tabletop", "relative")
    assert np.array_equal(stereo.mask, disparity > 0)
    assert (stereo.depth[~stereo.mask] == 0).all()
    product = stereo.depth[stereo.mask] * disparity[stereo.mask]
    assert np.allclose(product, product[0], rtol=1e-5)  # depth is proportional to 1 / disparity
    assert np.median(stereo.depth[stereo.mask]) == pytest.approx(1)
    assert all(sample.depth.dtype == np.float32 and sample.rgb.shape == (30, 40, 3) for sample in (room, stereo))


def test_a_csv_file_can_be_given_and_scene_overrides_the_grouping(pairs, encoded):
    folder, depth, _ = pairs
    (folder / "own.csv").write_text(
        "\ufeffscale,gt,rgb,kind,scene\n2,a_gt.png,a.png,depth,kitchen\n1,b_gt.png,sub/b.jpg,disparity,\n"
    )
    room, stereo = open_benchmark("samples", folder / "own.csv")
    assert room.scene == "kitchen"
    assert stereo.scene == "sub/b.jpg"
    assert np.array_equal(room.depth, depth.astype(np.float32) * 2)
    (folder / "b_gt.png").write_bytes(encoded(np.zeros((30, 40), np.uint16)))
    empty = open_benchmark("samples", folder)[1]
    assert not empty.mask.any()
    assert not empty.depth.any()


def change(row, column, value):
    fields = row.split(",")
    fields[HEADER.split(",").index(column)] = value
    return ",".join(fields)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("kind", "height", r"line 2 \(room\): kind is 'height', allowed are depth, disparity"),
        ("kind", "", r"line 2 \(room\): kind is empty"),
        ("scale", "-1", r"line 2 \(room\): scale is '-1'"),
        ("scale", "nan", r"line 2 \(room\): scale is 'nan'"),
        ("scale", "1/5000", r"line 2 \(room\): scale is '1/5000'"),
        ("unit", "mm", r"line 2 \(room\): unit is 'mm'"),
        ("rgb", "missing.png", r"line 2 \(room\): .*missing\.png does not exist"),
        ("gt", "missing.png", r"line 2 \(room\): .*missing\.png does not exist"),
        ("gt", "eight.png", r"line 2 \(room\): .*eight\.png is PNG of mode L, ground truth must be a 16-bit grey PNG"),
        ("gt", "colour.jpg", r"line 2 \(room\): .*colour\.jpg is JPEG of mode RGB"),
        ("gt", "wide.png", r"line 2 \(room\): a\.png is 40 x 30, .*wide\.png is 41 x 30"),
        ("gt", "text.png", r"line 2 \(room\): .*text\.png cannot be read \(not an image\)"),
        ("rgb", "sub/b.jpg", r"line 3 \(stereo\): sub/b\.jpg was listed before in line 2"),
    ],
)
def test_a_wrong_row_is_named(pairs, pixels, encoded, column, value, message):
    folder, depth, _ = pairs
    (folder / "eight.png").write_bytes(encoded(depth.astype(np.uint8)))
    (folder / "colour.jpg").write_bytes(encoded(pixels(0), "JPEG"))
    (folder / "wide.png").write_bytes(encoded(np.zeros((30, 41), np.uint16)))
    (folder / "text.png").write_bytes(b"text")
    (folder / "manifest.csv").write_text("\n".join([HEADER, change(ROWS[0], column, value), ROWS[1]]))
    with pytest.raises(UserError, match=message):
        open_benchmark("samples", folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "column rgb, gt, kind, scale is missing"),
        (b"rgb,gt,kind\n", "column scale is missing"),
        (HEADER.encode(), "has no rows"),
        (HEADER.encode() + b"\nshort,a.png\n", r"line 2 \(short\): gt, kind, scale is empty"),
        (b"\xff\xfe\x00", "is not a CSV text"),
    ],
)
def test_a_wrong_manifest_is_refused(pairs, text, message):
    folder, _, _ = pairs
    (folder / "manifest.csv").write_bytes(text)
    with pytest.raises(UserError, match=message):
        open_benchmark("samples", folder)


def test_damaged_pixels_are_named_when_read(pairs):
    folder, _, _ = pairs
    data = (folder / "a_gt.png").read_bytes()
    (folder / "a_gt.png").write_bytes(data[: len(data) // 2])
    benchmark = open_benchmark("samples", folder)
    with pytest.raises(UserError, match=r"line 2 \(room\): .*a_gt\.png cannot be read"):
        benchmark[0]
    assert benchmark[1].mask.any()
    with pytest.raises(IndexError):
        benchmark[2]


CAMERAS = {
    "camera.json": json.dumps({"fx": 500, "fy": 510.5, "cx": 20, "cy": 15, "width": 40}),
    "no_fy.json": json.dumps({"fx": 500, "cx": 20, "cy": 15}),
    "negative.json": json.dumps({"fx": -500, "fy": 500, "cx": 20, "cy": 15}),
    "infinite.json": json.dumps({"fx": 500, "fy": 500, "cx": math.inf, "cy": 15}),
}


@pytest.fixture
def annotated(pairs, encoded):
    """annotated([(mask, camera), (mask, camera)]) lists two such pairs; gives (benchmark, depth, disparity, chosen)."""
    folder, depth, disparity = pairs
    chosen = np.random.default_rng(1).random((30, 40)) < 0.3
    masks = {
        "mask.png": chosen * np.uint8(7),
        "none.png": np.zeros((30, 40), np.uint8),
        "wide.png": np.ones((30, 41), np.uint8),
        "deep.png": np.ones((30, 40), np.uint16),
        "colour.png": np.ones((30, 40, 3), np.uint8),
    }
    for name, mask in masks.items():
        (folder / name).write_bytes(encoded(mask))
    for name, text in CAMERAS.items():
        (folder / name).write_text(text)

    def make(fields):
        rows = ["a.png,a_gt.png,depth,0.001,{},{}", "sub/b.jpg,b_gt.png,disparity,0.25,{},{}"]
        lines = [
            "rgb,gt,kind,scale,mask,camera",
            *(row.format(*field) for row, field in zip(rows, fields, strict=True)),
        ]
        (folder / "manifest.csv").write_text("\n".join(lines))
        return open_benchmark("samples", folder), depth, disparity, chosen

    return make


def test_a_mask_narrows_what_is_scored_and_the_median_of_disparity(annotated):
    (room, stereo), depth, disparity, chosen = annotated([("mask.png", "camera.json"), ("mask.png", "500 510.5 20 15")])
    assert np.array_equal(room.mask, (depth > 1) & chosen)
    assert np.allclose(room.depth, depth / 1000, rtol=1e-6)
    assert np.array_equal(stereo.mask, (disparity > 0) & chosen)
    assert np.median(stereo.depth[stereo.mask]) == pytest.approx(1)
    product = stereo.depth[disparity > 0] * disparity[disparity > 0]
    assert np.allclose(product, product[0], rtol=1e-5)


def test_empty_optional_fields_and_empty_masks(annotated):
    (room, stereo), depth, _, _ = annotated([("", ""), ("none.png", "")])
    assert np.array_equal(room.mask, depth > 1)
    assert not stereo.mask.any()
    assert np.isfinite(stereo.depth).all()


@pytest.mark.parametrize(
    ("mask", "camera", "message"),
    [
        ("missing.png", "", r"missing\.png does not exist"),
        ("wide.png", "", r"a\.png is 40 x 30, .*wide\.png is 41 x 30"),
        ("deep.png", "", r"deep\.png is PNG of mode I;16, a mask must be an 8-bit grey PNG"),
        ("colour.png", "", r"colour\.png is PNG of mode RGB, a mask must be an 8-bit grey PNG"),
        ("camera.json", "", r"camera\.json cannot be read \(not an image\)"),
        ("", "lens.json", r"camera .*lens\.json does not exist; give a JSON file or the numbers fx fy cx cy"),
        ("", "no_fy.json", r"no_fy\.json is no camera file"),
        ("", "negative.json", r"negative\.json: fx and fy must be positive"),
        ("", "infinite.json", r"infinite\.json is no camera file"),
        ("", "mask.png", r"mask\.png is no camera file"),
        ("", "500 500 20", r"camera is '500 500 20', it must have the numbers fx fy cx cy"),
        ("", "500 0 20 15", r"camera is '500 0 20 15'"),
        ("", "500 500 nan 15", r"camera is '500 500 nan 15'"),
    ],
)
def test_a_wrong_mask_or_camera_is_named(annotated, mask, camera, message):
    with pytest.raises(UserError, match=r"line 2 \(a\.png\): .*" + message):
        annotated([(mask, camera), ("", "")])


def test_a_damaged_mask_is_named_when_read(annotated):
    benchmark, *_ = annotated([("mask.png", ""), ("", "")])
    data = (benchmark.root / "mask.png").read_bytes()
    (benchmark.root / "mask.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"line 2 \(a\.png\): .*mask\.png cannot be read"):
        benchmark[0]
    assert benchmark[1].mask.any()
