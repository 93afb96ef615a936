import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dad.report.colour import NO_VALUE, colourise

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


def test_a_scale_can_be_taken_from_another_map():
    ramp = np.linspace(0, 1, 101)[None]
    assert np.array_equal(colourise(ramp * 2, like=ramp * 2), colourise(ramp))
    assert (colourise(ramp + 5, like=ramp) == colourise(ramp)[:, -1]).all()
    holes = ramp.copy()
    holes[0, 5:9] = np.nan
    assert np.array_equal(colourise(ramp, like=holes)[0, 0], colourise(ramp)[0, 0])
    assert np.array_equal(colourise(ramp, like=np.full((1, 3), np.nan)), colourise(ramp))
