"""Ray tracing a layout with Embree: exact depth along the optical axis, textures, one light with shadows, sky, haze."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from dad.data.scenes.layouts import KINDS, Camera, Layout, Light
from dad.data.scenes.materials import albedo, noise
from dad.data.scenes.rich import picture
from dad.data.scenes.rich.families import FAMILIES
from dad.data.scenes.rich.stage import Setting
from dad.data.scenes.rich.surfaces import Palette, Photographs
from dad.data.scenes.shapes import Assembly
from dad.errors import UserError

VERSIONS = {"plain": 1, "rich": 1, "foreign": 1}  # by style; raised when the same seed would give other pixels
STYLES = tuple(VERSIONS)


@dataclass(frozen=True)
class Scene:
    """rgb uint8 (H,W,3); depth float32 (H,W) in metres along the optical axis, 0 where there is none (sky, beyond the
    range); lidar like depth but sparse (`driving` only, else None); camera: fx, fy, cx, cy in pixels (pixel centres at
    +0.5), width, height, and the pose (height in metres, yaw, pitch, roll in radians).
    """

    rgb: np.ndarray
    depth: np.ndarray
    lidar: np.ndarray | None
    camera: dict[str, float]


def _rotation(camera: Camera) -> np.ndarray:
    """Rows: the camera's right, down and forward axes in world coordinates (z up)."""
    cy, sy, cp, sp = np.cos(camera.yaw), np.sin(camera.yaw), np.cos(camera.pitch), np.sin(camera.pitch)
    forward = np.array([sy * cp, cy * cp, -sp])
    right = np.array([cy, -sy, 0.0])
    down = np.cross(forward, right)
    c, s = np.cos(camera.roll), np.sin(camera.roll)
    return np.stack([c * right + s * down, c * down - s * right, forward])


class _Tracer:
    """The merged mesh of an assembly inside an Embree scene."""

    def __init__(self, parts: Assembly) -> None:
        self.vertices, self.faces, self.owner = parts.merged()
        self.materials = parts.materials
        corners = self.vertices[self.faces].astype(np.float64)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self.normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        self.scene = rtcore_scene.EmbreeScene()
        self.mesh = TriangleMesh(self.scene, self.vertices, self.faces)  # Embree does not own it: keep it alive

    def first(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first hit: distance in lengths of the direction (inf: nothing), face index (-1: nothing), (N,) each."""
        hit = self.scene.run(origins.astype(np.float32), directions.astype(np.float32), output=1)
        face = hit["primID"]
        return np.where(face >= 0, hit["tfar"], np.inf).astype(np.float64), face

    def blocked(self, points: np.ndarray, towards: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """Whether something stands between `points` (N,3) and `points + reach * towards` (unit vectors), (N,) bool."""
        distance, _ = self.first(points, towards)
        return distance < reach - 1e-3


def _shade(tracer: _Tracer, light: Light, points: np.ndarray, face: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Linear RGB (N,3) of the surface points hit by rays of the given directions."""
    normals = tracer.normals[face]
    normals = np.where((np.einsum("ij,ij->i", normals, directions) > 0)[:, None], -normals, normals)
    colour = np.empty((len(points), 3))
    owner = tracer.owner[face]
    order = np.argsort(owner, kind="stable")
    present, starts = np.unique(owner[order], return_index=True)
    for index, rows in zip(present, np.split(order, starts[1:]), strict=True):
        colour[rows] = albedo(tracer.materials[index], points[rows], normals[rows])
    if light.lamp is None:
        towards, reach, falloff = np.broadcast_to(light.direction, points.shape), np.full(len(points), 1e3), 1.0
    else:
        offset = light.lamp - points
        reach = np.linalg.norm(offset, axis=1)
        towards, falloff = offset / reach[:, None], 1 / (0.6 + 0.12 * reach**2)
    lambert = np.clip(np.einsum("ij,ij->i", normals, towards), 0, 1)
    lit = ~tracer.blocked(points + 2e-3 * normals, towards, reach)
    sky_side = 0.75 + 0.25 * normals[:, 2]  # ambient light comes more from above
    return colour * (light.ambient * sky_side + 1.1 * lambert * lit * falloff)[:, None] * light.colour


def _sky(directions: np.ndarray, light: Light, tint: np.ndarray, clouds: float) -> np.ndarray:
    """Linear RGB (N,3) of the sky along unit-length-free directions: a vertical gradient with clouds."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    up = np.clip(unit[:, 2], 0, 1)[:, None]
    blue = (1 - up) * np.array([0.75, 0.82, 0.9]) + up * tint
    plane = unit[:, :2] / np.maximum(unit[:, 2:], 0.08)
    cover = np.clip(3 * noise(plane, 0.7)[:, None] - 1.6 + clouds, 0, 1)
    return (blue * (1 - cover) + 0.92 * cover) * light.colour


def _image(linear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Linear RGB (H,W,3) through exposure, white balance, noise and gamma to uint8."""
    exposure = rng.uniform(0.45, 0.75) / np.maximum(np.percentile(linear, 85), 1e-3)
    linear = linear * exposure * (1 + rng.uniform(-0.06, 0.06, 3))
    linear = linear + rng.normal(0, rng.uniform(0.001, 0.008), linear.shape)
    return (255 * np.clip(linear, 0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8)


def _lidar(
    first: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    layout: Layout | Setting,
    depth: np.ndarray,
    focal: float,
    rotation: np.ndarray,
    rng: np.random.Generator,
    centre: tuple[float, float] = (0.5, 0.5),
) -> np.ndarray:
    """Sparse depth (H,W): rings of a scanner 0.3 m above the camera, kept where the camera sees the same surface."""
    height, width = depth.shape
    rings, columns = max(12, height // 6), 2 * width
    elevation = np.linspace(np.radians(-28), np.radians(4), rings)
    azimuth = np.linspace(-np.radians(55), np.radians(55), columns) + layout.camera.yaw
    e, a = (g.ravel() for g in np.meshgrid(elevation, azimuth, indexing="ij"))
    directions = np.stack([np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), np.sin(e)], 1)
    origin = layout.camera.position + [0, 0, 0.3]
    distance, face = first(np.broadcast_to(origin, directions.shape), directions)
    keep = (face >= 0) & (distance < layout.max_depth) & (rng.random(len(e)) > 0.1)  # one return in ten is lost
    local = (origin + directions[keep] * distance[keep, None] - layout.camera.position) @ rotation.T
    local = local[local[:, 2] > 0.1]
    column = np.floor(local[:, 0] / local[:, 2] * focal + centre[0] * width).astype(int)
    row = np.floor(local[:, 1] / local[:, 2] * focal + centre[1] * height).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    row, column, z = row[inside], column[inside], local[inside, 2]
    same = np.abs(depth[row, column] - z) < 0.05 * z
    sparse = np.zeros_like(depth)
    sparse[row[same], column[same]] = depth[row[same], column[same]]
    return sparse


def require_drawable(seed: int, height: int, width: int, samples: int) -> None:
    """Raise UserError for a size without pixels or a negative seed."""
    if min(height, width, samples) < 1 or seed < 0:
        raise UserError(
            f"a scene needs a positive size and a seed >= 0, got height {height}, width {width}, samples {samples}, "
            f"seed {seed}"
        )


def render_scene(
    kind: str,
    seed: int,
    *,
    height: int = 192,
    width: int = 256,
    samples: int = 2,
    style: str = "plain",
    textures: Photographs | None = None,
) -> Scene:
    """Render one scene; the result is a pure function of the arguments.

    Depth is exact at pixel centres. In style `plain` colour is the mean of `samples` x `samples` rays a pixel; the
    others send one ray through every centre and four more where there are edges, and do without `samples`. `textures`
    are photographs for some of their surfaces. Raises UserError for an unknown kind or style, an empty size, and
    textures in style `plain`.
    """
    if kind not in KINDS:
        raise UserError(f"unknown scene kind {kind!r}; choose one of {', '.join(KINDS)}")
    if style not in STYLES:
        raise UserError(f"unknown scene style {style!r}; choose one of {', '.join(STYLES)}")
    require_drawable(seed, height, width, samples)
    if style != "plain":
        return _rich(kind, seed, height, width, style, textures)
    if textures is not None:
        raise UserError(
            "scenes of style plain have no photographs on their surfaces: leave textures out or take another style"
        )
    return _plain(kind, seed, height, width, samples)


def _camera(
    pose: Camera, focal: float, height: int, width: int, centre: tuple[float, float] = (0.5, 0.5)
) -> dict[str, float]:
    camera = {
        "fx": focal, "fy": focal, "cx": centre[0] * width, "cy": centre[1] * height, "width": width, "height": height,
        "camera_height": float(pose.position[2]), "yaw": pose.yaw, "pitch": pose.pitch, "roll": pose.roll,
    }  # fmt: skip
    return {key: float(value) for key, value in camera.items()}


def _rich(kind: str, seed: int, height: int, width: int, style: str, textures: Photographs | None) -> Scene:
    rng = np.random.Generator(np.random.Philox(key=[seed, 16 * STYLES.index(style) + list(KINDS).index(kind)]))
    setting = FAMILIES[style][kind](Palette(rng, textures))
    tracer = picture.Tracer(setting.stage)
    rotation = _rotation(setting.camera)
    focal = width / 2 / np.tan(setting.camera.fov / 2)
    linear, distance = picture.linear_image(tracer, setting, rotation, focal, height, width, textures, rng)
    depth = np.where(distance < setting.max_depth, distance, 0).astype(np.float32)
    rgb = picture.developed(linear, rng)
    lidar = None
    if kind == "driving":
        lidar = _lidar(lambda *rays: tracer.first(*rays)[:2], setting, depth, focal, rotation, rng, setting.centre)
    return Scene(rgb, depth, lidar, _camera(setting.camera, focal, height, width, setting.centre))


def _plain(kind: str, seed: int, height: int, width: int, samples: int) -> Scene:
    rng = np.random.Generator(np.random.Philox(key=[seed, list(KINDS).index(kind)]))
    layout = KINDS[kind](rng)
    tracer = _Tracer(layout.parts)
    rotation = _rotation(layout.camera)
    focal = width / 2 / np.tan(layout.camera.fov / 2)

    def rays(per_pixel: int) -> np.ndarray:
        x = ((np.arange(width * per_pixel) + 0.5) / per_pixel - width / 2) / focal
        y = ((np.arange(height * per_pixel) + 0.5) / per_pixel - height / 2) / focal
        grid = np.stack([*np.meshgrid(x, y), np.ones((len(y), len(x)))], -1)
        return grid.reshape(-1, 3) @ rotation  # the third camera coordinate is 1, so a hit's distance is its depth

    def trace(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return tracer.first(np.broadcast_to(layout.camera.position, directions.shape), directions)

    depth, _ = trace(rays(1))
    depth = np.where(depth < layout.max_depth, depth, 0).astype(np.float32).reshape(height, width)

    directions = rays(samples)
    distance, face = trace(directions)
    hit = face >= 0
    tint = np.array([0.25, 0.45, 0.85]) * rng.uniform(0.7, 1.1)
    linear = _sky(directions, layout.light, tint, rng.uniform(0, 1))
    points = layout.camera.position + directions[hit] * distance[hit, None]
    surface = _shade(tracer, layout.light, points, face[hit], directions[hit])
    clear = np.exp(-layout.light.haze * distance[hit])[:, None]
    linear[hit] = surface * clear + np.array([0.75, 0.82, 0.9]) * (1 - clear)
    linear = linear.reshape(height, samples, width, samples, 3).mean((1, 3))
    lidar = _lidar(tracer.first, layout, depth, focal, rotation, rng) if kind == "driving" else None
    return Scene(_image(linear, rng), depth, lidar, _camera(layout.camera, focal, height, width))
