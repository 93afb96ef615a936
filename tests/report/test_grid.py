"""The parts that figures are built from: which images, and where tiles lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dad.report.colour import NO_VALUE, colourise
from dad.report.grid import LETTER, WORST, Chart, Grid, Tile, broken_up, error_tile, map_tile
from dad.report.pictures import Picture, cut, evenly, region_of, true_disparity
from dad.report.style import styled


@given(total=st.integers(1, 500), count=st.integers(1, 50))
def test_evenly_spread(total, count):
    chosen = evenly(total, count)
    assert len(chosen) == len(set(chosen)) == min(total, count)
    assert chosen == sorted(chosen) and chosen[0] >= 0 and chosen[-1] < total
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_evenly_takes_the_middle():
    assert evenly(60, 1) == [30] and evenly(60, 2) == [15, 45] and evenly(2, 8) == [0, 1]


def test_sparse_truth_is_thickened_and_the_nearer_wins():
    depth = np.zeros((9, 9), np.float32)
    depth[4, 3], depth[4, 5] = 2, 4
    disparity = true_disparity(Picture("a", "b", np.zeros((9, 9, 3), np.uint8), depth, depth > 0))
    assert disparity[4, 4] == 0.5 and disparity[4, 6] == 0.25 and np.isnan(disparity[0, 0])


def test_tiles_do_not_overlap_and_keep_the_aspect():
    with styled():
        tiles = [Tile(np.zeros((48, 64, 3), np.uint8))] * 2
        sheet = Grid(["r", "s"], [("a", tiles), ("b\nc", tiles)], heights=[0.75, 1.6], title="t", gaps={1: 0.3})
    first, third, second, fourth = (axes.get_position() for axes in sheet.figure.axes)
    places = [first, second, third, fourth]
    for place in places:
        assert place.width * sheet.width / (place.height * sheet.height) == pytest.approx(64 / 48)
        assert 0 < place.x0 < place.x1 < 1 and 0 < place.y0 < place.y1 < 1
    assert places[0].x1 < places[1].x0 and places[2].y1 < places[0].y0


def test_a_tile_keeps_no_more_pixels_than_are_drawn_and_its_box_stays_in_its_own():
    large = np.zeros((1000, 3000, 3), np.uint8)
    large[:, 1500:] = 200
    tile = Tile(large, box=(1500, 0, 3000, 1000))
    assert tile.shape == (1000, 3000) and tile.pixels.shape == (267, 800, 3) and tile.pixels.max() == 200
    with styled():
        grid = Grid(["a"], [("photo", [tile])], title="t")
    axes = next(one for one in grid.figure.axes if one.get_images())
    place = axes.get_position()
    assert place.width * grid.width / (place.height * grid.height) == pytest.approx(3)
    assert axes.get_images()[0].get_extent() == [-0.5, 2999.5, 999.5, -0.5]
    assert {float(x) for line in axes.lines for x in line.get_xdata()} == {1499.5, 2999.5}


def test_the_words_beside_the_colours_stay_on_a_narrow_sheet():
    key = "disparity; where the truth is known, on its scale"
    tile = Tile(np.zeros((24, 32, 3), np.uint8))
    with styled():
        grid = Grid(["a"], [(name, [tile]) for name in "abc"], title="t", tile=1.35)
        grid.key(key)
        [words] = [text for text in grid.figure.texts if text.get_text().replace("\n", " ") == key]
        right = words.get_window_extent(grid.figure.canvas.get_renderer()).x1
    assert "\n" in words.get_text() and right <= grid.figure.bbox.x1


def test_a_grid_of_pictures_has_a_row_per_image_and_a_column_per_estimator():
    photos = [np.full((24, 32, 3), 40 * index, np.uint8) for index in range(3)]
    with styled():
        columns = [
            ("photo", [Tile(photo, box=(2, 3, 9, 9)) for photo in photos]),
            ("map", [Tile(photos[0]), None, "none"]),
        ]
        grid = Grid(["a", "b", "c"], columns, title="many words " * 20)
        grid.key()
    shown = [axes.get_images()[0].get_array() for axes in grid.figure.axes if axes.get_images()]
    assert [one.shape for one in shown] == [(24, 32, 3)] * 4
    assert [int(one.max()) for one in shown] == [0, 40, 80, 0]
    texts = [text.get_text() for text in grid.figure.texts]
    assert {"a", "b", "c", "photo", "map"} <= set(texts)
    assert [text.get_text() for text in grid.figure.axes[-1].get_xticklabels()] == ["far", "near"]
    assert any(text.count("\n") >= 5 and text.startswith("many words") for text in texts)
    assert "none" in [text.get_text() for axes in grid.figure.axes for text in axes.texts]


def test_a_chart_spans_its_rows_and_leaves_room_for_its_labels():
    drawn = []
    tiles = [Tile(np.zeros((30, 40, 3), np.uint8))] * 2
    with styled():
        grid = Grid(
            ["a", "b"],
            [("photo", tiles), ("chart", [Chart(drawn.append, rows=2, inset=(0.4, 0, 0.1, 0.3)), None])],
            title="t",
        )
    (place,) = (axes.get_position() for axes in drawn)
    left, bottom, right, top = grid.place(0, 1, rows=2)
    assert (bottom, top) == (grid.place(1, 0)[1], grid.place(0, 0)[3]) and right - left == pytest.approx(1.5)
    ends = [place.x0 * grid.width, place.y0 * grid.height, place.x1 * grid.width, place.y1 * grid.height]
    assert ends == pytest.approx([left + 0.4, bottom + 0.3, right - 0.1, top])


def test_a_map_is_coloured_as_it_is_drawn_and_keeps_its_own_pixels_for_boxes():
    ramp = np.tile(np.linspace(0, 1, 1600), (400, 1))
    tile = map_tile(ramp, box=(800, 0, 1600, 400))
    assert tile.pixels.shape == (200, 800, 3) and tile.shape == (400, 1600)
    assert np.array_equal(map_tile(ramp[:100, :700]).pixels, colourise(ramp[:100, :700]))
    alike = map_tile(ramp[:, :800], like=ramp)
    assert np.array_equal(alike.pixels[0, ::2], tile.pixels[0, :400])
    wrong = error_tile(np.array([[0, WORST], [2 * WORST, np.nan]])).pixels
    assert np.array_equal(wrong[0, 1], wrong[1, 0]) and tuple(wrong[1, 1]) == NO_VALUE and wrong[0, 0].max() < 10


def test_a_region_is_a_share_of_a_picture_and_stays_in_it():
    values = np.arange(60).reshape(6, 10)
    assert region_of(values.shape, (0.5, 0.2), 0.4) == (2, 3, 6, 5)
    assert np.array_equal(cut(values, (2, 3, 6, 5)), values[3:5, 2:6])
    assert region_of((6, 10, 3), (0.9, 0.8), 0.5) == (8, 5, 10, 6)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("teacher\nmine.teachers:ContrastRamp", "teacher\nmine.\nteachers:\nContrast\nRamp"),
        ("no skill", "no skill"),
        ("small-teacher", "small-\nteacher"),
        ("Ours of two", "Ours of\ntwo"),
    ],
)
def test_names_are_broken_at_their_joints(text, broken):
    assert broken_up(text, 9.5 * LETTER * 10 / 72, 10) == broken
