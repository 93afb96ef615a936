"""Coloured points seen from another place: every point drawn as a square of the size that its pixel has from there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BACKGROUND = 255
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


def splat(
    points: NDArray[np.float64],
    rgb: NDArray[np.uint8],
    view: View,
    *,
    pivot: float,
    focal: float,
    size: tuple[int, int],
    thick: int = 1,
) -> NDArray[np.uint8]:
    """Points (N,3) with colours (N,3), seen by the moved camera, as a picture (H,W,3) on white; the nearest point wins.

    focal: of both cameras in pixels of a picture of this `size` (H,W). thick: least side of a point's square in pixels.
    """
    height, width = size
    seen = moved(points, view, pivot)
    ahead = (seen[:, 2] > 1e-6) & (points[:, 2] > 1e-6)
    seen, depth, colour = seen[ahead], points[ahead, 2], rgb[ahead]
    column = focal * seen[:, 0] / seen[:, 2] + (width - 1) / 2
    row = focal * seen[:, 1] / seen[:, 2] + (height - 1) / 2
    # a pixel of the old camera is depth / focal wide in space; half a pixel more closes the gaps of slanted surfaces
    side = np.clip(np.ceil(depth / seen[:, 2] + 0.5), thick, max(thick, LARGEST_SQUARE)).astype(int)
    places, distances, owners = [], [], []
    for dy in range(side.max(initial=0)):
        for dx in range(side.max(initial=0)):
            drawn = np.flatnonzero(side > max(dy, dx))
            y = np.rint(row[drawn] - (side[drawn] - 1) / 2).astype(int) + dy
            x = np.rint(column[drawn] - (side[drawn] - 1) / 2).astype(int) + dx
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            places.append((y * width + x)[inside])
            distances.append(seen[drawn[inside], 2])
            owners.append(drawn[inside])
    picture = np.full((height * width, 3), BACKGROUND, np.uint8)
    if places:
        place, owner = np.concatenate(places), np.concatenate(owners)
        nearest = np.lexsort((np.concatenate(distances), place))
        first = np.ones(len(nearest), np.bool_)
        first[1:] = place[nearest][1:] != place[nearest][:-1]
        picture[place[nearest[first]]] = colour[owner[nearest[first]]]
    return picture.reshape(height, width, 3)
