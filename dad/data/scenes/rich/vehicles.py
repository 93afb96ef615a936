"""Cars, lorries, buses and bicycles; fronts towards -y."""

import numpy as np

from dad.data.scenes.rich.meshes import Mesh, box, boxes, cushion, loft, merged, ring, tube
from dad.data.scenes.rich.stage import Part
from dad.data.scenes.rich.surfaces import Palette

DARK = 0.02
"""Linear grey of tyres and plastic."""


def _outline(stations: np.ndarray) -> Mesh:
    """A body lofted along y: rows of (y, half width below, half width above, bottom, top)."""
    rings = []
    for y, low, high, bottom, top in stations:
        middle = (bottom + top) / 2
        rings.append(
            [
                (-low * 0.92, y, bottom),
                (low * 0.92, y, bottom),
                (low, y, middle * 0.8 + bottom * 0.2),
                (low, y, middle * 1.05),
                (high, y, top - 0.03),
                (high * 0.85, y, top),
                (-high * 0.85, y, top),
                (-high, y, top - 0.03),
                (-low, y, middle * 1.05),
                (-low, y, middle * 0.8 + bottom * 0.2),
            ]
        )
    return loft(np.array(rings), smooth=False)


def car(palette: Palette) -> list[Part]:
    """A saloon, hatchback, estate or van: body and glasshouse lofted lengthwise, wheels, lights, mirrors, plates."""
    rng = palette.rng
    kind = rng.integers(4)
    length = (4.5, 3.9, 4.6, 5.0)[kind] * rng.uniform(0.94, 1.06)
    half, roof = (0.88, 0.84, 0.92, 0.98)[kind], (1.42, 1.5, 1.68, 2.1)[kind] * rng.uniform(0.97, 1.03)
    waist, nose = roof * (0.62 if kind < 2 else 0.6), length / 2
    hood = waist * rng.uniform(0.88, 0.96) if kind < 3 else waist * 0.95
    paint = palette.draw("plain", value=(0.02, 0.85), saturation=float(rng.choice([0.1, 0.3, 1.6])), gloss=0.8, photo=0)
    body = _outline(
        np.array(
            [
                (-nose, half * 0.8, half * 0.74, 0.32, hood * 0.72),
                (-nose * 0.96, half * 0.93, half * 0.86, 0.24, hood * 0.86),
                (-nose * 0.8, half, half * 0.94, 0.22, hood * 0.95),
                (-nose * 0.42, half, half * 0.96, 0.22, hood),
                (-nose * 0.36, half, half * 0.96, 0.22, waist),
                (nose * 0.6, half, half * 0.96, 0.22, waist),
                (nose * 0.9, half, half * 0.92, 0.26, waist * (0.97 if kind else 0.9)),
                (nose, half * 0.88, half * 0.82, 0.38, waist * (0.9 if kind else 0.8)),
            ]
        )
    )
    back = (0.52, 0.86, 0.9, 0.97)[kind]
    front = (-0.36, -0.38, -0.36, -0.62)[kind]
    slope = (0.3, 0.26, 0.24, 0.16)[kind]
    rear = (0.3, 0.14, 0.06, 0.01)[kind]
    glass = _outline(
        np.array(
            [
                (nose * front, half * 0.9, half * 0.86, waist - 0.04, waist + 0.02),
                (nose * (front + slope), half * 0.88, half * 0.76, waist - 0.04, roof - 0.04),
                (nose * (back - rear), half * 0.88, half * 0.76, waist - 0.04, roof - 0.04),
                (nose * back, half * 0.88, half * 0.82, waist - 0.04, waist + 0.03),
            ]
        )
    )
    roof_from, roof_to = nose * (front + slope) + 0.03, nose * (back - rear) - 0.03
    top = cushion((half * 1.52, roof_to - roof_from, 0.07), (0, (roof_from + roof_to) / 2, roof - 0.06), power=0.3)
    pillars = []
    for x in (-1, 1):
        for y in np.linspace(roof_from, roof_to, 3):
            pillars.append(
                tube([(x * half * 0.905, y, waist - 0.02), (x * half * 0.775, y, roof - 0.04)], 0.045, sides=5)
            )
        pillars.append(
            tube([(x * half * 0.9, nose * front, waist), (x * half * 0.765, roof_from, roof - 0.04)], 0.035, sides=5)
        )
        pillars.append(
            tube([(x * half * 0.9, nose * back, waist), (x * half * 0.765, roof_to, roof - 0.04)], 0.045, sides=5)
        )
    wheel = 0.31 if kind < 2 else 0.36
    places = [(x * (half - 0.1), y * length * 0.3) for x in (-1, 1) for y in (-1, 1)]
    tyres, hubs, arches = [], [], []
    for x, y in places:
        angle = np.arange(20) * 2 * np.pi / 20
        disc = np.array(
            [
                [(s, wheel * f * np.cos(a), wheel * f * np.sin(a)) for a in angle]
                for s, f in ((-0.1, 0.93), (-0.08, 1), (0.08, 1), (0.1, 0.93))
            ]
        )
        tyres.append(loft(disc).moved((x, y, wheel)))
        out = np.sign(x) * 0.108
        hubs += [
            boxes((0.012, 0.05, wheel * 1.15), [(x + out, y, wheel)]),
            boxes((0.012, wheel * 1.15, 0.05), [(x + out, y, wheel)]),
        ]
        hubs.append(loft(disc[:2] * [0.2, 0.6, 0.6] + [out, 0, 0]).moved((x, y, wheel)))
        arch = np.array(
            [[(s, wheel * 1.17 * np.cos(a), wheel * 1.17 * np.sin(a)) for a in angle] for s in (-0.105, 0.105)]
        )
        arches.append(loft(arch).moved((x, y, wheel)))
    lights = [cushion((0.34, 0.1, 0.13), (x * half * 0.66, -nose * 0.965, hood * 0.62)) for x in (-1, 1)]
    tails = [cushion((0.26, 0.1, 0.16), (x * half * 0.72, nose * 0.965, waist * 0.68)) for x in (-1, 1)]
    trim = [
        box((half * 1.1, 0.06, 0.14), (0, -nose * 0.985, 0.34)),
        boxes((0.02, length * 0.34, 0.02), [(x * (half + 0.002), 0, waist * 0.75) for x in (-1, 1)]),
    ]
    mirrors = [cushion((0.17, 0.1, 0.12), (x * (half + 0.1), nose * front + 0.25, waist)) for x in (-1, 1)]
    shade = palette.flat(rng.uniform(0.015, 0.05), gloss=1.0, grain=0.02)
    return [
        (merged([top, *mirrors]), paint),
        (merged([body, *pillars]), paint),
        (glass, shade),
        (merged(tyres), palette.flat(DARK)),
        (merged(arches), palette.flat(0.01)),
        (merged(hubs), palette.flat(rng.uniform(0.1, 0.5), gloss=0.6)),
        (merged(lights), palette.flat((0.8, 0.8, 0.75), gloss=0.8)),
        (merged(tails), palette.flat((0.45, 0.02, 0.02), gloss=0.5)),
        (merged(trim), palette.flat(DARK)),
        (box((0.5, 0.02, 0.11), (0, nose * 1.005, 0.5)), palette.flat(0.7)),
    ]


def truck(palette: Palette) -> list[Part]:
    """A lorry with a box body, or a bus."""
    rng = palette.rng
    length, half, height = rng.uniform(7, 11), 1.22, rng.uniform(2.9, 3.7)
    paint = palette.draw("plain", "stripes", scale=(1.0, 3.0), saturation=1.2, gloss=0.5)
    wheels = []
    for x in (-1, 1):
        for y in (-0.36, 0.25, 0.36):
            angle = np.arange(18) * 2 * np.pi / 18
            disc = np.array([[(s, 0.5 * np.cos(a), 0.5 * np.sin(a)) for a in angle] for s in (-0.14, 0.14)])
            wheels.append(loft(disc).moved((x * (half - 0.15), y * length, 0.5)))
    parts: list[Part] = [(merged(wheels), palette.flat(DARK))]
    glass = palette.flat(0.03, gloss=1.0)
    if rng.random() < 0.5:
        parts.append((cushion((2 * half, length, height - 0.4), (0, 0, 0.4), power=0.12), paint))
        count = int(length / 1.3)
        panes = [
            (x * (half + 0.003), (i + 0.5) / count * length - length / 2, 1.95) for x in (-1, 1) for i in range(count)
        ]
        parts.append(
            (
                merged(
                    [
                        boxes((0.03, length / count - 0.12, 0.95), panes),
                        box((2 * half - 0.2, 0.04, 1.5), (0, -length / 2 - 0.01, 1.2)),
                    ]
                ),
                glass,
            )
        )
        return parts
    cab = palette.draw("plain", saturation=1.4, gloss=0.6)
    parts.append((box((2 * half, length * 0.74, height - 0.9), (0, length * 0.12, 0.9)), paint))
    parts.append((cushion((2 * half - 0.1, length * 0.2, height - 0.9), (0, -length * 0.38, 0.5), power=0.2), cab))
    parts.append((box((2 * half - 0.3, 0.04, 0.8), (0, -length * 0.48, 1.6)), glass))
    parts.append((box((2 * half - 0.4, length * 0.9, 0.25), (0, 0, 0.6)), palette.flat(DARK)))
    return parts


def bicycle(palette: Palette) -> list[Part]:
    """A bicycle: two thin wheels with spokes, a frame of tubes, saddle and handlebar; it stands along y."""
    rng, r = palette.rng, 0.34
    wheels, spokes = [], []
    for y in (-0.52, 0.52):
        wheels.append(ring(r, 0.018, (0, y, r), axis=0, sides=28))
        spokes += [
            tube([(0, y - r * np.cos(a), r - r * np.sin(a)), (0, y + r * np.cos(a), r + r * np.sin(a))], 0.003, sides=4)
            for a in np.arange(6) * np.pi / 6
        ]
    crank, seat, head = (0, 0.05, 0.3), (0, 0.22, 0.88), (0, -0.4, 0.82)
    lines = [
        (crank, seat),
        (crank, head),
        ((0, 0.2, 0.78), head),
        (crank, (0, 0.52, r)),
        ((0, 0.2, 0.78), (0, 0.52, r)),
        (head, (0, -0.52, r)),
        (head, (0, -0.38, 0.98)),
    ]
    frame = [tube(line, 0.017, sides=6) for line in lines]
    bar = [
        tube([(-0.28, -0.3, 0.98), (0, -0.38, 0.98), (0.28, -0.3, 0.98)], 0.013, sides=6),
        cushion((0.15, 0.26, 0.06), (0, 0.24, 0.88)),
    ]
    return [
        (merged(frame), palette.draw("plain", saturation=1.6, gloss=0.5, photo=0)),
        (merged([*wheels, *bar]), palette.flat(DARK)),
        (merged(spokes), palette.flat(rng.uniform(0.3, 0.7))),
    ]
