"""Buildings and what stands in streets and squares; fronts towards -y."""

import itertools

import numpy as np

from dad.data.scenes.rich.meshes import Mesh, box, boxes, cushion, ellipsoid, lathe, merged, prism, sheet, tube
from dad.data.scenes.rich.stage import Part
from dad.data.scenes.rich.surfaces import Palette, Surface
from dad.data.scenes.rich.vehicles import DARK


def pole(palette: Palette, kind: str | None = None) -> list[Part]:
    """A street lamp, a traffic light, a sign, a plain post with wires' insulators, or a flag."""
    rng = palette.rng
    kind = kind or str(rng.choice(["lamp", "light", "sign", "sign", "post", "flag"]))
    steel = palette.flat(rng.uniform(0.05, 0.5), gloss=0.2)
    if kind == "lamp":
        h, reach = rng.uniform(4, 8), rng.uniform(0.6, 2.2)
        arm = tube([(0, 0, 0), (0, 0, h - 0.8), (0, -0.3 * reach, h - 0.2), (0, -reach, h)], [0.09, 0.06, 0.05, 0.04])
        return [(arm, steel), (cushion((0.2, 0.6, 0.12), (0, -reach - 0.2, h - 0.07)), palette.flat(0.3))]
    if kind == "light":
        h = rng.uniform(2.4, 4.5)
        lens = [ellipsoid((0.09, 0.04, 0.09), (0, -0.16, h - 0.15 - 0.27 * i), sides=10) for i in range(3)]
        case = box((0.3, 0.26, 0.9), (0, 0, h - 0.88))
        return [
            (tube([(0, 0.1, 0), (0, 0.1, h)], 0.055), steel),
            (case, palette.flat(DARK)),
            (lens[rng.integers(3)], palette.flat(rng.uniform(0.1, 0.9, 3), glow=1.0)),
            (merged(lens), palette.flat(0.08)),
        ]
    if kind == "sign":
        h, r = rng.uniform(2.0, 3.0), rng.uniform(0.25, 0.45)
        corners = int(rng.choice([3, 4, 8, 24]))
        angle = np.arange(corners) * 2 * np.pi / corners + np.pi / 2 + (np.pi / 4 if corners == 4 else 0)
        plate = prism([(r * np.cos(a), r * np.sin(a)) for a in angle], 0.03, (0, -0.06, h))
        return [
            (tube([(0, 0, 0), (0, 0, h + 0.3)], 0.03, sides=8), steel),
            (
                plate,
                palette.draw(
                    "plain", "stripes", "dots", "poster", scale=(0.1, 0.4), value=(0.2, 0.8), saturation=1.5, photo=0.3
                ),
            ),
        ]
    if kind == "flag":
        h = rng.uniform(4, 9)
        x, z = np.meshgrid(np.linspace(0, 1.6, 12), np.linspace(-0.5, 0.5, 5), indexing="ij")
        cloth = np.stack([x, 0.12 * np.sin(5 * x + z) * x, h - 0.6 + z - 0.15 * x], -1)
        return [
            (tube([(0, 0, 0), (0, 0, h)], [0.05, 0.03]), steel),
            (sheet(cloth), palette.draw("stripes", "plaid", "plain", scale=(0.3, 0.9), saturation=1.6)),
        ]
    h = rng.uniform(6, 9)
    beam = boxes((1.6, 0.1, 0.1), [(0, 0, h - 0.5)])
    return [
        (
            merged([tube([(0, 0, 0), (0, 0, h)], [0.14, 0.1]), beam]),
            palette.draw("wood", "bark", "plain", value=(0.05, 0.3)),
        )
    ]


def railing(palette: Palette, length: float, *, height: float | None = None) -> list[Part]:
    """A railing or fence along x: rails and bars of thin tubes, wooden pickets, or boards."""
    rng = palette.rng
    height = rng.uniform(0.8, 1.3) if height is None else height
    kind, spacing = rng.integers(3), rng.uniform(0.1, 0.25)
    posts = np.arange(-length / 2, length / 2 + 1e-6, length / max(1, round(length / 2)))
    if kind == 0:
        parts = [tube([(x, 0, 0), (x, 0, height)], 0.025, sides=6) for x in posts]
        parts += [tube([(-length / 2, 0, z), (length / 2, 0, z)], 0.02, sides=6) for z in (height, 0.15)]
        bars = np.arange(-length / 2, length / 2, spacing)
        upright = boxes((0.016, 0.016, height - 0.15), [(x, 0, height / 2 + 0.07) for x in bars])
        return [(merged([upright, *parts]), palette.flat(rng.uniform(0.02, 0.6), gloss=0.3))]
    wood = palette.draw("wood", "plain", scale=(0.1, 0.4), value=(0.06, 0.8), saturation=0.3, photo=0.3)
    rails = boxes((length, 0.03, 0.07), [(0, 0.03, z) for z in np.linspace(0.25, 0.85, 2 if kind == 1 else 3) * height])
    stands = boxes((0.09, 0.09, height), [(x, 0.04, height / 2) for x in posts])
    if kind == 2:
        return [(merged([rails, stands]), wood)]
    xs = np.arange(-length / 2, length / 2, spacing)
    return [
        (merged([rails, stands, boxes((spacing * 0.6, 0.02, height), [(x, 0, height / 2 + 0.03) for x in xs])]), wood)
    ]


def bench(palette: Palette) -> list[Part]:
    """A park bench of slats on metal feet."""
    rng = palette.rng
    w = rng.uniform(1.2, 2.0)
    slats = boxes((w, 0.085, 0.03), [(0, y, 0.45) for y in (-0.2, -0.1, 0.0, 0.1, 0.2)])
    back = boxes((w, 0.03, 0.085), [(0, 0.24 + 0.05 * i, 0.56 + 0.11 * i) for i in range(4)])
    feet = [
        tube([(x, -0.2, 0), (x, -0.2, 0.44), (x, 0.22, 0.44), (x, 0.24, 0)], 0.025, sides=6)
        for x in (-0.4 * w, 0.4 * w)
    ]
    feet += [tube([(x, 0.22, 0.44), (x, 0.42, 0.95)], 0.022, sides=6) for x in (-0.4 * w, 0.4 * w)]
    return [
        (merged([slats, back]), palette.draw("wood", "plain", scale=(0.1, 0.3), value=(0.06, 0.5))),
        (merged(feet), palette.flat(0.04)),
    ]


def bin_or_bollard(palette: Palette) -> list[Part]:
    """A litter bin, a bollard, a post box, a hydrant or a planter."""
    rng = palette.rng
    look = palette.draw("plain", "stripes", "plain", "rough", scale=(0.1, 0.3), saturation=1.4)
    kind = rng.integers(4)
    if kind == 0:
        return [(lathe([(0.22, 0), (0.26, 0.8), (0.28, 0.82), (0.24, 0.86), (0.1, 1.0)]), look)]
    if kind == 1:
        return [(lathe([(0.1, 0), (0.09, 0.7), (0.11, 0.75), (0.09, 0.85), (0.04, 0.92)]), look)]
    if kind == 2:
        return [
            (merged([cushion((0.6, 0.72, 0.95), (0, 0, 0.12), power=0.2), box((0.64, 0.76, 0.08), (0, 0, 1.02))]), look)
        ]
    return [
        (box((1.2, 0.6, 0.5)), palette.draw("rough", "brick", "wood", scale=(0.2, 0.5))),
        (ellipsoid((0.55, 0.27, 0.35), (0, 0, 0.5), bumps=0.2, rng=rng), palette.flat((0.06, 0.14, 0.03), grain=0.4)),
    ]


def building(palette: Palette, width: float, depth: float, height: float, *, detail: bool = True) -> list[Part]:
    """A house: framed windows, sills, a door, cornices, perhaps balconies and a pitched roof; front at y = -depth/2."""
    rng = palette.rng
    wall = palette.draw(
        "brick",
        "plain",
        "rough",
        "cloud",
        "tiles",
        "planks",
        scale=(0.25, 0.6),
        value=(0.15, 0.75),
        saturation=0.6,
        photo=0.6,
    )
    parts: list[Part] = []
    if not detail:
        facade = palette.draw("facade", scale=(2.2, 3.6), value=(0.2, 0.75), saturation=0.4, photo=0.3)
        facade = (
            Surface(**{**facade.__dict__, "second": np.array([0.04, 0.05, 0.07])}) if facade.photo is None else facade
        )
        return [(box((width, depth, height), (0, 0, -0.5)), facade), *_roof(palette, width, depth, height - 0.5)]
    storey, bay = rng.uniform(2.7, 3.6), rng.uniform(1.9, 3.4)
    frame = palette.flat(rng.uniform(0.05, 0.8))
    glass = palette.flat(rng.uniform(0.015, 0.07), gloss=1.0, grain=0.02)
    w, h = bay * rng.uniform(0.35, 0.6), storey * rng.uniform(0.4, 0.6)
    panes, frames, sills, balconies = [], [], [], []
    storeys = max(1, int(height / storey))
    for side, span, away in ((0, width, depth / 2), (1, depth, width / 2), (3, depth, width / 2)):
        turn = (0, np.pi / 2, 0, -np.pi / 2)[side]
        count = max(1, int(span / bay))
        xs = (np.arange(count) - (count - 1) / 2) * span / count
        places = np.array([(x, z) for z in (np.arange(storeys) + 0.52) * storey for x in xs])

        def place(
            size: tuple[float, float, float],
            out: float,
            down: float = 0.0,
            *,
            at: np.ndarray = places,
            away: float = away,
            turn: float = turn,
        ) -> Mesh:
            return boxes(size, np.stack([at[:, 0], np.full(len(at), -away - out), at[:, 1] + down], 1)).moved(
                (0, 0, 0), turn
            )

        panes.append(place((w, 0.06, h), -0.02))
        frames += [
            place((w + 0.12, 0.1, 0.07), 0.01, h / 2),
            place((0.07, 0.1, h), 0.01, 0),
            place((w, 0.08, 0.05), 0.01, h * 0.15),
        ]
        frames += [
            boxes(
                (0.07, 0.1, h),
                np.stack([places[:, 0] + s * w / 2, np.full(len(places), -away - 0.01), places[:, 1]], 1),
            ).moved((0, 0, 0), turn)
            for s in (-1, 1)
        ]
        sills.append(place((w + 0.25, 0.2, 0.07), 0.08, -h / 2 - 0.03))
        if side == 0 and rng.random() < 0.4 and storeys > 1:
            above = places[(places[:, 1] > storey) & (rng.random(len(places)) < 0.6)]
            if len(above):
                balconies.append(place((w + 0.7, 0.95, 0.1), 0.48, -h / 2 - 0.15, at=above))
                for dz in (0.2, 0.5, 0.8):
                    balconies.append(place((w + 0.7, 0.03, 0.03), 0.94, -h / 2 - 0.1 + dz, at=above))
                bars = np.concatenate([above + [dx, 0] for dx in np.linspace(-w / 2 - 0.33, w / 2 + 0.33, 7)])
                balconies.append(place((0.025, 0.025, 0.85), 0.94, -h / 2 + 0.3, at=bars))
    parts += [
        (box((width, depth, height + 0.8), (0, 0, -0.8)), wall),
        (merged(panes), glass),
        (merged(frames), frame),
        (merged(sills), palette.flat(rng.uniform(0.2, 0.7))),
    ]
    if balconies:
        parts.append((merged(balconies), palette.flat(rng.uniform(0.05, 0.6))))
    if rng.random() < 0.5:
        bands = [box((width + 0.3, depth + 0.3, 0.18), (0, 0, z)) for z in np.arange(1, storeys + 1) * storey - 0.12]
        parts.append((merged(bands), palette.flat(rng.uniform(0.2, 0.75))))
    door = box((1.2, 0.2, 2.2), (rng.uniform(-0.3, 0.3) * width, -depth / 2 - 0.02, 0))
    parts.append((door, palette.draw("planks", "plain", "wood", scale=(0.15, 0.3), saturation=1.2)))
    if rng.random() < 0.3:
        shop = [
            box((width * 0.92, 0.08, 2.3), (0, -depth / 2 - 0.02, 0.3)),
        ]
        awning = prism(
            [(-width * 0.46, 0), (width * 0.46, 0), (width * 0.46, 0.05), (-width * 0.46, 0.05)],
            1.3,
            (0, -depth / 2 - 0.65, 2.75),
        )
        parts += [(merged(shop), glass), (awning, palette.draw("stripes", "plain", scale=(0.3, 0.7), saturation=1.5))]
    return parts + _roof(palette, width, depth, height)


def _roof(palette: Palette, width: float, depth: float, height: float) -> list[Part]:
    rng = palette.rng
    if rng.random() < 0.45:
        things = boxes(
            rng.uniform(0.4, 2.0, (4, 3)),
            np.stack(
                [rng.uniform(-0.4, 0.4, 4) * width, rng.uniform(-0.4, 0.4, 4) * depth, np.full(4, height + 0.4)], 1
            ),
        )
        edge = boxes(
            [(width + 0.1, 0.2, 0.5), (width + 0.1, 0.2, 0.5)],
            [(0, -depth / 2, height + 0.2), (0, depth / 2, height + 0.2)],
        )
        return [(merged([things, edge]), palette.draw("rough", "plain", scale=(0.5, 1.0)))]
    rise, over = rng.uniform(0.25, 0.6) * depth, 0.45
    gable = prism(
        [(-depth / 2 - over, -over * 2 * rise / depth), (depth / 2 + over, -over * 2 * rise / depth), (0, rise)],
        width + 2 * over,
    )
    chimney = box((0.7, 0.7, rise + 1.2), (rng.uniform(-0.3, 0.3) * width, rng.uniform(-0.2, 0.2) * depth, height))
    return [
        (
            gable.moved((0, 0, 0), np.pi / 2).moved((0, 0, height)),
            palette.draw("brick", "tiles", "stripes", "planks", scale=(0.25, 0.45), value=(0.06, 0.4), saturation=0.7),
        ),
        (chimney, palette.draw("brick", "plain", scale=(0.25, 0.3))),
    ]


def wires(palette: Palette, points: np.ndarray, sag: float = 0.4) -> list[Part]:
    """Cables that hang between points (N,3)."""
    lines = []
    for a, b in itertools.pairwise(points):
        share = np.linspace(0, 1, 9)[:, None]
        curve = a + share * (b - a) - np.array([0, 0, 4 * sag]) * share * (1 - share)
        lines.append(tube(curve, 0.015, sides=4))
    return [(merged(lines), palette.flat(0.02))]
