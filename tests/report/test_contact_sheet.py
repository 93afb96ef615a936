import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dad.errors import UserError
from dad.report.colour import NO_VALUE, colourise
from dad.report.contact_sheet import GAP, MARGIN, contact_sheet

RAMP = np.tile(np.linspace(0, 1, 101, dtype=np.float32), (40, 1))


def test_near_is_red_and_far_is_blue():
    coloured = colourise(RAMP)
    assert coloured.dtype == np.uint8
    assert coloured.shape == (40, 101, 3)
    red, blue = coloured[..., 0].astype(int), coloured[..., 2].astype(int)
    assert (red[:, -1] > blue[:, -1] + 50).all()
    assert (blue[:, 0] > red[:, 0] + 50).all()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 100))
def test_scale_and_shift_do_not_show(scale, shift, seed):
    disparity = np.random.default_rng(seed).random((9, 11))
    difference = colourise(disparity).astype(int) - colourise(scale * disparity + shift).astype(int)
    # one step of the 256 colours, where rounding moves a value over a border
    assert np.abs(difference).max() <= 8


def test_a_few_outliers_do_not_use_up_the_colours():
    spoiled = RAMP.copy()
    spoiled[0, :5] = 1e6
    difference = colourise(spoiled)[1:].astype(int) - colourise(RAMP)[1:].astype(int)
    assert np.abs(difference).max() <= 8


def test_pixels_without_a_number_are_grey_and_maps_without_spread_have_one_colour():
    holes = RAMP.copy()
    holes[3, 4], holes[5, 6] = np.nan, np.inf
    assert tuple(colourise(holes)[3, 4]) == NO_VALUE
    assert tuple(colourise(holes)[5, 6]) == NO_VALUE
    assert len(np.unique(colourise(np.full((4, 5), 2.0)).reshape(-1, 3), axis=0)) == 1
    assert (colourise(np.full((4, 5), np.nan)) == NO_VALUE).all()


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_tiles_lie_in_rows_of_photos_and_columns_of_estimators(tmp_path):
    tile = 101
    photos = [("first.jpg", photo(40, tile)), ("second.jpg", photo(40, tile, 1))]
    maps = {"teacher": [RAMP, RAMP[:, ::-1]], "student one\nsecond line": [RAMP[::-1] * 3 + 1, RAMP]}
    contact_sheet(photos, maps, tmp_path / "sheet.png", title="A title", tile=tile)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 2 * MARGIN + 3 * tile + 2 * GAP
    places = [slice(MARGIN + index * (tile + GAP), MARGIN + index * (tile + GAP) + tile) for index in range(3)]
    tops = [top for top in range(sheet.shape[0] - 40) if np.array_equal(sheet[top : top + 40, places[0]], photos[0][1])]
    assert len(tops) == 1
    top = tops[0]
    assert np.array_equal(sheet[top : top + 40, places[1]], colourise(maps["teacher"][0]))
    assert np.array_equal(sheet[top : top + 40, places[2]], colourise(maps["student one\nsecond line"][0]))
    below = [row for row in range(top + 40, sheet.shape[0] - 39) if np.array_equal(sheet[row : row + 40, places[0]], photos[1][1])]
    assert len(below) == 1
    assert np.array_equal(sheet[below[0] : below[0] + 40, places[1]], colourise(maps["teacher"][1]))


def test_maps_of_another_size_and_upright_photos_fit_their_tiles(tmp_path):
    contact_sheet([("tall", photo(300, 100)), ("wide", photo(50, 200))], {"m": [RAMP, RAMP]}, tmp_path / "sheet.png", tile=120)
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.width == 2 * MARGIN + 2 * 120 + GAP
    assert 162 + 30 < sheet.height < 162 + 30 + 120


def test_the_same_input_gives_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        contact_sheet([("one", photo(30, 40))], {"a very long column title that needs several lines": [RAMP]}, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_mistakes_are_refused(tmp_path):
    with pytest.raises(UserError, match="at least one photo"):
        contact_sheet([], {}, tmp_path / "sheet.png")
    with pytest.raises(UserError, match="column 'm' has 2 maps for 1 photos"):
        contact_sheet([("one", photo(30, 40))], {"m": [RAMP, RAMP]}, tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())
