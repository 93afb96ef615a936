"""Small things to put on tables and shelves, and plants in pots."""

import numpy as np

from dad.data.scenes.rich.meshes import box, ellipsoid, lathe, leaves, merged, ring, tube
from dad.data.scenes.rich.stage import Part
from dad.data.scenes.rich.surfaces import Palette


def small_thing(palette: Palette) -> list[Part]:
    """Something to put on a table or shelf: a cup, a vase, a bottle, books, fruit, a lamp, a screen, a box, a plant."""
    rng = palette.rng
    look = palette.draw(
        "plain", "stripes", "cloud", "dots", "plain", scale=(0.02, 0.08), saturation=1.2, gloss=0.25, photo=0.5
    )
    kind = rng.integers(9)
    if kind == 0:
        r, h = rng.uniform(0.035, 0.05), rng.uniform(0.08, 0.12)
        return [
            (
                merged(
                    [
                        lathe([(r * 0.8, 0), (r, 0.02), (r, h), (r * 0.85, h), (r * 0.8, 0.02)]),
                        ring(0.03, 0.008, (r + 0.015, 0, h / 2), axis=1, sides=12),
                    ]
                ),
                look,
            )
        ]
    if kind == 1:
        r, h = rng.uniform(0.05, 0.12), rng.uniform(0.15, 0.4)
        return [(lathe([(r * 0.6, 0), (r, h * 0.35), (r * 0.9, h * 0.55), (r * 0.35, h * 0.85), (r * 0.5, h)]), look)]
    if kind == 2:
        r, h = rng.uniform(0.03, 0.045), rng.uniform(0.22, 0.32)
        return [(lathe([(r, 0), (r, h * 0.6), (r * 0.35, h * 0.78), (r * 0.35, h)]), look)]
    if kind == 3:
        parts, z = [], 0.0
        for _ in range(rng.integers(1, 6)):
            t = rng.uniform(0.015, 0.05)
            parts.append(
                (
                    box((rng.uniform(0.13, 0.2), rng.uniform(0.18, 0.27), t), (0, 0, z), rng.normal(0, 0.15)),
                    palette.draw("plain", "stripes", saturation=1.3),
                )
            )
            z += t
        return parts
    if kind == 4:
        fruit = [
            ellipsoid(np.full(3, rng.uniform(0.03, 0.045)), (*rng.uniform(-0.07, 0.07, 2), 0.06), sides=10)
            for _ in range(4)
        ]
        return [
            (lathe([(0.05, 0), (0.14, 0.07), (0.13, 0.07), (0.045, 0.015)]), look),
            (merged(fruit), palette.draw("plain", saturation=1.6, photo=0)),
        ]
    if kind == 5:
        h = rng.uniform(0.3, 0.55)
        return [
            (
                merged(
                    [
                        lathe([(0.08, 0), (0.08, 0.02), (0.012, 0.03), (0.012, h)]),
                        tube([(0, 0, h * 0.9), (0, 0, h)], 0.01),
                    ]
                ),
                look,
            ),
            (
                lathe([(0.16, h * 0.7), (0.09, h), (0.085, h), (0.155, h * 0.7)]),
                palette.flat((0.9, 0.8, 0.6), glow=rng.choice([0.0, 1.2])),
            ),
        ]
    if kind == 6:
        w, h = rng.uniform(0.4, 0.65), rng.uniform(0.26, 0.38)
        picture = palette.draw("poster", "cloud", "plain", scale=(0.05, 0.2), saturation=1.3, photo=2.0)
        shell = merged(
            [box((w, 0.025, h), (0, 0, 0.08)), box((0.05, 0.03, 0.1), (0, 0.02, 0)), box((0.22, 0.16, 0.012))]
        )
        return [(shell, palette.flat(0.03, gloss=0.3)), (box((w - 0.03, 0.004, h - 0.03), (0, -0.014, 0.095)), picture)]
    if kind == 7:
        return [
            (
                box(rng.uniform(0.08, 0.3, 3), (0, 0, 0), rng.uniform(0, 3)),
                palette.draw("plain", "poster", "stripes", "wood", scale=(0.05, 0.2), photo=1.5),
            )
        ]
    return pot_plant(palette, rng.uniform(0.2, 0.45))


def pot_plant(palette: Palette, tall: float | None = None) -> list[Part]:
    """A plant in a pot: stems with leaves, 0.2 to 1.6 m tall."""
    rng = palette.rng
    tall = rng.uniform(0.5, 1.6) if tall is None else tall
    r, h = 0.13 * tall + 0.03, 0.2 * tall + 0.03
    green = np.array([0.09, 0.22, 0.05]) * rng.uniform(0.5, 1.8) * rng.uniform(0.8, 1.2, 3)
    stems, centres = [], []
    for _ in range(rng.integers(4, 10)):
        tip = np.array([*rng.normal(0, 0.2 * tall, 2), tall * rng.uniform(0.65, 1.0)])
        path = np.array([[0, 0, h * 0.8], [tip[0] * 0.3, tip[1] * 0.3, (h + tip[2]) / 2], tip])
        stems.append(tube(path, [0.012 * tall, 0.008 * tall, 0.004 * tall], sides=5))
        share = rng.uniform(0.4, 1.05, (14, 1))
        centres.append(path[1] + share * (path[2] - path[1]) + rng.normal(0, 0.07 * tall, (14, 3)))
    foliage = palette.flat(green, grain=0.3)
    return [
        (
            lathe([(r * 0.7, 0), (r, h), (r * 0.9, h), (r * 0.8, h * 0.85)]),
            palette.draw("plain", "stripes", "cloud", scale=(0.03, 0.1)),
        ),
        (merged(stems), palette.flat(green * 0.7)),
        (leaves(rng, np.concatenate(centres), 0.22 * tall, slim=rng.uniform(0.2, 0.5)), foliage),
    ]


def on_top(palette: Palette, width: float, depth: float, height: float, count: int) -> list[Part]:
    """Small things spread over a surface of `width` x `depth` at `height`."""
    rng, parts = palette.rng, []
    for _ in range(count):
        at, turn = (rng.uniform(-0.4, 0.4) * width, rng.uniform(-0.35, 0.35) * depth, height), rng.uniform(-0.6, 0.6)
        parts += [(mesh.moved(at, turn), look) for mesh, look in small_thing(palette)]
    return parts
