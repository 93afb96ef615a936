"""Meshes of rich scenes (metres, z up): tubes, lathed and lofted bodies, batches of boxes and leaves, sheets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

Vector = ArrayLike
Generator = np.random.Generator


@dataclass(frozen=True)
class Mesh:
    """Vertices (V,3) in metres, faces (F,3); `smooth` surfaces are shaded by normals interpolated between vertices."""

    vertices: np.ndarray
    faces: np.ndarray
    smooth: bool = False

    def moved(self, offset: Vector = (0, 0, 0), turn: float = 0.0, scale: float = 1.0) -> "Mesh":
        """Scaled, turned by `turn` radians about z, then shifted."""
        return replace(self, vertices=(self.vertices * scale) @ rotation_z(turn).T + np.asarray(offset, float))


def rotation_z(turn: float) -> np.ndarray:
    """The matrix (3,3) that turns column vectors by `turn` radians about z."""
    c, s = np.cos(turn), np.sin(turn)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def merged(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several; smooth if the first is."""
    counts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, counts, strict=True)])
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), faces, meshes[0].smooth)


_CUBE = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_CUBE_FACES = np.array(
    [
        [0, 1, 3],
        [0, 3, 2],
        [4, 6, 7],
        [4, 7, 5],
        [0, 4, 5],
        [0, 5, 1],
        [2, 3, 7],
        [2, 7, 6],
        [0, 2, 6],
        [0, 6, 4],
        [1, 5, 7],
        [1, 7, 3],
    ]
)


def boxes(sizes: Vector, centres: Vector, turns: np.ndarray | float = 0.0) -> Mesh:
    """A batch of boxes: sizes and centres (N,3), each turned by `turns` (N,) radians about its own vertical axis."""
    centres = np.atleast_2d(np.asarray(centres, float))
    sizes = np.broadcast_to(np.atleast_2d(np.asarray(sizes, float)), centres.shape)
    corners = _CUBE[None] * sizes[:, None]
    turns = np.broadcast_to(np.asarray(turns, float), len(centres))
    c, s = np.cos(turns)[:, None], np.sin(turns)[:, None]
    x, y = corners[..., 0] * c - corners[..., 1] * s, corners[..., 0] * s + corners[..., 1] * c
    vertices = np.stack([x, y, corners[..., 2]], -1) + centres[:, None]
    faces = _CUBE_FACES[None] + 8 * np.arange(len(centres))[:, None, None]
    return Mesh(vertices.reshape(-1, 3), faces.reshape(-1, 3))


def box(size: Vector, base: Vector = (0, 0, 0), turn: float = 0.0) -> Mesh:
    """One box with its bottom's centre at `base`."""
    sides = np.asarray(size, float)
    return boxes(sides[None], (np.asarray(base, float) + [0, 0, sides[2] / 2])[None], turn)


def loft(rings: np.ndarray, *, smooth: bool = True, caps: bool = True) -> Mesh:
    """A skin over closed rings (M,K,3) of equally many points; `caps` closes both ends with fans."""
    m, k, _ = rings.shape
    i, j = np.meshgrid(np.arange(m - 1), np.arange(k), indexing="ij")
    a, b = (i * k + j).ravel(), (i * k + (j + 1) % k).ravel()
    faces = [np.stack([a, b, b + k], 1), np.stack([a, b + k, a + k], 1)]
    vertices = rings.reshape(-1, 3)
    if caps:
        middle = np.stack([rings[0].mean(0), rings[-1].mean(0)])
        edge, following = np.arange(k), (np.arange(k) + 1) % k
        last = (m - 1) * k
        faces.append(np.stack([np.full(k, m * k), following, edge], 1))
        faces.append(np.stack([np.full(k, m * k + 1), last + edge, last + following], 1))
        vertices = np.concatenate([vertices, middle])
    return Mesh(vertices, np.concatenate(faces), smooth)


def tube(points: Vector, radii: Vector, *, sides: int = 8, flat: float = 1.0) -> Mesh:
    """A tube along a polyline (N,3) with a radius per point; `flat` below 1 squeezes its cross-section one way."""
    points = np.asarray(points, float)
    radii = np.broadcast_to(np.asarray(radii, float), len(points))
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    whole = points[-1] - points[0]
    reference = np.eye(3)[np.abs(whole).argmin()]
    across = np.cross(tangent, reference)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    other = np.cross(tangent, across)
    angle = np.arange(sides) * 2 * np.pi / sides
    circle = np.cos(angle)[None, :, None] * across[:, None] + flat * np.sin(angle)[None, :, None] * other[:, None]
    return loft(points[:, None] + radii[:, None, None] * circle)


def limb(start: Vector, end: Vector, thick: float, thin: float, *, sides: int = 10) -> Mesh:
    """A rounded, tapering piece between two points: arms, legs, cushions' rolls."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = np.array([-0.02, 0.0, 0.12, 0.5, 0.9, 1.0, 1.02])
    share = np.array([0.3, 0.75, 1.0, 1.0, 1.0, 0.75, 0.3])
    radii = (thick + (thin - thick) * np.clip(along, 0, 1)) * share
    return tube(start + along[:, None] * (end - start), radii, sides=sides)


def lathe(
    profile: Sequence[tuple[float, float]], *, sides: int = 20, centre: Vector = (0, 0, 0), smooth: bool = True
) -> Mesh:
    """A body of revolution about z: `profile` lists (radius, height) from bottom to top."""
    angle = np.arange(sides) * 2 * np.pi / sides
    rings = np.array([[(r * np.cos(a), r * np.sin(a), z) for a in angle] for r, z in profile])
    return loft(rings + np.asarray(centre, float), smooth=smooth)


def ellipsoid(
    radii: Vector, centre: Vector, *, sides: int = 14, bumps: float = 0.0, rng: Generator | None = None
) -> Mesh:
    """An ellipsoid, roughened by smooth bumps of relative height `bumps` where `rng` is given: heads, rocks, bushes."""
    polar = np.linspace(0.06, np.pi - 0.06, max(6, sides // 2 + 2))
    angle = np.arange(sides) * 2 * np.pi / sides
    unit = np.stack(
        [
            np.outer(np.sin(polar), np.cos(angle)),
            np.outer(np.sin(polar), np.sin(angle)),
            np.outer(np.cos(polar), np.ones(sides)),
        ],
        -1,
    )
    scale = np.ones(unit.shape[:2])
    if rng is not None and bumps > 0:
        for frequency in (2.0, 3.5, 6.0):
            direction = rng.normal(size=(3, 3))
            scale += (
                bumps
                / frequency
                * 2
                * np.sin(frequency * unit @ direction[0] + 2 * np.sin(unit @ direction[1] * 2) + rng.uniform(0, 6))
            )
    return loft(unit[::-1] * scale[::-1, :, None] * np.asarray(radii, float) + np.asarray(centre, float))


def cushion(size: Vector, base: Vector = (0, 0, 0), *, power: float = 0.35, turn: float = 0.0) -> Mesh:
    """A box with round edges (a superellipsoid) that stands on `base`: upholstery, pillows, car seats."""
    polar = np.linspace(0, np.pi, 9)
    angle = np.arange(20) * 2 * np.pi / 20

    def bent(values: np.ndarray) -> np.ndarray:
        return np.sign(values) * np.abs(values) ** power

    radius = bent(np.maximum(np.sin(polar), 0.02))[:, None]
    ring = np.stack(
        [radius * bent(np.cos(angle)), radius * bent(np.sin(angle)), np.repeat(bent(-np.cos(polar))[:, None], 20, 1)],
        -1,
    )
    sides = np.asarray(size, float)
    return loft(ring * sides / 2 + [0, 0, sides[2] / 2]).moved(base, turn)


def quads(centres: np.ndarray, u: np.ndarray, v: np.ndarray) -> Mesh:
    """Flat diamonds (leaves, blades) at centres (N,3) with half-axes u and v (N,3)."""
    vertices = np.stack([centres - u, centres - v, centres + u, centres + v], 1).reshape(-1, 3)
    start = 4 * np.arange(len(centres))[:, None]
    return Mesh(vertices, np.concatenate([start + [0, 1, 2], start + [0, 2, 3]]))


def leaves(rng: Generator, centres: np.ndarray, size: float, *, droop: float = 0.3, slim: float = 0.45) -> Mesh:
    """Leaves of random directions at `centres` (N,3), about `size` metres long."""
    count = len(centres)
    along = rng.normal(size=(count, 3))
    along[:, 2] -= droop
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, rng.normal(size=(count, 3)))
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    length = size * rng.uniform(0.35, 0.65, (count, 1))
    return quads(centres, along * length, across * length * slim)


def sheet(grid: np.ndarray, *, smooth: bool = True) -> Mesh:
    """A surface over a grid of points (M,N,3): ground, curtains, cloth."""
    m, n, _ = grid.shape
    i, j = np.meshgrid(np.arange(m - 1), np.arange(n - 1), indexing="ij")
    a = (i * n + j).ravel()
    return Mesh(
        grid.reshape(-1, 3),
        np.concatenate([np.stack([a, a + n, a + 1], 1), np.stack([a + 1, a + n, a + n + 1], 1)]),
        smooth,
    )


def prism(outline: Sequence[tuple[float, float]], depth: float, base: Vector = (0, 0, 0)) -> Mesh:
    """A convex outline (x,z) drawn out along y by `depth`, centred: gables, ramps, signs."""
    ring = np.array([[(x, y, z) for x, z in outline] for y in (-depth / 2, depth / 2)])
    return replace(loft(ring, smooth=False).moved(base), smooth=False)


def ring(radius: float, thick: float, centre: Vector, *, axis: int = 0, sides: int = 20) -> Mesh:
    """A torus: wheels of bicycles, rims, basketball hoops; `axis` (0, 1, 2) is the one it turns about."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    small = np.arange(6) * 2 * np.pi / 6
    radial = radius + thick * np.cos(small)
    rings = np.stack(
        [
            np.outer(np.cos(angle), radial),
            np.outer(np.sin(angle), radial),
            np.broadcast_to(thick * np.sin(small), (sides + 1, 6)),
        ],
        -1,
    )
    order = {0: [2, 0, 1], 1: [0, 2, 1], 2: [0, 1, 2]}[axis]
    return loft(rings[..., order] + np.asarray(centre, float), caps=False)
