"""Trees, bushes, grass and rocks: trunks with branches and real leaves, so that the sky shines through."""

from dataclasses import replace

import numpy as np

from dad.data.scenes.rich.meshes import Mesh, box, ellipsoid, leaves, limb, merged, quads, sheet, tube
from dad.data.scenes.rich.stage import Part
from dad.data.scenes.rich.surfaces import Palette, Surface

Generator = np.random.Generator


def leaf_size(distance: float) -> float:
    """Length of leaves in metres of a plant `distance` metres away: below a pixel they would only be noise."""
    return float(np.clip(0.009 * distance, 0.08, 0.6))


def _greens(palette: Palette) -> Surface:
    rng = palette.rng
    season = rng.random()
    base = (
        np.array([0.1, 0.19, 0.045])
        if season < 0.75
        else np.array([0.35, 0.17, 0.04])
        if season < 0.9
        else np.array([0.22, 0.24, 0.06])
    )
    green = base * rng.uniform(0.5, 1.5) * rng.uniform(0.8, 1.2, 3)
    return Surface(pattern="foliage", first=green, second=green * 0.35, scale=0.3, grain=0.35)


def branches(
    rng: Generator, start: np.ndarray, direction: np.ndarray, length: float, radius: float, level: int
) -> tuple[list[Mesh], list[np.ndarray]]:
    """Tubes of a branch and its twigs, and the points (N,3) at which leaves grow."""
    steps = 5 if level else 6
    path, heading = [start], direction / np.linalg.norm(direction)
    for _ in range(steps - 1):
        heading = heading + rng.normal(0, 0.16, 3) + [0, 0, 0.06]
        heading /= np.linalg.norm(heading)
        path.append(path[-1] + heading * length / (steps - 1))
    points = np.array(path)
    meshes = [tube(points, np.linspace(radius, radius * 0.35, steps), sides=8 if level > 1 else 5)]
    if level == 0:
        return meshes, [points[2:]]
    tips = []
    for _ in range(rng.integers(3, 6)):
        share = rng.uniform(0.4, 1.0)
        at = points[min(int(share * (steps - 1)), steps - 2)]
        away = rng.normal(size=3) + [0, 0, 0.35]
        aside = away - (away @ heading) * heading * 0.5
        more, grown = branches(
            rng,
            at,
            heading * 0.6 + aside / np.linalg.norm(aside),
            length * rng.uniform(0.4, 0.65),
            radius * 0.5,
            level - 1,
        )
        meshes += more
        tips += grown
    return meshes, tips


def tree(palette: Palette, distance: float) -> list[Part]:
    """A broad-leaved tree, a conifer, a bare tree or a palm, 3 to 14 m tall; the nearer, the finer its leaves."""
    rng = palette.rng
    bark = palette.draw("bark", value=(0.05, 0.2), saturation=0.4, photo=0)
    kind, tall, size = rng.random(), rng.uniform(3.5, 13), leaf_size(distance)
    foliage = _greens(palette)
    density = min(1.0, 0.16 / size) * rng.uniform(0.5, 1.1)
    if kind < 0.25:
        return _conifer(rng, tall, size, density, bark, foliage)
    if kind < 0.3:
        return _palm(rng, tall, bark, foliage)
    bare = kind >= 0.9
    return _broadleaf(rng, tall, size, density, 2 if distance < 22 else 1, bark, None if bare else foliage)


def _conifer(rng: Generator, tall: float, size: float, density: float, bark: Surface, foliage: Surface) -> list[Part]:
    """Tiers of needles around a straight trunk."""
    trunk = tube([(0, 0, -0.3), (0, 0, tall * 0.5), (0, 0, tall)], [0.02 * tall, 0.012 * tall, 0.02], sides=8)
    spread = rng.uniform(0.16, 0.3) * tall
    count = int(900 * density * tall / 6)
    height = rng.uniform(0.12, 1, count) ** 0.8
    tier = 1 - 0.25 * np.mod(height * rng.integers(7, 14), 1)
    radius = spread * (1.05 - height) * tier * np.sqrt(rng.uniform(0.15, 1, count))
    angle = rng.uniform(0, 2 * np.pi, count)
    centres = np.stack([radius * np.cos(angle), radius * np.sin(angle), height * tall - 0.25 * radius], 1)
    core = tube([(0, 0, tall * 0.15), (0, 0, tall)], [spread * 0.55, 0.02], sides=10)
    return [(trunk, bark), (core, foliage), (leaves(rng, centres, size * 1.6, droop=1.0, slim=0.25), foliage)]


def _palm(rng: Generator, tall: float, bark: Surface, foliage: Surface) -> list[Part]:
    """A bent trunk with a head of fronds."""
    lean = rng.normal(0, 0.06, 2) * tall
    trunk = tube([(0, 0, -0.2), (*(lean * 0.4), tall * 0.5), (*lean, tall)], [0.16, 0.12, 0.1])
    fans = []
    for angle in np.arange(14) * 2.4:
        way = np.array([np.cos(angle), np.sin(angle)])
        share = np.linspace(0, 1, 12)[:, None]
        long = rng.uniform(1.6, 2.6)
        spine = np.concatenate(
            [lean + way * share * long, tall + 0.5 * np.sin(2.5 * share) - 1.1 * share**2 * rng.uniform(0.5, 1.6)], 1
        )
        side = np.array([-way[1], way[0], -0.35])
        for sign in (-1, 1):
            u = np.diff(spine, axis=0) * 0.5
            fans.append(
                quads(
                    spine[:-1] + sign * side * 0.22,
                    u * 1.1,
                    np.broadcast_to(sign * side * 0.24, u.shape) * [[1, 1, sign]],
                )
            )
    return [(trunk, bark), (merged(fans), foliage)]


def _broadleaf(
    rng: Generator, tall: float, size: float, density: float, forks: int, bark: Surface, foliage: Surface | None
) -> list[Part]:
    """A trunk that branches `forks` times over, with leaves at the twigs, or bare."""
    trunk, radius = rng.uniform(0.18, 0.35) * tall, rng.uniform(0.018, 0.03) * tall
    meshes = [limb((0, 0, -0.4), (*rng.normal(0, 0.03 * tall, 2), trunk), radius * 1.25, radius)]
    tips: list[np.ndarray] = []
    fork = meshes[0].vertices[-1]
    for _ in range(rng.integers(4, 7)):
        heading = rng.normal(size=3) * [0.7, 0.7, 0.3] + [0, 0, rng.uniform(0.5, 1.1)]
        more, grown = branches(rng, fork, heading, (tall - trunk) * rng.uniform(0.55, 0.85), radius * 0.55, forks)
        meshes += more
        tips += grown
    parts = [(merged(meshes), bark)]
    if foliage is not None:
        points = np.concatenate(tips)
        count = int(np.clip(7000 * density * tall / 8, 500, 9000))
        chosen = points[rng.integers(0, len(points), count)]
        parts.append((leaves(rng, chosen + rng.normal(0, 0.05 * tall, (count, 3)), size * 1.7, slim=0.62), foliage))
    return parts


def bush(palette: Palette, distance: float, width: float | None = None) -> list[Part]:
    """A bush: a dark core in a cloud of leaves, 0.4 to 1.8 m."""
    rng = palette.rng
    width = rng.uniform(0.5, 2.0) if width is None else width
    height, size, foliage = width * rng.uniform(0.5, 1.0), leaf_size(distance), _greens(palette)
    count = int(np.clip(1500 * width * min(1, 0.15 / size), 80, 2500))
    unit = rng.normal(size=(count, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    unit[:, 2] = np.abs(unit[:, 2])
    centres = unit * [width / 2, width / 2, height] * rng.uniform(0.8, 1.05, (count, 1))
    core = ellipsoid((width * 0.43, width * 0.43, height * 0.85), (0, 0, 0.05), bumps=0.12, rng=rng)
    dark = replace(foliage, first=foliage.first * 0.45, second=foliage.second * 0.5)
    return [(core, dark), (leaves(rng, centres, size * 1.2), foliage)]


def hedge(palette: Palette, length: float, height: float, distance: float) -> list[Part]:
    """A clipped hedge along x."""
    rng, foliage, size = palette.rng, _greens(palette), leaf_size(distance)
    from_ = np.array([-length / 2, -0.3, 0.05])
    count = int(np.clip(420 * length * height * min(1, 0.15 / size), 60, 4500))
    points = from_ + rng.random((count, 3)) * [length, 0.6, height - 0.05]
    face = rng.integers(0, 3, count)
    points[:, 1] = np.where(face < 2, np.where(rng.random(count) < 0.5, -0.3, 0.3), points[:, 1])
    points[:, 2] = np.where(face == 2, height, points[:, 2])
    core = box((length, 0.56, height - 0.03))
    dark = replace(foliage, first=foliage.first * 0.5, second=foliage.second * 0.5)
    return [(core, dark), (leaves(rng, points, size * 1.2), foliage)]


def grass(palette: Palette, spots: np.ndarray, tall: float) -> list[Part]:
    """Tufts of blades at the points (N,3)."""
    rng = palette.rng
    each = 9
    root = np.repeat(spots, each, 0) + np.concatenate(
        [rng.normal(0, 0.06, (len(spots) * each, 2)), np.zeros((len(spots) * each, 1))], 1
    )
    lean = np.concatenate([rng.normal(0, 0.25, (len(root), 2)), rng.uniform(0.5, 1.1, (len(root), 1))], 1) * tall / 2
    side = np.stack([-lean[:, 1], lean[:, 0], np.zeros(len(root))], 1)
    side = side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6) * 0.012
    green = np.array([0.13, 0.2, 0.05]) * rng.uniform(0.5, 1.5)
    return [
        (
            quads(root + lean, lean, side),
            Surface(pattern="cloud", first=green, second=green * 1.8, scale=0.5, grain=0.3),
        )
    ]


def rock(palette: Palette, size: float | None = None) -> list[Part]:
    """A boulder, half in the ground."""
    rng = palette.rng
    size = float(np.exp(rng.uniform(np.log(0.25), np.log(2.2)))) if size is None else size
    body = ellipsoid(size * rng.uniform(0.6, 1.2, 3) * [1, 1, 0.7], (0, 0, size * 0.2), sides=18, bumps=0.16, rng=rng)
    return [(body, palette.draw("rough", "cloud", "marble", scale=(0.3, 1.2), value=(0.12, 0.45), saturation=0.25))]


def ground(rng: Generator, extent: float, hills: float, roughness: float, cells: int = 72) -> Mesh:
    """Terrain: a height field, fine near the origin, with hills of some height far away."""
    axis = np.linspace(-1, 1, cells + 1)
    axis = extent * np.sign(axis) * np.abs(axis) ** 1.9
    x, y = np.meshgrid(axis, axis, indexing="ij")
    z = np.zeros_like(x)
    for wave in (70.0, 35.0, 17.0, 8.0, 4.0):
        for _ in range(2):
            direction, phase = rng.uniform(0, 2 * np.pi, 2)
            z += (
                np.sin((x * np.cos(direction) + y * np.sin(direction)) * 2 * np.pi / wave + phase)
                * wave
                / 60
                * roughness
            )
    far = np.clip((np.hypot(x, y) - 30) / 60, 0, 1) ** 1.5
    z = z * np.clip((np.hypot(x, y) - 2.5) / 8, 0, 1)
    for _ in range(3):
        direction, phase = rng.uniform(0, 2 * np.pi, 2)
        z += (
            far * hills * (0.6 + 0.6 * np.sin((x * np.cos(direction) + y * np.sin(direction)) * 2 * np.pi / 90 + phase))
        )
    return sheet(np.stack([x, y, z], -1))


def height_of(mesh: Mesh, x: float, y: float) -> float:
    """Height of the terrain at (x, y), from its nearest vertices."""
    distance = (mesh.vertices[:, 0] - x) ** 2 + (mesh.vertices[:, 1] - y) ** 2
    nearest = np.argpartition(distance, 4)[:4]
    weight = 1 / (distance[nearest] + 1e-3)
    return float((mesh.vertices[nearest, 2] * weight).sum() / weight.sum())
