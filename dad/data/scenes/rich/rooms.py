"""Rooms: walls with doors, windows, pictures and curtains, furniture along the walls and in groups, people, lamps."""

import numpy as np

from dad.data.scenes.layouts import Camera
from dad.data.scenes.rich import furniture
from dad.data.scenes.rich.meshes import box, boxes, merged, sheet, tube
from dad.data.scenes.rich.people import person
from dad.data.scenes.rich.stage import Lamp, Lighting, Part, Setting, Stage, toward
from dad.data.scenes.rich.surfaces import Palette

Generator = np.random.Generator


def lens(rng: Generator, low: float, high: float) -> float:
    """A horizontal field of view in radians, between two of degrees."""
    return float(np.radians(rng.uniform(low, high)))


def shifted(rng: Generator) -> tuple[float, float]:
    """Where the optical axis meets the picture: the middle, or off it as in a crop."""
    return (0.5, 0.5) if rng.random() < 0.6 else (float(rng.uniform(0.38, 0.62)), float(rng.uniform(0.38, 0.62)))


def warm(rng: Generator) -> np.ndarray:
    """The colour of lamp light, linear RGB."""
    return np.array([1.0, rng.uniform(0.75, 1.0), rng.uniform(0.45, 1.0)])


def window(palette: Palette, width: float, height: float) -> list[Part]:
    """A window before a wall: bright panes, a frame, a sill, perhaps curtains; its foot is its lower edge."""
    rng = palette.rng
    daylight = palette.draw("cloud", "foliage", "plain", scale=(0.3, 1.0), value=(0.5, 0.9), saturation=0.3, photo=2.0)
    daylight = type(daylight)(**{**daylight.__dict__, "glow": float(rng.uniform(0.5, 2.0))})
    across, up = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    bars = [box((0.05, 0.07, height), (x, -0.02, 0)) for x in np.linspace(-width / 2, width / 2, across + 1)]
    bars += [box((width, 0.07, 0.05), (0, -0.02, z)) for z in np.linspace(0, height - 0.05, up + 1)]
    parts = [
        (box((width, 0.02, height)), daylight),
        (merged([*bars, box((width + 0.2, 0.22, 0.04), (0, -0.08, -0.04))]), palette.flat(rng.uniform(0.3, 0.85))),
    ]
    if rng.random() < 0.55:
        cloth = palette.draw("weave", "stripes", "plaid", "plain", "dots", scale=(0.1, 0.4), saturation=0.8)
        for side in (-1, 1):
            wide, long = width * rng.uniform(0.25, 0.5), height + rng.uniform(0.2, 0.9)
            x, z = np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 6), indexing="ij")
            fold = 0.05 * np.sin(x * rng.uniform(30, 50) + 0.5 * z)
            grid = np.stack(
                [side * (width / 2 + 0.12 - x * wide), -0.14 + fold * (0.6 + 0.4 * (1 - z)), height + 0.12 - z * long],
                -1,
            )
            parts.append((sheet(grid), cloth))
        parts.append(
            (
                tube(
                    [(-width / 2 - 0.3, -0.14, height + 0.13), (width / 2 + 0.3, -0.14, height + 0.13)], 0.015, sides=6
                ),
                palette.flat(0.1),
            )
        )
    return parts


def picture(palette: Palette) -> list[Part]:
    """A framed picture, a mirror-like pane or a board."""
    rng = palette.rng
    w, h = rng.uniform(0.25, 1.2), rng.uniform(0.25, 0.9)
    art = palette.draw("poster", "marble", "cloud", "dots", "plaid", scale=(0.08, 0.4), saturation=1.4, photo=2.2)
    edge = boxes(
        [(w, 0.03, 0.03), (w, 0.03, 0.03), (0.03, 0.03, h), (0.03, 0.03, h)],
        [(0, -0.02, 0), (0, -0.02, h), (-w / 2, -0.02, h / 2), (w / 2, -0.02, h / 2)],
    )
    return [(box((w, 0.02, h), (0, 0, 0)), art), (edge, palette.draw("wood", "plain", scale=(0.1, 0.2)))]


def door(palette: Palette) -> list[Part]:
    """A door in its frame, with panels and a handle."""
    rng = palette.rng
    leaf = palette.draw("plain", "wood", "planks", scale=(0.1, 0.3), value=(0.1, 0.8), saturation=0.6, photo=0.3)
    panels = boxes((0.55, 0.015, 0.5), [(0, -0.035, z) for z in (0.45, 1.05, 1.65)])
    edge = merged(
        [
            box((0.08, 0.08, 2.1), (-0.48, -0.01, 0)),
            box((0.08, 0.08, 2.1), (0.48, -0.01, 0)),
            box((1.04, 0.08, 0.08), (0, -0.01, 2.06)),
        ]
    )
    handle = tube([(0.36, -0.08, 1.02), (0.24, -0.08, 1.02)], 0.012, sides=6)
    return [
        (merged([box((0.9, 0.05, 2.06)), panels]), leaf),
        (edge, palette.flat(rng.uniform(0.3, 0.8))),
        (handle, palette.flat(0.4, gloss=0.6)),
    ]


def _shell(palette: Palette, stage: Stage, width: float, length: float, height: float) -> None:
    rng = palette.rng
    wall = palette.draw(
        "plain",
        "plain",
        "rough",
        "stripes",
        "brick",
        "cloud",
        "dots",
        scale=(0.1, 0.4),
        value=(0.3, 0.85),
        saturation=0.3,
        photo=0.35,
    )
    accent = (
        wall
        if rng.random() < 0.55
        else palette.draw("plain", "brick", "planks", "tiles", "marble", scale=(0.15, 0.5), saturation=0.6)
    )
    floor = palette.draw(
        "planks",
        "tiles",
        "wood",
        "checker",
        "marble",
        "weave",
        "rough",
        scale=(0.12, 0.6),
        value=(0.08, 0.6),
        saturation=0.4,
        gloss=float(rng.choice([0, 0, 0.3])),
        photo=0.4,
    )
    ceiling = palette.draw(
        "plain", "plain", "planks", "tiles", scale=(0.3, 0.8), value=(0.55, 0.9), saturation=0.1, photo=0.1
    )
    stage.add(
        [
            (box((width + 2, length + 2, 0.2), (0, length / 2, -0.2)), floor),
            (box((width + 2, length + 2, 0.2), (0, length / 2, height)), ceiling),
        ]
    )
    sides = [box((0.2, length + 0.4, height), (x, length / 2, 0)) for x in (-width / 2 - 0.1, width / 2 + 0.1)]
    stage.add(
        [
            (merged([*sides, box((width, 0.2, height), (0, -0.1, 0))]), wall),
            (box((width, 0.2, height), (0, length + 0.1, 0)), accent),
        ]
    )
    skirting = [box((0.02, length, 0.09), (x, length / 2, 0)) for x in (-width / 2 + 0.01, width / 2 - 0.01)]
    stage.add(
        [(merged([*skirting, box((width, 0.02, 0.09), (0, length - 0.01, 0))]), palette.flat(rng.uniform(0.2, 0.85)))]
    )
    if rng.random() < 0.2:
        beams = boxes((width, 0.16, 0.2), [(0, y, height - 0.1) for y in np.arange(0.6, length, rng.uniform(0.9, 1.8))])
        stage.add([(beams, palette.draw("wood", "plain", scale=(0.1, 0.3), value=(0.05, 0.4)))])


def _against(rng: Generator, width: float, length: float, gap: float) -> tuple[np.ndarray, float]:
    """A place along the back or a side wall, and the turn that looks into the room."""
    side = rng.integers(3)
    if side == 0:
        return np.array([rng.uniform(-0.42, 0.42) * width, length - gap, 0]), 0.0
    x = (width / 2 - gap) * (1 if side == 1 else -1)
    return np.array([x, rng.uniform(0.25, 0.92) * length, 0]), -np.pi / 2 if side == 1 else np.pi / 2


def _group(palette: Palette, stage: Stage, x: float, y: float) -> None:
    """A table with chairs around it, perhaps with people on them."""
    rng, turn = palette.rng, palette.rng.uniform(0, np.pi)
    stage.add(furniture.table(palette), (x, y, 0), turn)
    seat = furniture.chair(palette)
    for angle in np.arange(rng.integers(1, 5)) * np.pi / 2 + rng.normal(0, 0.1):
        away = rng.uniform(0.6, 0.95)
        at, facing = np.array([x, y, 0]) + toward(turn + angle, 0, away), turn + angle + rng.normal(0, 0.2)
        stage.add(seat, at, facing)
        if rng.random() < 0.25:
            stage.add(person(palette, sitting=True), at, facing)


def furnish(palette: Palette, stage: Stage, width: float, length: float, height: float, *, clear: float = 1.3) -> None:
    """Things on walls, furniture and people; nothing within `clear` metres of the wall y = 0 where the camera is."""
    rng = palette.rng
    for _ in range(rng.integers(1, 3)):
        at, turn = _against(rng, width, length, 0.02)
        stage.add(
            window(palette, rng.uniform(0.7, 2.0), rng.uniform(0.8, 1.5)), at + [0, 0, rng.uniform(0.7, 1.0)], turn
        )
    for _ in range(rng.integers(1, 6)):
        at, turn = _against(rng, width, length, 0.015)
        stage.add(picture(palette), at + [0, 0, rng.uniform(1.1, 1.7)], turn)
    if rng.random() < 0.5:
        stage.add(door(palette), *_against(rng, width, length, 0.03))
    if rng.random() < 0.5:
        rug = palette.draw("plaid", "stripes", "dots", "weave", "marble", "checker", scale=(0.1, 0.6), saturation=1.0)
        stage.add(
            [(box((rng.uniform(1, 2.4), rng.uniform(1.2, 3), 0.012)), rug)],
            (rng.uniform(-0.25, 0.25) * width, rng.uniform(0.4, 0.7) * length, 0),
        )
    taken: list[tuple[float, float, float]] = []

    def free(x: float, y: float, radius: float) -> bool:
        room = all((x - a) ** 2 + (y - b) ** 2 > (0.8 * (radius + c)) ** 2 for a, b, c in taken)
        if room:
            taken.append((x, y, radius))
        return room and y > clear + 0.3 * radius

    for _ in range(rng.integers(3, 8)):
        make = furniture.AGAINST_WALL[rng.integers(len(furniture.AGAINST_WALL))]
        gap = 1.05 if make is furniture.bed else 0.5 if make is furniture.sofa else 0.3
        at, turn = _against(rng, width, length, gap)
        if free(at[0], at[1], 0.75):
            stage.add(make(palette), at, turn)
    for _ in range(rng.integers(1, 6)):
        x, y = rng.uniform(-0.4, 0.4) * width, rng.uniform(clear, length - 0.6)
        if rng.random() < 0.3 and free(x, y, 1.2):
            _group(palette, stage, x, y)
        elif free(x, y, 0.5):
            make = furniture.FREE[rng.integers(len(furniture.FREE))]
            stage.add(make(palette), (x, y, 0), float(rng.choice([0, np.pi / 2, np.pi, rng.uniform(0, 6.28)])))
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        x, y = rng.uniform(-0.35, 0.35) * width, rng.uniform(clear + 0.4, length - 0.5)
        if free(x, y, 0.4):
            stage.add(person(palette), (x, y, 0), rng.uniform(0, 6.28))
    for _ in range(rng.integers(0, 4)):
        x, y = rng.uniform(-0.45, 0.45) * width, rng.uniform(clear, length - 0.2)
        if free(x, y, 0.25):
            stage.add(furniture.crate(palette), (x, y, 0), rng.uniform(0, 6.28))
    if rng.random() < 0.6:
        drop = rng.uniform(0.3, 1.0)
        x, y = rng.uniform(-0.2, 0.2) * width, rng.uniform(0.4, 0.7) * length
        shade = [(mesh, look) for mesh, look in furniture.floor_lamp(palette)[1:]]
        low = shade[0][0].vertices[:, 2].max()
        stage.add(shade, (x, y, height - drop - low))
        stage.add(
            [(tube([(0, 0, height - drop - 0.05), (0, 0, height)], 0.006, sides=4), palette.flat(0.02))], (x, y, 0)
        )


def room_light(rng: Generator, width: float, length: float, height: float) -> Lighting:
    """One to three lamps, or daylight from a side, and what the walls give back."""
    lamps = []
    for _ in range(rng.integers(1, 4)):
        at = np.array(
            [rng.uniform(-0.4, 0.4) * width, rng.uniform(0.05, 0.95) * length, height - rng.uniform(0.15, 0.9)]
        )
        lamps.append(Lamp(position=at, radius=rng.uniform(0.05, 0.25), power=warm(rng) * rng.uniform(0.6, 2.5)))
    if rng.random() < 0.5:
        at = np.array([rng.choice([-0.47, 0.47]) * width, rng.uniform(0.2, 0.9) * length, rng.uniform(1.2, 1.8)])
        lamps.append(Lamp(position=at, radius=0.4, power=np.array([0.85, 0.95, 1.1]) * rng.uniform(1.0, 4.0)))
    tone = 1 + rng.uniform(-0.12, 0.12, 3)
    return Lighting(
        sky=tone * rng.uniform(0.2, 0.5),
        ground=tone * rng.uniform(0.12, 0.3),
        reach=rng.uniform(1.0, 2.0),
        lamps=tuple(lamps),
        gradient=np.full((2, 3), 0.4),
    )


def indoor(palette: Palette) -> Setting:
    """A furnished room of 3 to 8 m; the camera stands near a wall at 0.6 to 1.9 m and looks into the room."""
    rng = palette.rng
    width, length, height = rng.uniform(2.8, 6.5), rng.uniform(3.2, 8.5), rng.uniform(2.3, 3.3)
    stage = Stage()
    _shell(palette, stage, width, length, height)
    furnish(palette, stage, width, length, height)
    aside = rng.uniform(-0.4, 0.4)
    camera = Camera(
        position=np.array([aside * width, rng.uniform(0.1, 0.7), min(rng.uniform(0.6, 1.9), height - 0.3)]),
        yaw=-aside * rng.uniform(0, 1.4) + rng.normal(0, 0.2),
        pitch=rng.normal(0.12, 0.16),
        roll=rng.normal(0, 0.035),
        fov=lens(rng, 40, 100),
    )
    return Setting(stage, camera, room_light(rng, width, length, height), max_depth=30.0, centre=shifted(rng))
