"""Coloured points seen from another place: every point drawn as a square of the size that its pixel has from there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BACKGROUND = 255
FILL = 0.96
CLOSEST = 2.0
LARGEST_SQUARE = 9
"""Pixels; a point that comes much nearer than it was leaves gaps rather than blocks."""


@dataclass(frozen=True)
class View:
    """A camera turned around a pivot on the old optical axis: degrees to the right and up, farther away by a factor."""

    right: float
    up: float
    away: float = 1.2


def moved(points: NDArray[np.float64], view: View, pivot: float) -> NDArray[np.float64]:
    """Points (N,3) (x right, y down, z forward) in the coordinates of a camera moved around (0, 0, pivot)."""
    yaw, pitch = np.radians(view.right), np.radians(view.up)
    around_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    around_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    turned = (points - [0, 0, pivot]) @ (around_x @ around_y).T
    return turned + [0, 0, pivot * view.away]


@dataclass(frozen=True)
class Window:
    """Where the moved camera's picture of `size` (H,W) lies: focal length and principal point in its pixels."""

    focal: float
    x: float
    y: float
    size: tuple[int, int]


def filled_window(
    points: NDArray[np.float64], view: View, *, pivot: float, focal: float, size: tuple[int, int]
) -> Window:
    """A window that the points (N,3) fill, but for the outermost hundredth on each side.

    focal: of the old camera in pixels of a picture of this size; the new one is between it and CLOSEST times as long.
    """
    height, width = size
    seen = moved(points, view, pivot)
    seen = seen[seen[:, 2] > 1e-6]
    (left, right), (top, bottom) = (np.percentile(seen[:, axis] / seen[:, 2], (1, 99)) for axis in (0, 1))
    fits = FILL * min(width / max(right - left, 1e-6), height / max(bottom - top, 1e-6))
    closer = float(np.clip(fits, 0.6 * focal, CLOSEST * focal))
    x, y = (width - 1) / 2 - closer * (left + right) / 2, (height - 1) / 2 - closer * (top + bottom) / 2
    return Window(closer, float(x), float(y), size)


def splat(
    points: NDArray[np.float64],
    rgb: NDArray[np.uint8],
    view: View,
    window: Window,
    *,
    pivot: float,
    focal: float,
    thick: int = 1,
) -> NDArray[np.uint8]:
    """Points (N,3) with colours (N,3), seen by the moved camera, as a picture (H,W,3) on white; the nearest point wins.

    focal: of the old camera, in pixels of the map that the points come from. thick: least side of a point's square in
    pixels.
    """
    height, width = window.size
    seen = moved(points, view, pivot)
    ahead = np.flatnonzero((seen[:, 2] > 1e-6) & (points[:, 2] > 1e-6))
    ahead = ahead[np.argsort(-seen[ahead, 2], kind="stable")]  # from far to near: what is drawn last stays
    seen, depth, colour = seen[ahead], points[ahead, 2], rgb[ahead]
    column = window.focal * seen[:, 0] / seen[:, 2] + window.x
    row = window.focal * seen[:, 1] / seen[:, 2] + window.y
    # a pixel of the old camera is depth / focal wide in space; a pixel more closes the gaps of slanted surfaces
    side = np.ceil(depth / focal * window.focal / seen[:, 2] + 0.7)
    side = np.clip(side, thick, max(thick, LARGEST_SQUARE)).astype(int)
    point = np.repeat(np.arange(len(side)), side**2)  # once for every pixel of its square
    down, right = np.divmod(np.arange(len(point)) - (np.cumsum(side**2) - side**2)[point], side[point])
    y = np.rint(row - (side - 1) / 2).astype(int)[point] + down
    x = np.rint(column - (side - 1) / 2).astype(int)[point] + right
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    picture = np.full((height, width, 3), BACKGROUND, np.uint8)
    picture[y[inside], x[inside]] = colour[point[inside]]
    return picture
