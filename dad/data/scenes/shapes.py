"""Triangle meshes in metres (z up): unit templates made once by trimesh, placed by scaling, turning about z, moving."""

import functools
from dataclasses import dataclass

import numpy as np
import trimesh

from dad.data.scenes.materials import Material


@functools.cache
def template(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V,3) and faces (F,3) of a unit shape centred on the origin: box, cylinder, sphere or cone."""
    mesh = {
        "box": lambda: trimesh.creation.box((1, 1, 1)),
        "cylinder": lambda: trimesh.creation.cylinder(0.5, 1, sections=20),
        "sphere": lambda: trimesh.creation.icosphere(subdivisions=3, radius=0.5),
        "cone": lambda: trimesh.creation.cone(0.5, 1, sections=20),
    }[name]()
    vertices = np.asarray(mesh.vertices)
    if name == "cone":
        vertices = vertices - [0, 0, 0.5]
    return vertices, np.asarray(mesh.faces)


@dataclass
class Assembly:
    """A scene under construction: meshes and, for each, its material."""

    vertices: list[np.ndarray]
    faces: list[np.ndarray]
    materials: list[Material]

    @classmethod
    def empty(cls) -> "Assembly":
        """An assembly of nothing."""
        return cls([], [], [])

    def add(self, vertices: np.ndarray, faces: np.ndarray, material: Material) -> None:
        """Add one mesh: vertices (V,3) in metres, faces (F,3)."""
        self.vertices.append(vertices)
        self.faces.append(faces)
        self.materials.append(material)

    def place(
        self,
        shape: str,
        size: tuple[float, float, float],
        base: tuple[float, float, float],
        material: Material,
        turn: float = 0.0,
    ) -> None:
        """Add a unit `shape` scaled to `size`, turned by `turn` radians about z, its bottom centre at `base`."""
        vertices, faces = template(shape)
        c, s = np.cos(turn), np.sin(turn)
        rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        self.add((vertices * size) @ rotation.T + base + np.array([0, 0, size[2] / 2]), faces, material)

    def merged(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All vertices (V,3) float32, all faces (F,3) int32, and the material index of every face (F,) int32."""
        counts = np.cumsum([0] + [len(v) for v in self.vertices[:-1]])
        faces = np.concatenate([f + start for f, start in zip(self.faces, counts, strict=True)])
        owner = np.repeat(np.arange(len(self.faces)), [len(f) for f in self.faces])
        return np.concatenate(self.vertices).astype(np.float32), faces.astype(np.int32), owner.astype(np.int32)


def terrain(
    rng: np.random.Generator, extent: float, roughness: float, cells: int = 48
) -> tuple[np.ndarray, np.ndarray]:
    """A height field around the origin, `extent` metres to each side, finer near the centre; flat within 4 m of it."""
    axis = np.linspace(-1, 1, cells + 1)
    axis = extent * np.sign(axis) * np.abs(axis) ** 1.7
    x, y = np.meshgrid(axis, axis, indexing="ij")
    height = np.zeros_like(x)
    for _ in range(4):
        direction, phase = rng.uniform(0, 2 * np.pi, 2)
        wavelength = rng.uniform(8, 40)
        height += (
            np.sin((x * np.cos(direction) + y * np.sin(direction)) * 2 * np.pi / wavelength + phase) * wavelength / 40
        )
    height *= roughness * np.clip((np.hypot(x, y) - 4) / 10, 0, 1)
    vertices = np.stack([x, y, height], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
    a = (i * (cells + 1) + j).ravel()
    faces = np.concatenate([np.stack([a, a + cells + 1, a + 1], 1), np.stack([a + 1, a + cells + 1, a + cells + 2], 1)])
    return vertices, faces


def height_at(vertices: np.ndarray, x: float, y: float) -> float:
    """Height of the terrain vertex nearest to (x, y): where to put things so that they neither float nor sink far."""
    return float(vertices[np.argmin((vertices[:, 0] - x) ** 2 + (vertices[:, 1] - y) ** 2), 2])
