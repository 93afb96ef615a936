"""Metres from measured points: closed forms, invariances, and every refusal."""

import json
import math
import os

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dad.cli import main
from dad.errors import UserError
from dad.evaluation.calibration import calibrate, read_points

DEPTH = np.linspace(1, 9, 30 * 40).reshape(30, 40)


def points_at(places, depth=DEPTH):
    """Rows x, y, metres for (row, column) places."""
    return np.array([[column, row, depth[row, column]] for row, column in places], np.float64)


FOUR = [(0, 0), (10, 5), (20, 39), (29, 20)]


@pytest.mark.parametrize(("kind", "relative"), [("disparity", 3 / DEPTH + 0.7), ("depth", 5 * DEPTH - 2)])
def test_an_affine_map_comes_back_in_metres(kind, relative):
    found = calibrate(relative.astype(np.float32), points_at(FOUR), kind=kind)
    expected = (1 / 3, -0.7 / 3) if kind == "disparity" else (1 / 5, 2 / 5)
    assert (found.scale, found.shift) == pytest.approx(expected, rel=1e-5)
    metres = found.apply(relative)
    assert metres.dtype == np.float32
    np.testing.assert_allclose(metres, DEPTH, rtol=2e-5)
    assert found.errors.max() < 1e-5
    assert found.expected < 1e-5


def weighted(values, metres, kind):
    """The same fit by numpy's least squares on the written-out system."""
    weights = metres if kind == "disparity" else 1 / metres
    system = np.stack([values, np.ones_like(values)], 1) * weights[:, None]
    return np.linalg.lstsq(system, np.ones_like(values), rcond=None)[0]


@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.sampled_from(["disparity", "depth"]))
@settings(max_examples=60, deadline=None)
def test_the_fit_and_the_errors_are_least_squares_with_one_left_out(seed, count, kind):
    rng = np.random.default_rng(seed)
    metres = rng.uniform(0.5, 20, count)
    values = (1 / metres if kind == "disparity" else metres) * 2.5 + 0.3
    values = values * np.exp(0.02 * rng.standard_normal(count))
    relative = np.zeros((1, count))
    relative[0] = values
    assume(np.ptp(metres) > 1)
    points = np.stack([np.arange(count), np.zeros(count), metres], 1)
    assume(weighted(values, metres, kind)[0] > 1e-9)
    found = calibrate(relative, points, kind=kind)
    assert (found.scale, found.shift) == pytest.approx(tuple(weighted(values, metres, kind)), rel=1e-6, abs=1e-9)
    for index in range(count):
        others = np.arange(count) != index
        scale, shift = weighted(values[others], metres[others], kind)
        aligned = scale * values[index] + shift
        expected = (1 / aligned if kind == "disparity" else aligned) if aligned > 0 else math.inf
        assert found.left_out[index] == pytest.approx(expected, rel=1e-5)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.01, 100),
    st.floats(-50, 50),
    st.floats(0.05, 20),
    st.sampled_from(["disparity", "depth"]),
)
@settings(max_examples=60, deadline=None)
def test_neither_the_maps_own_scale_and_shift_nor_the_unit_matter(seed, factor, offset, unit, kind):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, 9, (6, 7))
    relative = (1 / depth if kind == "disparity" else depth) + 0.01 * rng.standard_normal(depth.shape)
    points = points_at([(0, 0), (1, 3), (4, 6), (5, 2), (3, 3)], depth)
    assume(np.ptp(points[:, 2]) > 2)
    first = calibrate(relative, points, kind=kind)
    other = calibrate(factor * relative + offset, points, kind=kind)
    np.testing.assert_allclose(other.apply(factor * relative + offset), first.apply(relative), rtol=1e-4)
    np.testing.assert_allclose(other.errors, first.errors, rtol=1e-3, atol=1e-6)
    scaled = calibrate(relative, points * [1, 1, unit], kind=kind)
    np.testing.assert_allclose(scaled.apply(relative), unit * first.apply(relative), rtol=1e-4)
    np.testing.assert_allclose(scaled.errors, first.errors, rtol=1e-5, atol=1e-9)


def test_a_scale_alone_needs_one_point():
    relative = 4 / DEPTH
    found = calibrate(relative, points_at([(3, 3)]), kind="disparity", scale_only=True)
    assert (found.scale, found.shift) == (pytest.approx(0.25), 0)
    np.testing.assert_allclose(found.apply(relative), DEPTH, rtol=1e-6)
    assert np.isnan(found.left_out).all() and math.isnan(found.expected)
    with pytest.raises(UserError, match="the map is 0 at every point"):
        calibrate(0 * relative, points_at([(3, 3)]), kind="disparity", scale_only=True)
    two = calibrate(np.array([[2.0, 1.0]]), [[0, 0, 1.0], [1, 0, 1.0]], kind="depth", scale_only=True)
    assert two.scale == pytest.approx((2 + 1) / (4 + 1))
    assert two.left_out == pytest.approx([2.0, 0.5])  # each by the other's scale


def test_just_enough_points_have_no_error_and_one_that_decides_alone_has_none_either():
    two = calibrate(DEPTH, points_at(FOUR[:2]), kind="depth")
    assert np.isnan(two.errors).all() and math.isnan(two.expected)
    # without the third point the others have one value
    three = calibrate(np.array([[1.0, 1.0, 2.0]]), [[0, 0, 3.0], [1, 0, 3.3], [2, 0, 6.0]], kind="depth")
    assert list(np.isnan(three.errors)) == [False, False, True]
    assert three.expected > 0


def test_what_lies_beyond_infinity_has_no_distance():
    relative = np.array([[4.0, 2.0, 1.0, 0.9]])
    found = calibrate(relative, [[0, 0, 1.0], [1, 0, 3.0]], kind="disparity")  # 1/3 per unit, zero at 1
    assert found.apply(relative)[0, :2] == pytest.approx([1, 3])
    assert np.isnan(found.apply(relative)[0, 3])


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 0, 1.0]], "points.csv: 1 points, and at least two, for scale and shift"),
        ([[0, 0, 1.0], [1, 0, 0.0]], "point 2 (1, 0): the distance is 0; metres above 0 are needed"),
        ([[0, 0, 1.0], [1, 0, -2.0]], "the distance is -2"),
        ([[0, 0, 1.0], [40, 0, 2.0]], "point 2 (40, 0) lies outside the map, which is 40 pixels wide and 30 high"),
        ([[0, 0, 1.0], [0, 29.6, 2.0]], "lies outside"),
        ([[0, 0, 1.0], [math.nan, 0, 2.0]], "lies outside"),
        ([[0, 0, 1.0], [0.3, 0.2, 2.0]], "point 2 (0.3, 0.2) is the same pixel as point 1"),
        ([[0, 0, 9.0], [39, 29, 1.0]], "are x and y swapped, or is the map of the kind 'disparity'?"),
        ([[0, 0, 5.0], [39, 29, 5.0]], "the fit's scale is"),
        ([[1, 1, 2.0], [2, 1, 3.0], [3, 1, 4.0]], "the map is 7 at all 3 points"),
        ([[4, 4, 2.0], [5, 5, 3.0]], "point 1 (4, 4): the map is nan there"),
        ([[0, 0], [1, 1]], "rows of x, y, metres are needed"),
    ],
)
def test_points_that_fix_nothing_are_refused(points, message):
    relative = DEPTH.copy()
    relative[1, 1:4], relative[4, 4] = 7, np.nan
    with pytest.raises(UserError) as caught:
        calibrate(relative, points, kind="depth", source="points.csv")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_maps_and_kinds_that_cannot_be_meant():
    with pytest.raises(UserError, match="it must be depth or disparity"):
        calibrate(DEPTH, points_at(FOUR), kind="metres")
    with pytest.raises(UserError, match=r"one \(H,W\) of numbers is needed"):
        calibrate(DEPTH[None], points_at(FOUR), kind="depth")


def test_points_files(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("name, metres,x,y\nlamp,2.5,10,20\n\ndoor,4,11.5,3\n")
    np.testing.assert_array_equal(read_points(path), [[10, 20, 2.5], [11.5, 3, 4]])
    path.write_text("x,y\n1,2\n")
    with pytest.raises(UserError, match=r"points.csv: column metres is missing; the first line must name x, y, metres"):
        read_points(path)
    path.write_text("x,y,metres\n1,2,3\n1,2,far\n")
    with pytest.raises(UserError, match=r"points.csv line 3: '1,2,far' is not a pixel and its metres"):
        read_points(path)


def test_the_verb(tmp_path, capsys):
    relative = (2 / DEPTH + 0.1).astype(np.float32)
    np.save(tmp_path / "map.npy", relative)
    lines = "".join(f"{x:g},{y:g},{metres}\n" for x, y, metres in points_at(FOUR))
    (tmp_path / "points.csv").write_text(f"x,y,metres\n{lines}")
    given = [
        "calibrate",
        "--points",
        str(tmp_path / "points.csv"),
        "--map",
        str(tmp_path / "map.npy"),
        "--device",
        "cpu",
    ]
    out, report = tmp_path / "metres.npy", tmp_path / "fit.json"
    assert main([*given, "--kind", "disparity", "--out", str(out), "--report", str(report)]) == 0
    printed = capsys.readouterr().out
    assert "1/m = 0.5 x disparity + -0.05, from 4 points" in printed
    assert "error at a point that was left out: 0.0% in the middle" in printed
    np.testing.assert_allclose(np.load(out), DEPTH, rtol=1e-4)
    written = json.loads(report.read_text())
    assert written["points"][1] | {"value": 0, "fitted": 0, "left_out": 0, "error": 0} == {
        **{"x": 5, "y": 10, "metres": DEPTH[10, 5]},
        **{"value": 0, "fitted": 0, "left_out": 0, "error": 0},
    }
    assert (written["kind"], written["pixels_without_distance"]) == ("disparity", 0)
    assert main([*given, "--kind", "disparity", "--out", str(tmp_path / "map.npy")]) == 2
    assert "is --map, which is read" in capsys.readouterr().err
    assert main([*given, "--out", str(out)]) == 2
    assert "--map needs --kind" in capsys.readouterr().err
    assert main([*given, "--kind", "depth", "--out", str(tmp_path / "new.npy")]) == 2
    assert "is the map of the kind 'disparity'?" in capsys.readouterr().err
    assert not (tmp_path / "new.npy").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "x,y,metres\n10,20,2,5\n",
            "line 2: '10,20,2,5' has 4 fields, the first line has 3: decimals are written with a point",
        ),
        ("x,x,y,metres\n1,10,20,2.5\n", "column x stands there twice"),
        ('x,y,metres\n"' + "1" * 200_000 + '",2,3\n', "is not a CSV text"),
    ],
)
def test_points_that_would_be_read_otherwise_than_meant(tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_points(tmp_path / "p.csv")


def test_what_float32_cannot_hold_has_no_distance():
    found = calibrate(1 / np.array([[1.0, 2.0, 4.0]]), [[0, 0, 1], [1, 0, 2]], kind="disparity", scale_only=True)
    with np.errstate(over="raise"):
        metres = found.apply(np.array([[1.0, 0.5, 0.25, 1e-40, 1e300]]))
    np.testing.assert_allclose(metres[0, :3], [1, 2, 4], rtol=1e-6)
    assert np.isnan(metres[0, 3:]).all()
    assert metres.dtype == np.float32


def test_a_map_that_is_a_pipe_is_refused_and_never_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "m.npy")
    (tmp_path / "p.csv").write_text("x,y,metres\n1,2,3\n4,5,6\n")
    words = ["calibrate", "--map", str(tmp_path / "m.npy"), "--kind", "depth", "--points", str(tmp_path / "p.csv")]
    assert main([*words, "--out", str(tmp_path / "out.npy")]) == 2
    assert "is not a readable .npy file (it is no regular file)" in capsys.readouterr().err
