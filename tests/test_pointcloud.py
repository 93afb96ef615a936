"""Points seen from elsewhere; `dad predict --points` and Fig. 10 test what comes before."""

import numpy as np

from dad.pointcloud import View, Window, filled_window, moved, splat

STRAIGHT = View(0, 0, away=1)


def test_moving_keeps_the_pivot_ahead():
    pivot = moved(np.array([[0.0, 0.0, 5.0]]), View(30, 10, away=1.5), 5.0)
    np.testing.assert_allclose(pivot, [[0, 0, 7.5]])
    # seen from the right, what is nearer on the axis moves to the left
    assert moved(np.array([[0.0, 0.0, 3.0]]), View(30, 0), 5.0)[0, 0] < 0


def test_unmoved_points_are_the_picture():
    rows, columns = np.indices((4, 5))
    rgb = np.random.default_rng(0).integers(0, 200, (20, 3)).astype(np.uint8)
    points = np.stack([(columns - 2) / 10 * 3, (rows - 1.5) / 10 * 3, np.full((4, 5), 3.0)], -1).reshape(-1, 3)
    picture = splat(points, rgb, STRAIGHT, Window(10, 2, 1.5, (4, 5)), pivot=3, focal=40)
    np.testing.assert_array_equal(picture.reshape(-1, 3), rgb)


def test_nearest_point_wins_in_either_order():
    points = np.array([[0, 0, 2.0], [0, 0, 4.0]])
    rgb = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    for order in ([0, 1], [1, 0]):
        picture = splat(points[order], rgb[order], STRAIGHT, Window(10, 1, 1, (3, 3)), pivot=3, focal=40)
        assert picture[1, 1].tolist() == [255, 0, 0]
        assert picture[0, 0].tolist() == [255, 255, 255]


def test_a_near_point_stays_in_front_of_the_square_of_a_far_one():
    points = np.array([[0.2, 0, 2.0], [0, 0, 4.0]])
    rgb = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    picture = splat(points, rgb, STRAIGHT, Window(10, 3, 3, (7, 7)), pivot=3, focal=10, thick=3)
    assert (picture[2:5, 3:6] == [255, 0, 0]).all() and (picture[2:5, 2] == [0, 0, 255]).all()
    assert (picture == 255).all(-1).sum() == 49 - 12


def test_frame_is_filled():
    points = np.random.default_rng(0).uniform((-1, -1, 4), (1, 1, 6), (2000, 3))
    window = filled_window(points, STRAIGHT, pivot=5, focal=150, size=(100, 100))
    x = window.focal * points[:, 0] / points[:, 2] + window.x
    assert ((x > 0) & (x < 99)).mean() > 0.97 and np.ptp(x) > 90
