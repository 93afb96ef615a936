"""From a relative map to coloured points (paper Fig. 10): assumed distances and, where not given, an assumed lens."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dad.errors import UserError
from dad.files import atomic_path, read_json

FIELD_OF_VIEW = 60.0
"""Degrees across the longer side, where no camera is given: between a phone's main lens and a standard lens."""


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
