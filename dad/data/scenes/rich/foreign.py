"""Another family of rich scenes, for benchmarks: other places, lenses, textures and light than `rich` has."""

from dataclasses import replace

import numpy as np

from dad.data.scenes.layouts import Camera
from dad.data.scenes.rich import furniture, nature, strange, street, vehicles
from dad.data.scenes.rich.meshes import Mesh, box, boxes, merged, prism, sheet
from dad.data.scenes.rich.people import person
from dad.data.scenes.rich.stage import Lamp, Lighting, Setting, Stage
from dad.data.scenes.rich.surfaces import Palette, Surface

Generator = np.random.Generator
WALLS = ("damask", "corrugated", "herringbone", "terrazzo", "sandstone", "hexagons")


def _lens(rng: Generator) -> float:
    """Long or very wide: either side of what `rich` mostly has."""
    return float(np.radians(rng.uniform(28, 45) if rng.random() < 0.4 else rng.uniform(75, 108)))


def _view(rng: Generator, position: np.ndarray, pitch: float, yaw: float = 0.0) -> Camera:
    return Camera(
        position=position,
        yaw=yaw + rng.normal(0, 0.25),
        pitch=pitch + rng.normal(0, 0.08),
        roll=rng.normal(0, 0.05),
        fov=_lens(rng),
    )


def _hall(palette: Palette, stage: Stage, width: float, length: float, height: float) -> None:
    rng = palette.rng
    wall = palette.draw(*WALLS, scale=(0.15, 0.6), value=(0.2, 0.8), saturation=0.5, photo=0)
    floor = palette.draw(
        "hexagons",
        "herringbone",
        "terrazzo",
        scale=(0.1, 0.5),
        value=(0.1, 0.6),
        saturation=0.4,
        gloss=float(rng.choice([0, 0.4])),
        photo=0,
    )
    stage.add([(box((width + 2, length + 2, 0.2), (0, length / 2, -0.2)), floor)])
    sides = [box((0.2, length + 0.4, height), (x, length / 2, 0)) for x in (-width / 2 - 0.1, width / 2 + 0.1)]
    stage.add(
        [
            (
                merged(
                    [*sides, box((width, 0.2, height), (0, -0.1, 0)), box((width, 0.2, height), (0, length + 0.1, 0))]
                ),
                wall,
            )
        ]
    )
    roof = palette.draw("corrugated", "plain", "planks", scale=(0.3, 0.8), value=(0.3, 0.85), saturation=0.2, photo=0)
    kind = rng.integers(3)
    if kind == 0:
        stage.add([(box((width + 2, length + 2, 0.2), (0, length / 2, height)), roof)])
    elif kind == 1:  # an attic: the ceiling slopes down to both sides
        slope = height * rng.uniform(0.3, 0.6)
        for side in (-1, 1):
            corners = np.array(
                [[[side * (width / 2 + 0.2), y, height - slope], [0, y, height + 0.1]] for y in (-0.2, length + 0.2)]
            )
            stage.add([(sheet(corners, smooth=False), roof)])
        beams = [
            prism(
                [
                    (-width / 2, height - slope - 0.15),
                    (width / 2, height - slope - 0.15),
                    (width / 2, height - slope),
                    (-width / 2, height - slope),
                ],
                0.15,
                (0, y, 0),
            )
            for y in np.arange(1, length, 2.2)
        ]
        stage.add([(merged(beams), palette.draw("wood", scale=(0.1, 0.2), value=(0.05, 0.3), photo=0))])
    else:  # a barrel vault
        angle = np.linspace(0, np.pi, 15)
        grid = np.array(
            [
                [(-width / 2 * np.cos(a) * 1.05, y, height - 0.05 + 0.35 * width * np.sin(a)) for a in angle]
                for y in (-0.3, length / 2, length + 0.3)
            ]
        )
        stage.add([(sheet(grid), roof)])
        for y in (-0.05, length + 0.05):
            stage.add([(box((width + 0.4, 0.1, 0.4 * width), (0, y, height)), wall)])


def indoor(palette: Palette) -> Setting:
    """A shop, a hall of columns, a corridor, a workshop or a wash room, up to 9.5 m long."""
    rng, stage = palette.rng, Stage()
    kind = rng.integers(5)
    width, length, height = ((6, 9, 3), (8, 9.5, 4.5), (2.2, 9.5, 2.6), (5, 8, 3.4), (3.6, 5, 2.5))[kind] * rng.uniform(
        0.85, 1.05, 3
    )
    _hall(palette, stage, width, length, height)
    if kind == 0:
        for x in np.arange(-width / 2 + 0.7, width / 2 - 0.3, rng.uniform(1.9, 2.4)):
            stage.add(strange.rack(palette, length - 3.2, rng.uniform(1.4, 2.2)), (x, length / 2 + 0.9, 0), np.pi / 2)
    elif kind == 1:
        pillar = strange.column(palette, height)
        for y in np.arange(2.2, length, 2.4):
            for x in (-width / 4, width / 4):
                stage.add(pillar, (x, y, 0))
        stage.add(strange.arch(palette, width * 0.4, height * 0.55), (0, length - 0.4, 0))
        for _ in range(rng.integers(1, 4)):
            stage.add(
                strange.statue(palette),
                (rng.uniform(-0.4, 0.4) * width, rng.uniform(2.5, length - 1), 0),
                rng.uniform(-1, 1),
            )
    elif kind == 2:
        frame = palette.draw("plain", "wood", scale=(0.1, 0.2), saturation=1.0, photo=0)
        for y in np.arange(1.2, length, rng.uniform(1.6, 2.6)):
            for side in (-1, 1):
                stage.add([(box((0.06, 0.95, 2.05), (side * width / 2, y, 0)), frame)])
        stage.add(strange.pipes(palette, length, height - 0.2), (-width / 2 + 0.2, 0, 0))
    elif kind == 3:
        stage.add(strange.pipes(palette, length, height - 0.3), (rng.uniform(-0.4, 0.2) * width, 0, 0))
        stage.add(
            strange.stairs(palette, 1.0, int(rng.integers(6, 12))),
            (rng.uniform(-0.3, 0.3) * width, length - 3.6, 0),
            float(rng.choice([0, np.pi / 2, -np.pi / 2])),
        )
    else:
        for x in np.linspace(-0.38, 0.38, int(rng.integers(2, 5))) * width:
            stage.add(strange.bath(palette), (x, length - 0.5, 0))
    makers = (
        strange.barrel,
        strange.barrel,
        strange.bath,
        furniture.crate,
        furniture.chair,
        strange.barrel,
        furniture.pot_plant,
        furniture.table,
    )
    for _ in range(rng.integers(2, 9)):
        make = makers[rng.integers(len(makers))]
        stage.add(
            make(palette), (rng.uniform(-0.42, 0.42) * width, rng.uniform(1.6, length - 0.5), 0), rng.uniform(0, 6.28)
        )
    for _ in range(rng.integers(0, 4)):
        stage.add(
            person(palette), (rng.uniform(-0.35, 0.35) * width, rng.uniform(1.8, length - 0.6), 0), rng.uniform(0, 6.28)
        )
    colour = np.array([(1, 1, 1), (1, 0.7, 0.35), (0.6, 0.8, 1.0), (1, 0.85, 0.9)])[rng.integers(4)]
    lamps = [
        Lamp(position=np.array([0.0, y, height - 0.25]), radius=0.15, power=colour * rng.uniform(1.0, 2.4))
        for y in np.linspace(1.0, length - 1.0, int(rng.integers(1, 4)))
    ]
    if rng.random() < 0.4:  # one strong light from low at the side
        lamps = [
            Lamp(
                position=np.array([rng.choice([-0.45, 0.45]) * width, rng.uniform(0.5, 0.9) * length, 0.9]),
                radius=0.08,
                power=colour * rng.uniform(3, 6),
            )
        ]
    tone = colour * rng.uniform(0.1, 0.45)
    lighting = Lighting(
        sky=tone,
        ground=tone * rng.uniform(0.3, 0.8),
        reach=rng.uniform(0.7, 1.4),
        lamps=tuple(lamps),
        gradient=np.full((2, 3), 0.3),
    )
    high = rng.uniform(0.35, 0.8) if rng.random() < 0.35 else rng.uniform(1.4, min(2.3, height - 0.3))
    return Setting(
        stage,
        _view(rng, np.array([rng.uniform(-0.25, 0.25) * width, 0.3, high]), 0.05 + 0.12 * (high - 1)),
        lighting,
        max_depth=30.0,
    )


def _sky(rng: Generator) -> Lighting:
    """Noon in the desert, snow light, dusk, storm or night under a moon."""
    kind = rng.integers(5)
    elevation, azimuth = np.radians((75, 30, 4, 40, 50)[kind]), rng.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    light = np.array([(1.6, 1.5, 1.3), (1.0, 1.0, 1.0), (1.2, 0.55, 0.3), (0.15, 0.16, 0.18), (0.25, 0.3, 0.45)])[kind]
    horizon = np.array([(0.9, 0.82, 0.65), (0.88, 0.9, 0.95), (0.95, 0.5, 0.4), (0.42, 0.45, 0.48), (0.05, 0.06, 0.1)])[
        kind
    ]
    zenith = np.array([(0.15, 0.35, 0.8), (0.6, 0.7, 0.85), (0.2, 0.18, 0.4), (0.25, 0.28, 0.33), (0.01, 0.015, 0.04)])[
        kind
    ]
    ground = np.array([0.3, 0.27, 0.22]) * (horizon + zenith) / 2
    return Lighting(
        sun=sun,
        sunlight=light,
        sky=(horizon + zenith) * 0.33,
        ground=ground,
        reach=rng.uniform(2, 6),
        haze=float(rng.choice([0.0, 0.0, 0.004, rng.uniform(0.01, 0.03)])),
        clouds=float(rng.uniform(0, 1.2)),
        gradient=np.array([horizon, zenith]),
    )


def _bottom(palette: Palette) -> Surface:
    rng = palette.rng
    if rng.random() < 0.35:
        return replace(palette.flat(rng.uniform(0.7, 0.9), grain=0.12), pattern="cloud", scale=2.0)  # snow or salt
    return palette.draw(
        "sandstone",
        "herringbone",
        "hexagons",
        "terrazzo",
        "speckle",
        scale=(0.3, 1.5),
        value=(0.2, 0.6),
        saturation=0.4,
        photo=0,
    )


def outdoor(palette: Palette) -> Setting:
    """A square with arcades, ruins in a desert, a gorge, a market or a harbour, up to 80 m."""
    rng, stage = palette.rng, Stage()
    kind = rng.integers(5)
    flat = kind in (0, 3, 4)
    terrain: Mesh = nature.ground(
        rng, 160.0, 0.0 if flat else rng.uniform(4, 18), 0.0 if flat else rng.uniform(0.4, 1.6)
    )
    stage.add([(terrain, _bottom(palette))])

    def spot(near: float, far: float, spread: float = 0.8) -> np.ndarray:
        distance, bearing = rng.uniform(near, far), rng.uniform(-spread, spread)
        x, y = distance * np.sin(bearing), distance * np.cos(bearing)
        return np.array([x, y, nature.height_of(terrain, x, y)])

    if kind == 0:
        depth = rng.uniform(18, 45)
        arcade = strange.arch(palette, 3.6, rng.uniform(2.5, 4.5), 0.9)
        for x in np.arange(-21.6, 22, 3.6):
            stage.add(arcade, (x, depth, 0))
        stage.add(street.building(palette, 44, 8, rng.uniform(6, 12)), (0, depth + 6.5, rng.uniform(3.5, 5)))
        stage.add(strange.statue(palette), spot(8, 20, 0.4), rng.uniform(-1, 1), rng.uniform(1, 2))
        for _ in range(rng.integers(2, 8)):
            stage.add(strange.stairs(palette, rng.uniform(2, 6), 4), spot(8, 28), rng.uniform(-0.4, 0.4))
    elif kind == 1:
        for _ in range(rng.integers(4, 14)):
            stage.add(strange.column(palette, rng.uniform(1.0, 6.0)), spot(4, 40), rng.uniform(0, 6.28))
        for _ in range(rng.integers(1, 4)):
            stage.add(strange.arch(palette, rng.uniform(2, 5), rng.uniform(2, 4)), spot(8, 45), rng.uniform(-0.8, 0.8))
        for _ in range(rng.integers(2, 9)):
            stage.add(strange.cactus(palette), spot(4, 40))
    elif kind == 2:
        for _ in range(rng.integers(10, 30)):
            x = rng.choice([-1, 1]) * rng.uniform(5, 16)
            stage.add(
                nature.rock(palette, rng.uniform(1.5, 6.0)),
                (x, rng.uniform(4, 70), rng.uniform(-0.5, 3)),
                rng.uniform(0, 6.28),
            )
        for _ in range(rng.integers(2, 10)):
            stage.add(nature.tree(palette, 35.0), spot(15, 60), rng.uniform(0, 6.28), rng.uniform(0.4, 0.9))
    elif kind == 3:
        for x in (-3.4, 3.4):
            for y in np.arange(5, 45, rng.uniform(3.8, 5.5)):
                if rng.random() < 0.8:
                    stage.add(
                        strange.tent(palette),
                        (x + rng.normal(0, 0.3), y, 0),
                        -np.sign(x) * np.pi / 2 + rng.normal(0, 0.1),
                    )
    else:
        for _ in range(rng.integers(5, 16)):
            stage.add(strange.container(palette), spot(9, 55), float(rng.choice([0, np.pi / 2])) + rng.normal(0, 0.05))
        for _ in range(rng.integers(1, 4)):
            stage.add(vehicles.truck(palette), spot(10, 40), rng.uniform(0, 6.28))
    for _ in range(rng.integers(0, 8)):
        stage.add(strange.barrel(palette), spot(3, 25), rng.uniform(0, 6.28))
    for _ in range(rng.integers(0, 6)):
        stage.add(person(palette), spot(3, 30, 0.5), rng.uniform(0, 6.28))
    high = rng.choice([rng.uniform(0.4, 0.9), rng.uniform(1.4, 1.9), rng.uniform(4, 12)], p=[0.25, 0.45, 0.3])
    position = np.array([0.0, 0.0, high + nature.height_of(terrain, 0, 0)])
    return Setting(stage, _view(rng, position, 0.02 + 0.035 * high), _sky(rng), max_depth=80.0)


def driving(palette: Palette) -> Setting:
    """A motorway, a tunnel, a car park or a winding country road; depth up to 80 m."""
    rng, stage = palette.rng, Stage()
    kind, high = rng.integers(4), rng.uniform(1.3, 2.6)
    lighting = _sky(rng)
    tar = palette.draw("speckle", "terrazzo", scale=(0.1, 0.5), value=(0.05, 0.3), saturation=0.1, photo=0)
    paint = palette.flat(rng.uniform(0.5, 0.8))
    fleet = [vehicles.car(palette) for _ in range(4)] + [vehicles.truck(palette)]
    x0 = 0.0
    if kind == 3:  # a winding road over hills
        terrain = nature.ground(rng, 160.0, rng.uniform(2, 12), rng.uniform(0.1, 0.5))
        stage.add([(terrain, _bottom(palette))])
        y = np.linspace(-5, 90, 80)
        bend = rng.uniform(2, 9) * np.sin(y / rng.uniform(12, 25)) * np.clip(y / 20, 0, 1)
        level = np.array([nature.height_of(terrain, x, at) for x, at in zip(bend, y, strict=True)])
        level = np.convolve(np.pad(level, 4, mode="edge"), np.ones(9) / 9, "valid") + 0.25
        for offsets, look in ((np.array([-3.4, 3.4]), tar), (np.array([-0.07, 0.07]), paint)):
            lift = 0.0 if look is tar else 0.02
            grid = np.stack([np.stack([bend + o, y, level + lift], -1) for o in offsets], 1)
            stage.add([(sheet(grid), look)])
        for at in rng.uniform(8, 75, rng.integers(1, 6)):
            i = int(np.argmin(np.abs(y - at)))
            stage.add(
                fleet[rng.integers(5)], (bend[i] + rng.choice([-1.7, 1.7]), at, level[i]), float(rng.choice([0, np.pi]))
            )
        for i in range(0, 80, int(rng.integers(3, 8))):
            for side in (-1, 1):
                stage.add(
                    nature.tree(palette, max(6.0, y[i])) if y[i] > 4 and i % 2 else strange.barrel(palette),
                    (bend[i] + side * rng.uniform(5, 9), y[i], level[i] - 0.3),
                    rng.uniform(0, 6.28),
                    rng.uniform(0.5, 1.0),
                )
        high += level[int(np.argmin(np.abs(y)))]
    else:
        half = (rng.uniform(6, 9), rng.uniform(4, 5.5), rng.uniform(14, 22))[kind]
        x0 = rng.uniform(-half + 2.5, half - 2.5) if kind < 2 else 0.0
        stage.add([(box((2 * half, 260, 0.2)), tar)], (-x0, 100, -0.2))
        if kind == 2:
            for y in np.arange(5, 60, rng.uniform(9, 13)):
                stage.add([(boxes((0.12, 4.5, 0.012), [(x, y, 0) for x in np.arange(-half, half, 2.6)]), paint)])
                for x in np.arange(-half + 1.3, half, 2.6):
                    if rng.random() < 0.55 and abs(x) > 1.6:
                        stage.add(fleet[rng.integers(4)], (x, y, 0), float(rng.choice([0, np.pi])))
        else:
            for line in np.linspace(-half + 0.6, half - 0.6, 4 if kind == 0 else 3):
                stage.add([(boxes((0.15, 3.5, 0.012), [(line - x0, y, 0) for y in np.arange(0, 90, 8)]), paint)])
            for _ in range(rng.integers(2, 9)):
                stage.add(
                    fleet[rng.integers(5)],
                    (rng.uniform(-half + 1.8, half - 1.8) - x0, rng.uniform(9, 70), 0),
                    float(rng.choice([0, np.pi])),
                )
        if kind == 1:
            wall = palette.draw(
                "hexagons", "corrugated", "terrazzo", scale=(0.3, 0.9), value=(0.3, 0.7), saturation=0.2, photo=0
            )
            angle = np.linspace(-0.15, np.pi + 0.15, 19)
            grid = np.array(
                [
                    [((half + 0.6) * np.cos(a) - x0, y, 1.2 + 4.4 * np.sin(a)) for a in angle]
                    for y in np.linspace(-10, 95, 8)
                ]
            )
            stage.add([(sheet(grid), wall)])
            stage.add([(box((2 * half + 6, 130, 0.2)), strange.stone(palette, photo=0.0))], (-x0, 50, -0.25))
            lamps = tuple(
                Lamp(position=np.array([-x0, y, 5.2]), radius=0.2, power=np.array([1.0, 0.75, 0.4]) * 7)
                for y in (4.0, 16.0, 30.0, 48.0)
            )
            lighting = replace(lighting, lamps=lamps, sky=lighting.sky * 0.5)
        else:
            stage.add([(box((300, 260, 0.2)), _bottom(palette))], (-x0, 100, -0.35))
            for side in (-1, 1):
                stage.add(strange.guard_rail(palette, 110), (side * (half + 0.3) - x0, 45, 0))
                for y in np.arange(8, 80, rng.uniform(7, 25)):
                    make = (strange.container, lambda p: nature.tree(p, 30.0), lambda p: street.pole(p, "lamp"))[
                        rng.integers(3)
                    ]
                    stage.add(make(palette), (side * (half + rng.uniform(3, 14)) - x0, y, -0.2), rng.uniform(0, 6.28))
            if kind == 0:
                deck = [box((2 * half + 12, 6, 1.0), (-x0, rng.uniform(25, 60), 5.2))]
                stage.add([(merged(deck), strange.stone(palette, photo=0.0))])
    for _ in range(rng.integers(0, 6)):
        stage.add(
            strange.barrel(palette),
            (rng.choice([-2.6, 2.6]) + rng.normal(0, 0.3), rng.uniform(5, 30), high * 0 if kind != 3 else high - 1.3),
            rng.uniform(0, 6.28),
        )
    return Setting(stage, _view(rng, np.array([0.0, 0.0, high]), 0.04), lighting, max_depth=80.0)
