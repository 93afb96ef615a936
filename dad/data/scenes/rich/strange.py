"""Things only the foreign family has: arches, columns, stairs, racks, pipes, containers, tents, cacti and statues."""

import itertools

import numpy as np

from dad.data.scenes.rich.meshes import (
    Mesh,
    box,
    boxes,
    cushion,
    ellipsoid,
    lathe,
    limb,
    loft,
    merged,
    prism,
    ring,
    tube,
)
from dad.data.scenes.rich.people import person
from dad.data.scenes.rich.stage import Part
from dad.data.scenes.rich.surfaces import Palette, Surface

STONES = ("terrazzo", "sandstone", "herringbone", "hexagons")


def stone(palette: Palette, **options: object) -> Surface:
    """A surface of stone, concrete or tiles."""
    return palette.draw(*STONES, scale=(0.2, 0.8), value=(0.2, 0.75), saturation=0.35, **options)


def column(palette: Palette, height: float) -> list[Part]:
    """A column with base and capital, fluted or square."""
    rng = palette.rng
    r = height * rng.uniform(0.05, 0.08)
    look = stone(palette)
    caps = [box((2.7 * r, 2.7 * r, 0.5 * r), (0, 0, z)) for z in (0, height - 0.5 * r)]
    if rng.random() < 0.4:
        return [(merged([*caps, box((1.9 * r, 1.9 * r, height))]), look)]
    angle = np.arange(48) * 2 * np.pi / 48
    flute = r * (1 - 0.06 * (np.arange(48) % 4 < 2))
    rings = [
        [(f * flute[i] * np.cos(a), f * flute[i] * np.sin(a), z) for i, a in enumerate(angle)]
        for f, z in ((1, 0), (1.03, height * 0.4), (0.85, height))
    ]
    return [(loft(np.array(rings)), look), (merged(caps), look)]


def arch(palette: Palette, span: float, height: float, deep: float = 0.6) -> list[Part]:
    """A round arch on two piers, across x."""
    look, thick = stone(palette), 0.18 * span
    piers = boxes((thick, deep, height), [(x, 0, height / 2) for x in (-span / 2, span / 2)])
    angle = np.linspace(0, np.pi, 17)
    inner, outer = span / 2 - thick / 2, span / 2 + thick / 2
    blocks = []
    for a, b in itertools.pairwise(angle):
        outline = [(f * np.cos(t), f * np.sin(t)) for f, t in ((inner, a), (outer, a), (outer, b), (inner, b))]
        blocks.append(prism(outline, deep, (0, 0, height)))
    return [(piers, look), (merged(blocks), look)]


def stairs(palette: Palette, width: float, steps: int) -> list[Part]:
    """A flight of stairs that rises towards +y, with a handrail."""
    rng = palette.rng
    rise, tread = rng.uniform(0.14, 0.19), rng.uniform(0.26, 0.34)
    blocks = [box((width, tread * 1.02, rise * (i + 1)), (0, i * tread, 0)) for i in range(steps)]
    posts = [
        tube([(x, i * tread, rise * (i + 1)), (x, i * tread, rise * (i + 1) + 0.95)], 0.012, sides=6)
        for x in (-width / 2, width / 2)
        for i in range(0, steps, 1)
    ]
    rails = [
        tube([(x, 0, rise + 0.95), (x, (steps - 1) * tread, rise * steps + 0.95)], 0.025, sides=8)
        for x in (-width / 2, width / 2)
    ]
    return [
        (merged(blocks), stone(palette)),
        (merged([*rails, *posts]), palette.flat(rng.uniform(0.03, 0.6), gloss=0.4)),
    ]


def rack(palette: Palette, length: float, height: float) -> list[Part]:
    """A warehouse or shop rack along x, loaded with cartons, barrels and tins."""
    rng = palette.rng
    levels = np.arange(0.25, height, rng.uniform(0.45, 0.9))
    posts = boxes(
        (0.05, 0.05, height),
        [
            (x, y, height / 2)
            for x in np.linspace(-length / 2, length / 2, int(length / 1.4) + 2)
            for y in (-0.35, 0.35)
        ],
    )
    boards = boxes((length, 0.75, 0.04), [(0, 0, z) for z in levels])
    parts: list[Part] = [(merged([posts, boards]), palette.draw("plain", saturation=1.2, gloss=0.2))]
    looks = [
        palette.draw("poster", "corrugated", "plain", "damask", scale=(0.1, 0.4), saturation=1.3, photo=1.5)
        for _ in range(4)
    ]
    goods: list[list[Mesh]] = [[], [], [], []]
    for z in levels:
        x = -length / 2 + 0.05
        while x < length / 2 - 0.2:
            w, h, which = rng.uniform(0.12, 0.5), rng.uniform(0.15, 0.42), int(rng.integers(4))
            if which == 3:
                goods[3].append(
                    lathe(
                        [(w * 0.45, 0), (w * 0.45, h)], sides=12, centre=(x + w / 2, rng.uniform(-0.1, 0.0), z + 0.02)
                    )
                )
            else:
                goods[which].append(
                    box((w * 0.95, rng.uniform(0.3, 0.65), h), (x + w / 2, rng.uniform(-0.1, 0.05), z + 0.02))
                )
            x += w + (rng.uniform(0.1, 0.5) if rng.random() < 0.15 else 0.01)
    return parts + [(merged(meshes), look) for meshes, look in zip(goods, looks, strict=True) if meshes]


def pipes(palette: Palette, length: float, height: float) -> list[Part]:
    """A run of pipes along y under a ceiling, with brackets and bends."""
    rng = palette.rng
    runs = []
    for i in range(rng.integers(1, 5)):
        x, r = 0.25 * i, rng.uniform(0.03, 0.11)
        runs.append(tube([(x, 0, height), (x, length * 0.5, height), (x, length, height)], r, sides=10))
        if rng.random() < 0.5:
            y = rng.uniform(0.2, 0.9) * length
            runs.append(tube([(x, y, height), (x, y, height * 0.5), (x, y, 0)], r * 0.8, sides=10))
    return [(merged(runs), palette.draw("plain", saturation=1.0, gloss=0.4))]


def container(palette: Palette) -> list[Part]:
    """A shipping container, or two on top of each other."""
    rng = palette.rng
    parts: list[Part] = []
    for level in range(rng.integers(1, 3)):
        look = palette.draw("corrugated", scale=(0.25, 0.4), value=(0.1, 0.6), saturation=1.4, photo=0.2)
        frame = boxes(
            [(2.44, 0.12, 0.12)] * 4 + [(0.12, 6.06, 0.12)] * 4,
            [(0, y, z) for y in (-3, 3) for z in (0.06, 2.53)] + [(x, 0, z) for x in (-1.2, 1.2) for z in (0.06, 2.53)],
        )
        parts += [(mesh.moved((0, 0, 2.6 * level), 0.0), look) for mesh in (box((2.36, 6.0, 2.55)), frame)]
    return parts


def tent(palette: Palette) -> list[Part]:
    """A ridge tent or a market stall."""
    rng = palette.rng
    cloth = palette.draw("stripes", "plain", "damask", scale=(0.3, 0.8), saturation=1.4)
    w, d, h = rng.uniform(2, 3.5), rng.uniform(2, 4), rng.uniform(1.4, 2.2)
    if rng.random() < 0.5:
        return [(prism([(-w / 2, 0), (w / 2, 0), (0, h)], d), cloth)]
    posts = [tube([(x, y, 0), (x, y, 2.1)], 0.025, sides=6) for x in (-w / 2, w / 2) for y in (-d / 2, d / 2)]
    roof = prism([(-w / 2 - 0.3, 2.0), (w / 2 + 0.3, 2.0), (0, 2.9)], d + 0.5)
    counter = box((w, 0.6, 0.9), (0, -d / 2 + 0.3, 0))
    goods = merged(
        [
            ellipsoid(
                np.full(3, rng.uniform(0.07, 0.13)),
                (rng.uniform(-0.45, 0.45) * w, -d / 2 + rng.uniform(0.1, 0.5), 0.98),
                sides=8,
            )
            for _ in range(30)
        ]
    )
    return [
        (roof, cloth),
        (merged(posts), palette.flat(0.3)),
        (counter, palette.draw("herringbone", "wood", scale=(0.1, 0.3))),
        (goods, palette.draw("plain", saturation=1.6, photo=0)),
    ]


def cactus(palette: Palette) -> list[Part]:
    """A columnar cactus with arms."""
    rng = palette.rng
    h, green = rng.uniform(1.5, 5), np.array([0.12, 0.2, 0.09]) * rng.uniform(0.6, 1.3)
    limbs = [limb((0, 0, -0.2), (0, 0, h), 0.22, 0.18, sides=16)]
    for _ in range(rng.integers(1, 4)):
        angle, z = rng.uniform(0, 6.28), h * rng.uniform(0.3, 0.6)
        out = np.array([np.cos(angle), np.sin(angle), 0])
        limbs.append(
            tube(
                [
                    [0, 0, z],
                    out * 0.45 + [0, 0, z + 0.1],
                    out * 0.6 + [0, 0, z + 0.4],
                    out * 0.6 + [0, 0, z + h * 0.35],
                ],
                [0.12, 0.13, 0.13, 0.1],
                sides=12,
            )
        )
    return [(merged(limbs), Surface(pattern="stripes", first=green, second=green * 0.6, scale=0.07, grain=0.2))]


def statue(palette: Palette) -> list[Part]:
    """A figure of one material on a plinth."""
    rng, look = palette.rng, stone(palette, photo=0.0)
    h = rng.uniform(0.6, 2.0)
    plinth = merged([box((1.2, 1.2, 0.2)), box((0.9, 0.9, h)), box((1.1, 1.1, 0.15), (0, 0, h))])
    return [(plinth, look), *((mesh.moved((0, 0, h + 0.15)), look) for mesh, _ in person(palette))]


def guard_rail(palette: Palette, length: float) -> list[Part]:
    """A crash barrier along y."""
    posts = boxes((0.1, 0.14, 0.75), [(0, y, 0.37) for y in np.arange(-length / 2, length / 2, 2.0)])
    profile = [(0.03, 0.42), (0.06, 0.5), (0.02, 0.58), (0.06, 0.66), (0.03, 0.74), (-0.02, 0.74), (-0.02, 0.42)]
    rail = loft(np.array([[(x, y, z) for x, z in profile] for y in (-length / 2, length / 2)]), smooth=False)
    return [(merged([posts, rail]), palette.flat(palette.rng.uniform(0.3, 0.6), gloss=0.3))]


def barrel(palette: Palette) -> list[Part]:
    """A barrel, a drum, a cone of the road works or a stack of tyres."""
    rng = palette.rng
    kind = rng.integers(3)
    if kind == 0:
        body = lathe([(0.26, 0), (0.33, 0.25), (0.35, 0.45), (0.33, 0.65), (0.26, 0.9)])
        hoops = merged([ring(0.335, 0.012, (0, 0, z), axis=2) for z in (0.2, 0.68)])
        return [(body, palette.draw("wood", "planks", scale=(0.08, 0.15))), (hoops, palette.flat(0.1))]
    if kind == 1:
        return [
            (
                merged([box((0.4, 0.4, 0.04)), lathe([(0.16, 0.04), (0.04, 0.7), (0.02, 0.72)])]),
                palette.draw("stripes", scale=(0.3, 0.4), value=(0.4, 0.8), saturation=1.6, photo=0),
            )
        ]
    return [
        (
            merged([ring(0.28, 0.11, (0, 0, 0.11 + 0.21 * i), axis=2) for i in range(rng.integers(1, 5))]),
            palette.flat(0.03),
        )
    ]


def bath(palette: Palette) -> list[Part]:
    """White ware: a tub, a basin or a machine with a round door."""
    rng = palette.rng
    white = palette.flat(rng.uniform(0.6, 0.9), gloss=0.6)
    kind = rng.integers(3)
    if kind == 0:
        return [
            (cushion((1.7, 0.75, 0.55), power=0.25), white),
            (cushion((1.5, 0.58, 0.06), (0, 0, 0.53), power=0.3), palette.flat(0.3, gloss=0.8)),
            (tube([(0.8, 0, 0.5), (0.8, 0, 0.75), (0.65, 0, 0.75)], 0.02, sides=6), palette.flat(0.5, gloss=1.0)),
        ]
    if kind == 1:
        return [(merged([lathe([(0.1, 0), (0.08, 0.7), (0.28, 0.78), (0.3, 0.86), (0.24, 0.86), (0.1, 0.78)])]), white)]
    door = ring(0.19, 0.035, (0, -0.31, 0.45), axis=1)
    return [
        (box((0.6, 0.6, 0.86)), white),
        (door, palette.flat(0.4, gloss=0.5)),
        (ellipsoid((0.17, 0.05, 0.17), (0, -0.3, 0.45)), palette.flat(0.03, gloss=1.0)),
    ]
