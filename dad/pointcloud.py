"""From a relative map to coloured points (paper Fig. 10): assumed distances and, where not given, an assumed lens; the
points in files, and seen from another place, each as a square of the size that its pixel has from there.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dad.errors import UserError
from dad.files import atomic_path, read_json

FIELD_OF_VIEW = 60.0
"""Degrees across the longer side, where no camera is given: between a phone's main lens and a standard lens."""
BACKGROUND = 255
FILL = 0.96
"""Share of a window that the points fill."""
CLOSEST = 2.0
"""How many times as long the moved camera's lens may be."""
LARGEST_SQUARE = 9
"""Pixels; a point that comes much nearer than it was leaves gaps rather than blocks."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float

    def scaled(self, factor: float) -> "Camera":
        """The camera of a picture that is `factor` times as large."""
        return Camera(self.fx * factor, self.fy * factor, self.cx * factor, self.cy * factor)


LARGEST = 1e6
"""Pixels of the longest focal length and of the farthest centre a camera file may give; the shortest is its inverse."""


def assumed_camera(height: int, width: int, field_of_view: float = FIELD_OF_VIEW) -> Camera:
    """A lens that sees `field_of_view` degrees across the longer side, centred."""
    if not 0 < field_of_view < 180:
        raise UserError(f"a field of view must be between 0 and 180 degrees, got {field_of_view}")
    focal = max(height, width) / 2 / np.tan(np.radians(field_of_view) / 2)
    return Camera(focal, focal, (width - 1) / 2, (height - 1) / 2)


def read_camera(path: Path) -> Camera:
    """A camera from a JSON file with fx, fy, cx and cy in pixels, as `dad data scenes` writes them."""
    try:
        content = read_json(path)
    except UserError as error:
        raise UserError(f"{path} is no camera file: {error}") from None
    numbers = [content.get(key) for key in ("fx", "fy", "cx", "cy")] if isinstance(content, dict) else [None]
    if not all(
        isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) for number in numbers
    ):
        raise UserError(f"{path} is no camera file: it needs the numbers fx, fy, cx and cy in pixels")
    camera = Camera(*map(float, numbers))
    if not (camera.fx > 0 and camera.fy > 0):
        raise UserError(f"{path}: fx and fy must be positive, got {camera.fx} and {camera.fy}")
    if min(camera.fx, camera.fy) < 1 / LARGEST or max(map(abs, numbers)) > LARGEST:
        raise UserError(
            f"{path}: no lens has such numbers in pixels ({', '.join(f'{number:g}' for number in numbers)})"
        )
    return camera


def require_distances(near: float, far: float) -> None:
    """Raise UserError for assumed distances that are none."""
    if not 0 < near < far < math.inf:
        raise UserError(f"near and far must satisfy 0 < near < far, got {near} and {far}")


def relative_to_depth(
    prediction: NDArray[np.floating], kind: str, *, near: float = 1.0, far: float = 10.0
) -> NDArray[np.float64]:
    """A relative map (H,W) as depth between `near` and `far`, its own smallest and largest value at the ends.

    Scale and shift of a relative map are free, so the two distances are an assumption; disparity is inverted, depth is
    stretched.
    """
    require_distances(near, far)
    low, high = float(np.min(prediction)), float(np.max(prediction))
    position = (prediction.astype(np.float64) - low) / (high - low) if high > low else np.zeros(prediction.shape)
    if kind == "disparity":
        return 1 / (1 / far + position * (1 / near - 1 / far))
    return near + position * (far - near)


def unproject(depth: NDArray[np.floating], camera: Camera) -> NDArray[np.float64]:
    """Depth (H,W) along the optical axis to points (H*W,3) in row order: x right, y down, z forward."""
    rows, columns = np.indices(depth.shape)
    x = (columns - camera.cx) / camera.fx * depth
    y = (rows - camera.cy) / camera.fy * depth
    return np.stack([x, y, depth], axis=-1).reshape(-1, 3)


def write_ply(path: Path, points: NDArray[np.floating], rgb: NDArray[np.uint8]) -> None:
    """Write points (N,3) with colours (N,3) as a binary PLY file, atomically."""
    vertices = np.empty(len(points), dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])
    vertices["xyz"], vertices["rgb"] = points, rgb
    names = [f"property float {axis}" for axis in "xyz"] + [
        f"property uchar {colour}" for colour in ("red", "green", "blue")
    ]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}", *names, "end_header", ""]
    with atomic_path(path) as temporary:
        temporary.write_bytes("\n".join(header).encode() + vertices.tobytes())


def write_glb(path: Path, points: NDArray[np.floating], rgb: NDArray[np.uint8]) -> None:
    """Write points (N,3) with colours (N,3) as a binary glTF file, atomically; y is up, the camera looks along -z."""
    import trimesh

    content = trimesh.PointCloud(points * [1, -1, -1], colors=rgb).export(file_type="glb")
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_ply(path: Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Points (N,3) and colours (N,3) of a PLY file. Raises UserError for one that is damaged or has none."""
    import trimesh

    try:
        found = trimesh.load(path, file_type="ply")
        return np.asarray(found.vertices, np.float64), np.asarray(found.colors, np.uint8)[:, :3]
    except (OSError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise UserError(f"{path} is not a file of coloured points ({type(error).__name__})") from None


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
