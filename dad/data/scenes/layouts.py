"""What stands where: rooms, open ground and streets, each drawn from a random generator.

The camera looks along +y before it is turned; lengths are metres. A layout returns the meshes, the camera and the
light.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dad.data.scenes.materials import Material, random_colour, random_material
from dad.data.scenes.shapes import Assembly, height_at, terrain

Generator = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Position (3,) in metres; yaw (to the right), pitch (down), roll and horizontal field of view in radians."""

    position: np.ndarray
    yaw: float
    pitch: float
    roll: float
    fov: float


@dataclass(frozen=True, kw_only=True)
class Light:
    """A lamp at `lamp` (metres) or, if None, a sun in `direction` (unit vector towards it); `ambient` in [0,1]."""

    lamp: np.ndarray | None
    direction: np.ndarray
    ambient: float
    colour: np.ndarray
    haze: float


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A complete scene description; `max_depth` in metres is where depth ends (beyond it there is none)."""

    parts: Assembly
    camera: Camera
    light: Light
    max_depth: float


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _table(parts: Assembly, rng: Generator, x: float, y: float, turn: float) -> None:
    width, depth, height = rng.uniform(0.6, 1.8), rng.uniform(0.5, 1.0), rng.uniform(0.4, 0.8)
    wood = random_material(rng, ("planks", "plain", "noise"))
    parts.place("box", (width, depth, 0.05), (x, y, height), wood, turn)
    c, s = np.cos(turn), np.sin(turn)
    for i in (-1, 1):
        for j in (-1, 1):
            dx, dy = i * (width / 2 - 0.05), j * (depth / 2 - 0.05)
            parts.place("box", (0.06, 0.06, height), (x + c * dx - s * dy, y + s * dx + c * dy, 0), wood, turn)
    for _ in range(rng.integers(0, 4)):
        dx, dy = rng.uniform(-0.35, 0.35) * width, rng.uniform(-0.35, 0.35) * depth
        shape = str(rng.choice(["box", "cylinder", "sphere", "cone"]))
        size = rng.uniform(0.08, 0.3, 3)
        base = (x + c * dx - s * dy, y + s * dx + c * dy, height + 0.05)
        parts.place(
            shape, tuple(size), base, random_material(rng, ("plain", "checker", "stripes")), rng.uniform(0, np.pi)
        )


def _sofa(parts: Assembly, rng: Generator, x: float, y: float, turn: float) -> None:
    width, fabric = rng.uniform(0.8, 2.2), random_material(rng, ("noise", "stripes", "plain", "checker"))
    c, s = np.cos(turn), np.sin(turn)
    parts.place("box", (width, 0.8, 0.42), (x, y, 0), fabric, turn)
    parts.place("box", (width, 0.2, 0.85), (x - s * 0.35, y + c * 0.35, 0), fabric, turn)
    for side in (-1, 1):
        dx = side * width / 2
        parts.place("box", (0.18, 0.8, 0.6), (x + c * dx, y + s * dx, 0), fabric, turn)


def _cabinet(parts: Assembly, rng: Generator, x: float, y: float, turn: float) -> None:
    size = (rng.uniform(0.5, 1.6), rng.uniform(0.3, 0.6), rng.uniform(0.6, 2.2))
    parts.place("box", size, (x, y, 0), random_material(rng, ("planks", "plain", "stripes", "noise")), turn)
    if size[2] < 1.4:
        thing = random_material(rng, ("plain", "checker"))
        parts.place(
            str(rng.choice(["sphere", "cylinder", "box"])), tuple(rng.uniform(0.15, 0.4, 3)), (x, y, size[2]), thing
        )


def _solid(parts: Assembly, rng: Generator, x: float, y: float, turn: float) -> None:
    shape = str(rng.choice(["box", "sphere", "cylinder", "cone"]))
    size = (
        rng.uniform(0.2, 1.0, 3) if shape == "box" else rng.uniform(0.25, 0.9) * np.array([1, 1, rng.uniform(0.8, 2)])
    )
    parts.place(
        shape, tuple(size), (x, y, 0), random_material(rng, ("plain", "checker", "stripes", "brick", "noise")), turn
    )


def indoor(rng: Generator) -> Layout:
    """A furnished room of 3 to 9 m; the camera stands near one wall, 0.9 to 1.8 m high, and looks into the room."""
    width, length, height = rng.uniform(3, 7), rng.uniform(3.5, 9), rng.uniform(2.3, 3.4)
    parts = Assembly.empty()
    wall = random_material(rng, ("plain", "plain", "noise", "stripes", "brick"), value=(0.35, 0.85), saturation=0.25)
    slab = 0.2
    floor = random_material(rng, ("planks", "checker", "noise", "gravel"), value=(0.15, 0.6))
    parts.place("box", (width + 2, length + 2, slab), (0, length / 2, -slab), floor)
    ceiling = random_material(rng, ("plain", "plain", "planks"), value=(0.6, 0.9), saturation=0.1)
    parts.place("box", (width + 2, length + 2, slab), (0, length / 2, height), ceiling)
    accent = wall if rng.random() < 0.6 else random_material(rng, ("plain", "brick", "noise"), saturation=0.4)
    for x, y, sx, sy, material in (
        (0, length + slab / 2, width, slab, accent),
        (0, -slab / 2, width, slab, wall),
        (-width / 2 - slab / 2, length / 2, slab, length, wall),
        (width / 2 + slab / 2, length / 2, slab, length, wall),
    ):
        parts.place("box", (sx, sy, height), (x, y, 0), material)
    for _ in range(rng.integers(1, 5)):  # pictures, doors and windows on the walls: texture without depth
        picture = random_material(rng, ("windows", "noise", "checker", "plain"), scale=(0.2, 0.8))
        w, h, z = rng.uniform(0.4, 1.4), rng.uniform(0.4, 1.4), rng.uniform(0.5, 1.2)
        if rng.random() < 0.5:
            parts.place("box", (w, 0.03, h), (rng.uniform(-0.4, 0.4) * width, length - 0.015, z), picture)
        else:
            parts.place(
                "box",
                (0.03, w, h),
                (rng.choice([-1, 1]) * (width / 2 - 0.015), rng.uniform(0.3, 0.9) * length, z),
                picture,
            )
    if rng.random() < 0.5:
        rug = random_material(rng, ("checker", "stripes", "noise"), saturation=0.8)
        parts.place(
            "box", (rng.uniform(1, 2), rng.uniform(1, 2), 0.015), (rng.uniform(-0.2, 0.2) * width, 0.6 * length, 0), rug
        )
    for _ in range(rng.integers(3, 9)):
        thing = (_table, _sofa, _cabinet, _solid, _solid)[rng.integers(5)]
        y = rng.uniform(1.6, length - 0.4)
        x = rng.uniform(-width / 2 + 0.4, width / 2 - 0.4)
        thing(parts, rng, x, y, float(rng.choice([0, np.pi / 2, np.pi, rng.uniform(0, 2 * np.pi)])))
    camera = Camera(
        position=np.array(
            [rng.uniform(-0.3, 0.3) * width, rng.uniform(0.15, 0.6), min(rng.uniform(0.9, 1.8), height - 0.3)]
        ),
        yaw=rng.uniform(-0.45, 0.45),
        pitch=rng.uniform(-0.08, 0.4),
        roll=rng.normal(0, 0.02),
        fov=np.radians(rng.uniform(50, 80)),
    )
    lamp = np.array([rng.uniform(-0.4, 0.4) * width, rng.uniform(0.2, 0.9) * length, height - rng.uniform(0.1, 0.4)])
    light = Light(
        lamp=lamp,
        direction=np.array([0, 0, 1.0]),
        ambient=rng.uniform(0.25, 0.5),
        colour=1 + rng.uniform(-0.15, 0.15, 3),
        haze=0.0,
    )
    return Layout(parts=parts, camera=camera, light=light, max_depth=30.0)


def _sun(rng: Generator, haze: float) -> Light:
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(15, 70))
    direction = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    colour = 1 + rng.uniform(-0.12, 0.12, 3)
    return Light(lamp=None, direction=direction, ambient=rng.uniform(0.3, 0.55), colour=colour, haze=haze)


def _tree(parts: Assembly, rng: Generator, x: float, y: float, z: float) -> None:
    trunk = rng.uniform(0.8, 2.5)
    bark = random_material(rng, ("noise", "stripes"), value=(0.08, 0.25), saturation=0.3)
    parts.place("cylinder", (rng.uniform(0.15, 0.4),) * 2 + (trunk + 0.5,), (x, y, z - 0.2), bark)
    green = random_colour(rng, value=(0.1, 0.3)) * [0.7, 1.3, 0.5]
    leaves = Material(pattern="gravel", first=green, second=green * 0.45, scale=rng.uniform(0.3, 0.9), grain=0.4)
    crown = rng.uniform(1.2, 4.0)
    shape = "cone" if rng.random() < 0.35 else "sphere"
    parts.place(shape, (crown, crown, crown * rng.uniform(0.9, 1.8)), (x, y, z + trunk), leaves)


def _building(
    parts: Assembly, rng: Generator, x: float, y: float, z: float, turn: float, size: tuple[float, float, float]
) -> None:
    facade = random_material(
        rng, ("windows", "windows", "brick", "noise"), scale=(1.5, 3.5), value=(0.2, 0.75), saturation=0.3
    )
    parts.place("box", size, (x, y, z - 1), facade, turn)


def _person(parts: Assembly, rng: Generator, x: float, y: float, z: float) -> None:
    height = rng.uniform(1.5, 1.9)
    parts.place("cylinder", (0.4, 0.3, 0.5 * height), (x, y, z), random_material(rng, ("plain", "noise")))
    parts.place(
        "cylinder", (0.5, 0.35, 0.35 * height), (x, y, z + 0.5 * height), random_material(rng, ("plain", "stripes"))
    )
    parts.place(
        "sphere", (0.24, 0.24, 0.28), (x, y, z + 0.84 * height), random_material(rng, ("plain",), value=(0.2, 0.6))
    )


def outdoor(rng: Generator) -> Layout:
    """Open, gently rolling ground with buildings, trees, walls, rocks and people under a sky; depth up to 80 m."""
    parts = Assembly.empty()
    vertices, faces = terrain(rng, 120.0, rng.uniform(0, 0.9))
    ground = random_material(
        rng, ("noise", "gravel", "noise", "checker", "planks"), scale=(0.5, 3.0), value=(0.1, 0.5), saturation=0.35
    )
    parts.add(vertices, faces, ground)

    def spot(near: float, far: float) -> tuple[float, float, float]:
        distance, bearing = np.exp(rng.uniform(np.log(near), np.log(far))), rng.uniform(-0.7, 0.7)
        x, y = distance * np.sin(bearing), distance * np.cos(bearing)
        return x, y, height_at(vertices, x, y)

    for _ in range(rng.integers(0, 5)):
        size = (rng.uniform(5, 18), rng.uniform(5, 14), rng.uniform(4, 18))
        _building(parts, rng, *spot(16, 70), rng.uniform(-0.6, 0.6), size)
    for _ in range(rng.integers(1, 9)):
        _tree(parts, rng, *spot(6, 60))
    for _ in range(rng.integers(1, 6)):
        x, y, z = spot(3, 25)
        _solid_outdoors(parts, rng, x, y, z)
    for _ in range(rng.integers(0, 4)):
        _person(parts, rng, *spot(3, 25))
    if rng.random() < 0.5:
        x, y, z = spot(6, 20)
        wall = random_material(rng, ("brick", "planks", "stripes"), scale=(0.3, 1.0))
        parts.place(
            "box", (rng.uniform(3, 14), 0.25, rng.uniform(0.8, 2.2)), (x, y, z - 0.3), wall, rng.uniform(-0.6, 0.6)
        )
    camera = Camera(
        position=np.array([0.0, 0.0, rng.uniform(1.2, 2.6) if rng.random() < 0.8 else rng.uniform(2.6, 6)]),
        yaw=rng.uniform(-0.1, 0.1),
        pitch=rng.uniform(-0.08, 0.3),
        roll=rng.normal(0, 0.02),
        fov=np.radians(rng.uniform(45, 75)),
    )
    return Layout(parts=parts, camera=camera, light=_sun(rng, rng.uniform(0, 0.012)), max_depth=80.0)


def _solid_outdoors(parts: Assembly, rng: Generator, x: float, y: float, z: float) -> None:
    shape = str(rng.choice(["box", "sphere", "cylinder", "cone"]))
    size = tuple(rng.uniform(0.4, 2.0, 3))
    parts.place(
        shape,
        size,
        (x, y, z - 0.1),
        random_material(rng, ("brick", "noise", "checker", "plain", "gravel")),
        rng.uniform(0, np.pi),
    )


def _car(parts: Assembly, rng: Generator, x: float, y: float, turn: float) -> None:
    paint = random_material(rng, ("plain",), value=(0.05, 0.8), saturation=1.0)
    glass = Material(pattern="plain", first=np.full(3, 0.06), second=np.full(3, 0.06), scale=1.0, grain=0.05)
    tyre = Material(pattern="plain", first=np.full(3, 0.03), second=np.full(3, 0.03), scale=1.0, grain=0.1)
    length, width, height = rng.uniform(3.8, 4.9), rng.uniform(1.65, 1.9), rng.uniform(1.4, 1.8)
    c, s = np.cos(turn), np.sin(turn)
    parts.place("box", (width, length, 0.5 * height), (x, y, 0.25), paint, turn)
    parts.place("box", (0.9 * width, 0.55 * length, 0.4 * height), (x, y, 0.25 + 0.5 * height), glass, turn)
    for i in (-1, 1):
        for j in (-1, 1):
            dx, dy = i * width * 0.45, j * length * 0.3
            parts.place("sphere", (0.3, 0.65, 0.65), (x + c * dx - s * dy, y + s * dx + c * dy, 0), tyre, turn)


def driving(rng: Generator) -> Layout:
    """A straight street with lanes, pavements, cars, facades, poles and trees, seen from a car; depth up to 80 m."""
    parts = Assembly.empty()
    grey = rng.uniform(0.08, 0.3)
    asphalt = Material(pattern="noise", first=np.full(3, grey), second=np.full(3, grey * 0.8), scale=2.0, grain=0.25)
    half = rng.uniform(3.2, 7.5)
    lane = rng.uniform(-half + 1.6, half - 1.6)  # where in the street the camera drives
    parts.place("box", (2 * half, 300, 0.2), (-lane, 100, -0.2), asphalt)
    paint = Material(pattern="plain", first=np.full(3, 0.75), second=np.full(3, 0.75), scale=1.0, grain=0.1)
    for line in rng.uniform(-half, half, rng.integers(1, 3)):
        for y in np.arange(rng.uniform(0, 6), 80, 6.0):
            parts.place("box", (0.14, 2.6, 0.01), (line - lane, y, 0), paint)
    pavement = random_material(rng, ("checker", "brick", "noise"), scale=(0.4, 1.5), saturation=0.2)
    verge = random_material(rng, ("noise", "gravel"), value=(0.1, 0.35))
    for side in (-1, 1):
        parts.place("box", (3, 300, 0.3), (side * (half + 1.5) - lane, 100, -0.18), pavement)
        parts.place("box", (80, 300, 0.2), (side * (half + 42.9) - lane, 100, -0.15), verge)
        y = rng.uniform(-5, 10)
        while y < 90:
            length, gap = rng.uniform(6, 22), rng.uniform(0, 8)
            if rng.random() < 0.7:
                depth, setback = rng.uniform(6, 12), rng.uniform(3.2, 9)
                x = side * (half + setback + depth / 2) - lane
                _building(parts, rng, x, y + length / 2, 0, 0.0, (depth, length, rng.uniform(4, 16)))
            else:
                for _ in range(rng.integers(1, 4)):
                    _tree(parts, rng, side * (half + rng.uniform(2, 8)) - lane, y + rng.uniform(0, length), 0)
            y += length + gap
        for y in np.arange(rng.uniform(5, 20), 80, rng.uniform(15, 30)):
            steel = random_material(rng, ("plain",), saturation=0.1)
            parts.place("cylinder", (0.14, 0.14, rng.uniform(3, 7)), (side * (half + 0.5) - lane, y, 0), steel)
        for y in np.arange(rng.uniform(6, 14), 60, rng.uniform(6, 16)):
            if rng.random() < 0.5:
                _car(parts, rng, side * (half - 1.0) - lane, y, rng.normal(0, 0.03))
    for _ in range(rng.integers(0, 3)):
        _car(parts, rng, rng.uniform(-half + 1, half - 1) - lane, rng.uniform(9, 55), rng.normal(0, 0.05))
    for _ in range(rng.integers(0, 4)):
        _person(parts, rng, rng.choice([-1, 1]) * (half + rng.uniform(0.3, 2.5)) - lane, rng.uniform(5, 40), 0.12)
    camera = Camera(
        position=np.array([0, 0, rng.uniform(1.4, 1.9)]),
        yaw=rng.normal(0, 0.06),
        pitch=rng.normal(0.04, 0.03),
        roll=rng.normal(0, 0.01),
        fov=np.radians(rng.uniform(60, 85)),
    )
    return Layout(parts=parts, camera=camera, light=_sun(rng, rng.uniform(0, 0.012)), max_depth=80.0)


KINDS: dict[str, Callable[[Generator], Layout]] = {"indoor": indoor, "outdoor": outdoor, "driving": driving}
