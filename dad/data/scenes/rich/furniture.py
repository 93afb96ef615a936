"""Furniture of rooms, each an object of several parts with its foot at the origin and its front towards -y."""

import itertools
from collections.abc import Callable

import numpy as np

from dad.data.scenes.rich.meshes import Mesh, box, boxes, cushion, ellipsoid, lathe, merged, sheet, tube
from dad.data.scenes.rich.stage import Part
from dad.data.scenes.rich.surfaces import Palette, Surface
from dad.data.scenes.rich.things import on_top, pot_plant, small_thing

WOODS = ("wood", "planks", "plain", "wood")
CLOTHS = ("weave", "plaid", "stripes", "cloud", "plain", "dots")


def _timber(palette: Palette) -> Surface:
    return palette.draw(
        *WOODS, scale=(0.08, 0.3), value=(0.06, 0.6), saturation=0.5, gloss=float(palette.rng.choice([0.0, 0.15]))
    )


def _cloth(palette: Palette) -> Surface:
    return palette.draw(*CLOTHS, scale=(0.05, 0.3), saturation=0.9)


def _legs(width: float, depth: float, height: float, thick: float, *, splay: float = 0.0, round_: bool = True) -> Mesh:
    meshes = []
    for x in (-width / 2, width / 2):
        for y in (-depth / 2, depth / 2):
            foot = (x * (1 + splay), y * (1 + splay), 0)
            meshes.append(tube([foot, (x, y, height)], [thick * 0.7, thick], sides=8 if round_ else 4))
    return merged(meshes)


def chair(palette: Palette) -> list[Part]:
    """A chair: on four legs with slats, a panel or a frame as its back, or an office chair on a star of castors."""
    rng = palette.rng
    width, depth, seat, top = (
        rng.uniform(0.38, 0.5),
        rng.uniform(0.38, 0.48),
        rng.uniform(0.42, 0.48),
        rng.uniform(0.78, 1.1),
    )
    frame, cover = _timber(palette), _cloth(palette) if rng.random() < 0.5 else _timber(palette)
    kind = rng.integers(4)
    if kind == 3:
        metal = palette.flat(rng.uniform(0.03, 0.5), gloss=0.4)
        star = [
            tube([(0, 0, 0.09), (0.3 * np.cos(a), 0.3 * np.sin(a), 0.05)], [0.025, 0.018], sides=6)
            for a in np.arange(5) * 2 * np.pi / 5
        ]
        wheels = [
            ellipsoid((0.03, 0.03, 0.03), (0.3 * np.cos(a), 0.3 * np.sin(a), 0.03), sides=8)
            for a in np.arange(5) * 2 * np.pi / 5
        ]
        arms = [
            tube([(x, 0.1, seat), (x, 0.1, seat + 0.2), (x, -0.15, seat + 0.2)], 0.016, sides=6)
            for x in (-width / 2 - 0.03, width / 2 + 0.03)
        ]
        post = tube([(0, 0, 0.05), (0, 0, seat)], 0.03)
        spine = tube([(0, 0.1, seat), (0, depth / 2 + 0.06, seat + 0.1), (0, depth / 2, top - 0.2)], 0.022, sides=6)
        back = cushion((width * 0.95, 0.07, top - seat - 0.1), (0, depth / 2 - 0.02, seat + 0.12))
        return [
            (merged([post, spine, *star, *wheels, *arms]), metal),
            (merged([cushion((width, depth, 0.09), (0, 0, seat - 0.04)), back]), cover),
        ]
    lean = rng.uniform(0.02, 0.12)
    posts = [
        tube([(x, depth / 2 - 0.02, seat - 0.02), (x, depth / 2 + lean, top)], 0.018, sides=8)
        for x in (-width / 2 + 0.02, width / 2 - 0.02)
    ]
    parts = [(merged([_legs(width - 0.05, depth - 0.05, seat, 0.02, splay=rng.uniform(0, 0.15)), *posts]), frame)]
    plate = (
        cushion((width, depth, 0.06), (0, 0, seat - 0.02))
        if rng.random() < 0.5
        else box((width, depth, 0.03), (0, 0, seat - 0.01))
    )
    parts.append((plate, cover))
    at = depth / 2 + lean * 0.7
    if kind == 0:
        levels = np.linspace(seat + 0.12, top - 0.04, rng.integers(2, 5))
        back = boxes(
            (width - 0.03, 0.018, rng.uniform(0.04, 0.08)),
            [(0, depth / 2 + lean * (z - seat) / (top - seat), z) for z in levels],
        )
    elif kind == 1:
        back = cushion((width - 0.02, 0.05, top - seat - 0.1), (0, at, seat + 0.12))
    else:
        xs = np.linspace(-width / 2 + 0.06, width / 2 - 0.06, rng.integers(3, 7))
        bars = [tube([(x, depth / 2, seat), (x, depth / 2 + lean, top)], 0.009, sides=6) for x in xs]
        back = merged([*bars, box((width, 0.025, 0.06), (0, depth / 2 + lean, top - 0.03))])
    return [*parts, (back, cover if kind == 1 else frame)]


def table(palette: Palette) -> list[Part]:
    """A table or a desk: four legs, a pedestal or trestles; things on it."""
    rng = palette.rng
    width, depth, height, thick = (
        rng.uniform(0.7, 1.9),
        rng.uniform(0.55, 0.95),
        float(rng.choice([0.42, 0.74, 0.74])),
        rng.uniform(0.02, 0.05),
    )
    top, base = _timber(palette), _timber(palette)
    kind = rng.integers(3)
    if kind == 0:
        depth = width = rng.uniform(0.6, 1.2)
        slab = lathe([(width / 2, height - thick), (width / 2, height)], sides=28, smooth=False)
        under = lathe([(0.25, 0), (0.22, 0.03), (0.04, 0.08), (0.035, height * 0.6), (0.09, height - thick)])
    else:
        slab = box((width, depth, thick), (0, 0, height - thick))
        under = _legs(
            width - 0.12,
            depth - 0.12,
            height - thick,
            rng.uniform(0.018, 0.04),
            splay=rng.uniform(0, 0.1),
            round_=kind == 1,
        )
        if kind == 2:
            under = merged(
                [
                    under,
                    box((width - 0.1, 0.02, 0.08), (0, depth / 2 - 0.07, height - thick - 0.08)),
                    box((width - 0.1, 0.02, 0.08), (0, -depth / 2 + 0.07, height - thick - 0.08)),
                ]
            )
    parts = [(slab, top), (under, base)]
    if rng.random() < 0.2:
        parts.append((box((width * 0.5, depth * 1.02, 0.006), (0, 0, height)), _cloth(palette)))
    return parts + on_top(palette, width, depth, height, int(rng.integers(1, 6)))


def sofa(palette: Palette) -> list[Part]:
    """A sofa or an armchair with seat and back cushions, arms, feet and pillows."""
    rng = palette.rng
    seats = int(rng.integers(1, 4))
    each, depth, seat, arm = (
        rng.uniform(0.58, 0.75),
        rng.uniform(0.8, 0.95),
        rng.uniform(0.38, 0.46),
        rng.uniform(0.1, 0.22),
    )
    width, fabric = seats * each, palette.draw(*CLOTHS, "weave", scale=(0.05, 0.3), saturation=0.8)
    base = box((width + 2 * arm, depth, 0.24), (0, 0, 0.1))
    back = cushion((width + 2 * arm, 0.25, 0.72), (0, depth / 2 - 0.13, 0.1), power=0.25)
    arms = [cushion((arm, depth, 0.5), (side * (width + arm) / 2, 0, 0.12), power=0.3) for side in (-1, 1)]
    xs = (np.arange(seats) - (seats - 1) / 2) * each
    pads = [cushion((each * 0.98, depth - 0.22, 0.18), (x, -0.1, seat - 0.15)) for x in xs]
    rests = [cushion((each * 0.95, 0.2, 0.44), (x, depth / 2 - 0.3, seat - 0.03), power=0.5) for x in xs]
    parts = [
        (merged([*arms, back, *pads, *rests]), fabric),
        (base, fabric),
        (_legs(width, depth - 0.1, 0.12, 0.025), palette.flat(0.05)),
    ]
    for _ in range(rng.integers(0, 4)):
        pillow = cushion(
            (0.42, 0.15, 0.4),
            (rng.uniform(-0.4, 0.4) * width, depth / 2 - 0.42, seat),
            power=0.6,
            turn=rng.normal(0, 0.3),
        )
        parts.append((pillow, _cloth(palette)))
    return parts


def bed(palette: Palette) -> list[Part]:
    """A bed: frame, mattress, headboard, pillows and a rumpled blanket; its head towards +y."""
    rng = palette.rng
    width, length = rng.uniform(0.9, 1.8), rng.uniform(1.95, 2.1)
    x, y = np.meshgrid(
        np.linspace(-1, 1, 24) * (width / 2 + 0.03),
        np.linspace(-length / 2 - 0.02, length * rng.uniform(0, 0.25), 24),
        indexing="ij",
    )
    z = 0.56 + 0.02 * np.sin(7 * x + 3 * np.sin(4 * y)) + 0.015 * np.sin(11 * y + 5 * x)
    z = np.where(np.abs(x) > width / 2, rng.uniform(0.2, 0.4), z)
    parts = [
        (box((width + 0.06, length + 0.06, 0.14), (0, 0, 0.16)), _timber(palette)),
        (_legs(width, length, 0.16, 0.03), palette.flat(0.05)),
        (
            cushion((width, length, 0.24), (0, 0, 0.3), power=0.15),
            palette.draw("plain", "stripes", value=(0.5, 0.85), saturation=0.2),
        ),
        (box((width + 0.1, 0.06, rng.uniform(0.8, 1.2)), (0, length / 2 + 0.05, 0)), _timber(palette)),
        (sheet(np.stack([x, y, z], -1)), _cloth(palette)),
    ]
    for side in (-1, 1) if width > 1.3 else (0,):
        parts.append(
            (
                cushion((0.6, 0.4, 0.16), (side * width / 4, length / 2 - 0.28, 0.52), power=0.6),
                palette.draw("plain", "stripes", value=(0.4, 0.85)),
            )
        )
    return parts


def shelf(palette: Palette) -> list[Part]:
    """A bookcase with rows of books and things on its boards."""
    rng = palette.rng
    width, depth, height = rng.uniform(0.6, 1.4), rng.uniform(0.24, 0.36), rng.uniform(0.8, 2.2)
    levels = np.linspace(0.04, height - 0.02, max(3, int(height / 0.36)))
    slabs = boxes((width, depth, 0.022), [(0, 0, z) for z in levels])
    sides = boxes((0.025, depth, height), [(x, 0, height / 2) for x in (-width / 2, width / 2)])
    parts = [
        (
            merged([slabs, sides] + ([box((width, 0.01, height), (0, depth / 2, 0))] if rng.random() < 0.6 else [])),
            _timber(palette),
        )
    ]
    colours = [palette.draw("plain", "stripes", saturation=1.3, photo=0.3) for _ in range(4)]
    rows: list[list[Mesh]] = [[], [], [], []]
    for low, high in itertools.pairwise(levels):
        x, end = -width / 2 + 0.03, width / 2 - 0.03 - rng.choice([0, 0.3]) * width
        if rng.random() < 0.2:
            parts += [
                (mesh.moved((rng.uniform(-0.25, 0.25) * width, 0, low + 0.012)), look)
                for mesh, look in small_thing(palette)
            ]
            continue
        while x < end:
            thick, tall = rng.uniform(0.015, 0.05), min(rng.uniform(0.16, 0.29), high - low - 0.04)
            rows[rng.integers(4)].append(
                box((thick * 0.95, depth * rng.uniform(0.6, 0.8), tall), (x + thick / 2, -0.02, low + 0.011))
            )
            x += thick + (rng.uniform(0.05, 0.2) if rng.random() < 0.05 else 0)
    parts += [(merged(books), look) for books, look in zip(rows, colours, strict=True) if books]
    return parts + (on_top(palette, width, depth, height, int(rng.integers(0, 3))) if height < 1.4 else [])


def cabinet(palette: Palette) -> list[Part]:
    """A wardrobe, chest of drawers or sideboard: fronts apart by seams, knobs or bars, feet."""
    rng = palette.rng
    width, depth, height = (
        rng.uniform(0.5, 1.8),
        rng.uniform(0.4, 0.6),
        float(rng.choice([rng.uniform(0.6, 0.95), rng.uniform(1.8, 2.2)])),
    )
    body, front = _timber(palette), _timber(palette)
    columns, rows = max(1, int(width / 0.5)), int(rng.integers(2, 5)) if height < 1.2 else 1
    w, h = width / columns, (height - 0.1) / rows
    centres = [
        ((i - (columns - 1) / 2) * w, -depth / 2 - 0.008, 0.09 + (j + 0.5) * h)
        for i in range(columns)
        for j in range(rows)
    ]
    knobs = merged(
        [
            tube(
                [np.array(c) + [0, -0.03, 0.03], np.array(c) + [rng.choice([0.0, 0.0, 0.05]), -0.03, -0.05]],
                0.008,
                sides=6,
            )
            for c in centres
        ]
    )
    parts = [
        (merged([box((width, depth, height - 0.08), (0, 0, 0.08)), _legs(width - 0.1, depth - 0.1, 0.08, 0.02)]), body),
        (boxes((w - 0.012, 0.018, h - 0.012), centres), front if rng.random() < 0.7 else body),
        (knobs, palette.flat(rng.uniform(0.05, 0.6), gloss=0.5)),
    ]
    return parts + (on_top(palette, width, depth, height, int(rng.integers(1, 5))) if height < 1.2 else [])


def floor_lamp(palette: Palette) -> list[Part]:
    """A lamp on a thin pole."""
    rng = palette.rng
    h = rng.uniform(1.3, 1.8)
    return [
        (
            merged([lathe([(0.14, 0), (0.13, 0.02), (0.012, 0.03), (0.011, h)])]),
            palette.flat(rng.uniform(0.03, 0.5), gloss=0.4),
        ),
        (
            lathe([(0.22, h - 0.12), (0.14, h + 0.14), (0.135, h + 0.14), (0.215, h - 0.12)]),
            palette.flat((0.9, 0.8, 0.62), glow=float(rng.choice([0.0, 1.3]))),
        ),
    ]


def clothes_stand(palette: Palette) -> list[Part]:
    """A rack of thin tubes with hanging clothes."""
    rng = palette.rng
    w, h = rng.uniform(0.8, 1.4), rng.uniform(1.4, 1.7)
    bars = [tube([(x, 0, 0.03), (x, 0, h)], 0.014, sides=6) for x in (-w / 2, w / 2)]
    bars += [tube([(x, -0.25, 0.03), (x, 0.25, 0.03)], 0.014, sides=6) for x in (-w / 2, w / 2)] + [
        tube([(-w / 2, 0, h), (w / 2, 0, h)], 0.012, sides=6)
    ]
    parts: list[Part] = [(merged(bars), palette.flat(rng.uniform(0.05, 0.6), gloss=0.5))]
    for x in np.linspace(-0.4 * w, 0.4 * w, rng.integers(3, 8)):
        long = rng.uniform(0.6, 1.0)
        body = tube(
            [(x, 0, h - 0.05), (x, 0, h - 0.15), (x, 0, h - 0.15 - long)], [0.03, 0.2, 0.24], sides=12, flat=0.2
        )
        parts.append((body, _cloth(palette)))
    return parts


def crate(palette: Palette) -> list[Part]:
    """A stack of one to three boxes, a basket or a ball."""
    rng = palette.rng
    if rng.random() < 0.3:
        r = rng.uniform(0.1, 0.3)
        body = (
            ellipsoid((r, r, r), (0, 0, r))
            if rng.random() < 0.5
            else lathe([(r * 0.7, 0), (r, r * 1.6), (r * 0.93, r * 1.6), (r * 0.65, 0.03)])
        )
        return [(body, palette.draw("dots", "stripes", "weave", "checker", "plain", scale=(0.05, 0.2), saturation=1.2))]
    parts, z = [], 0.0
    for _ in range(rng.integers(1, 4)):
        size = rng.uniform(0.2, 0.6, 3) * (1, 1, 0.7)
        parts.append(
            (
                box(size, (*rng.normal(0, 0.03, 2), z), rng.normal(0, 0.3)),
                palette.draw("plain", "wood", "rough", "stripes", scale=(0.1, 0.4)),
            )
        )
        z += size[2]
    return parts


AGAINST_WALL: tuple[Callable[[Palette], list[Part]], ...] = (shelf, cabinet, sofa, cabinet, shelf, bed, table)
"""Objects that stand with their back to a wall."""
FREE: tuple[Callable[[Palette], list[Part]], ...] = (
    table,
    chair,
    sofa,
    chair,
    floor_lamp,
    pot_plant,
    crate,
    clothes_stand,
)
"""Objects that stand anywhere in a room."""
