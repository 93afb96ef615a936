"""A rich scene being built: parts with surfaces, placed as whole objects, and what is needed to light and see them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dad.data.scenes.layouts import Camera
from dad.data.scenes.rich.meshes import Mesh, rotation_z
from dad.data.scenes.rich.surfaces import Surface

Part = tuple[Mesh, Surface]
"""A mesh in its object's frame (metres, z up, the object's foot at the origin, its front towards -y) and its look."""


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """A luminous ball: `position` (3,), `radius` in metres (larger: softer shadows), linear RGB `power` at 1 m."""

    position: np.ndarray
    radius: float
    power: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Lighting:
    """All light of a scene, linear RGB (3,) each.

    sun: direction towards it (unit vector) and its light, None without; sky: from above, ground: reflected from below,
    both where nothing is in the way; reach: distance in metres up to which things shade each other from the sky; haze:
    share of light lost per metre; clouds in [0,1]; gradient: the sky's colours at the horizon and above (2,3).
    """

    sky: np.ndarray
    ground: np.ndarray
    reach: float
    sun: np.ndarray | None = None
    sunlight: np.ndarray = field(default_factory=lambda: np.zeros(3))
    lamps: tuple[Lamp, ...] = ()
    haze: float = 0.0
    clouds: float = 0.3
    gradient: np.ndarray = field(default_factory=lambda: np.array([[0.75, 0.82, 0.9], [0.25, 0.45, 0.85]]))


@dataclass
class Stage:
    """Meshes, for each its surface, and the frame of the object it belongs to."""

    meshes: list[Mesh] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)
    frames: list[tuple[np.ndarray, float]] = field(default_factory=list)

    def add(
        self, parts: Sequence[Part], at: Sequence[float] | np.ndarray = (0, 0, 0), turn: float = 0.0, scale: float = 1.0
    ) -> None:
        """Place an object: scaled, turned by `turn` radians about z, its origin at `at`."""
        offset = np.asarray(at, float)
        for mesh, surface in parts:
            self.meshes.append(mesh.moved(offset, turn, scale))
            self.surfaces.append(surface)
            self.frames.append((offset, turn))


@dataclass(frozen=True)
class Setting:
    """A complete scene: what there is, the camera with its principal point `centre` (fractions of width and height),
    the light.

    `max_depth` in metres is where depth ends; beyond it there is none.
    """

    stage: Stage
    camera: Camera
    lighting: Lighting
    max_depth: float
    centre: tuple[float, float] = (0.5, 0.5)


def toward(turn: float, x: float, y: float) -> np.ndarray:
    """(x, y, 0) turned by `turn`: a place beside an object in the scene's frame."""
    return rotation_z(turn) @ np.array([x, y, 0.0])
