"""Open country, gardens, villages and squares; and streets with traffic."""

import numpy as np

from dad.data.scenes.layouts import Camera
from dad.data.scenes.rich import nature, street, vehicles
from dad.data.scenes.rich.meshes import Mesh, box, boxes
from dad.data.scenes.rich.people import person
from dad.data.scenes.rich.rooms import lens, shifted
from dad.data.scenes.rich.stage import Lighting, Setting, Stage
from dad.data.scenes.rich.surfaces import Palette, Surface

Generator = np.random.Generator


def daylight(rng: Generator) -> Lighting:
    """Clear, hazy, overcast or low evening sun."""
    kind = rng.random()
    elevation = np.radians(rng.uniform(25, 70) if kind < 0.7 else rng.uniform(5, 20))
    azimuth = rng.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    clouds = rng.uniform(0, 1)
    horizon = np.array([0.72, 0.8, 0.9]) * rng.uniform(0.85, 1.1, 3)
    zenith = np.array([0.2, 0.38, 0.78]) * rng.uniform(0.8, 1.2)
    light = np.array([1.15, 1.08, 0.95])
    if 0.45 < kind < 0.7:  # overcast
        clouds, light = rng.uniform(0.8, 1.3), light * rng.uniform(0.0, 0.25)
        horizon = zenith = np.array([0.75, 0.78, 0.82]) * rng.uniform(0.8, 1.0)
    elif kind >= 0.85:  # evening
        light, horizon = np.array([1.3, 0.8, 0.45]) * rng.uniform(0.6, 1.0), np.array([0.95, 0.68, 0.5])
        zenith = np.array([0.22, 0.3, 0.52])
    haze = float(rng.choice([0.0, 0.002, rng.uniform(0.002, 0.02)]))
    return Lighting(
        sun=sun,
        sunlight=light,
        sky=(zenith + horizon) / 2 * rng.uniform(0.5, 0.8),
        ground=np.array([0.2, 0.18, 0.15]) * rng.uniform(0.6, 1.4),
        reach=rng.uniform(2.5, 5),
        haze=haze,
        clouds=clouds,
        gradient=np.array([horizon, zenith]),
    )


def meadow(palette: Palette) -> Surface:
    """Grass, earth, sand or gravel."""
    rng = palette.rng
    green = np.array([0.1, 0.16, 0.035]) * rng.uniform(0.5, 1.7) * rng.uniform(0.85, 1.15, 3)
    if rng.random() < 0.5:
        return Surface(
            pattern="grass", first=green, second=green * rng.uniform(1.4, 2.4) * [1.2, 1.0, 0.8], scale=0.3, grain=0.3
        )
    return palette.draw(
        "rough", "asphalt", "cloud", "brick", "tiles", scale=(0.3, 1.5), value=(0.1, 0.45), saturation=0.35, photo=0.5
    )


def _spot(rng: Generator, terrain: Mesh, near: float, far: float, spread: float = 0.8) -> np.ndarray:
    distance, bearing = np.exp(rng.uniform(np.log(near), np.log(far))), rng.uniform(-spread, spread)
    x, y = distance * np.sin(bearing), distance * np.cos(bearing)
    return np.array([x, y, nature.height_of(terrain, x, y)])


def outdoor(palette: Palette) -> Setting:
    """Rolling ground with trees, bushes, rocks, fences, houses, people and sometimes a path or a car, up to 80 m."""
    rng, stage = palette.rng, Stage()
    terrain = nature.ground(rng, 160.0, float(rng.choice([0, 3, rng.uniform(3, 14)])), rng.uniform(0.05, 0.9))
    stage.add([(terrain, meadow(palette))])
    wild = rng.random()  # between a village and a wood
    for _ in range(rng.integers(0, 5) if wild < 0.65 else rng.integers(0, 2)):
        at = _spot(rng, terrain, 19, 70)
        turn = np.arctan2(-at[0], at[1]) * -1 + rng.normal(0, 0.35)
        size = (rng.uniform(6, 16), rng.uniform(6, 11), rng.uniform(3, 13))
        stage.add(street.building(palette, *size, detail=at[1] < 45), at - [0, 0, 0.4], turn)
    for _ in range(int(rng.integers(1, 6) if wild < 0.65 else rng.integers(4, 13))):
        at = _spot(rng, terrain, 5 if rng.random() < 0.7 else 3, 65, 0.95)
        stage.add(nature.tree(palette, float(np.hypot(*at[:2]))), at, rng.uniform(0, 6.28))
    if rng.random() < 0.6:  # a wood or a row of trees far away
        grove = [nature.tree(palette, 60.0) for _ in range(3)]
        for _ in range(rng.integers(8, 26)):
            stage.add(
                grove[rng.integers(3)], _spot(rng, terrain, 35, 78, 1.0), rng.uniform(0, 6.28), rng.uniform(0.7, 1.3)
            )
    for _ in range(rng.integers(0, 6)):
        at = _spot(rng, terrain, 3.5, 35)
        stage.add(nature.bush(palette, float(np.hypot(*at[:2]))), at)
    for _ in range(rng.integers(0, 5)):
        stage.add(nature.rock(palette), _spot(rng, terrain, 4, 30), rng.uniform(0, 6.28))
    for _ in range(rng.choice([0, 1, 1, 2, 3, 5])):
        stage.add(person(palette), _spot(rng, terrain, 2.2, 28, 0.6), rng.uniform(0, 6.28))
    for _ in range(rng.integers(0, 3)):
        at, turn = _spot(rng, terrain, 5, 28), rng.uniform(-0.7, 0.7)
        long = rng.uniform(4, 16)
        if rng.random() < 0.65:
            stage.add(street.railing(palette, long), at, turn)
        else:
            stage.add(nature.hedge(palette, long, rng.uniform(0.6, 1.8), float(np.hypot(*at[:2]))), at, turn)
    if wild < 0.65:
        things = (street.bench, street.pole, street.bin_or_bollard, vehicles.bicycle, vehicles.car, street.pole)
        for _ in range(rng.integers(1, 6)):
            stage.add(things[rng.integers(len(things))](palette), _spot(rng, terrain, 3, 28, 0.6), rng.uniform(0, 6.28))
    if rng.random() < 0.25:
        y = rng.uniform(9, 30)
        line = np.array(
            [[x, y + 0.3 * x, nature.height_of(terrain, x, y + 0.3 * x) + 7.0] for x in np.arange(-45, 46, 22.5)]
        )
        for at in line:
            stage.add(street.pole(palette, "post"), at - [0, 0, 7.0])
        stage.add(street.wires(palette, line, 0.7))
    if rng.random() < 0.6:
        spots = np.array([_spot(rng, terrain, 1.5, 12) for _ in range(160)])
        stage.add(nature.grass(palette, spots, rng.uniform(0.12, 0.5)))
    high = rng.uniform(0.5, 1.9) if rng.random() < 0.75 else rng.uniform(2, 7)
    camera = Camera(
        position=np.array([0.0, 0.0, high + nature.height_of(terrain, 0, 0)]),
        yaw=rng.normal(0, 0.15),
        pitch=rng.normal(0.05 + 0.03 * high, 0.1),
        roll=rng.normal(0, 0.035),
        fov=lens(rng, 35, 95),
    )
    return Setting(stage, camera, daylight(rng), max_depth=80.0, centre=shifted(rng))


def _side(palette: Palette, stage: Stage, side: int, edge: float, kerb: float) -> None:
    """One side of a street: pavement, houses or gardens, trees, poles, parked cars, people. `edge`: the kerb's x."""
    rng = palette.rng
    walk = rng.uniform(1.6, 4.0)
    pavement = palette.draw(
        "tiles", "brick", "asphalt", "rough", scale=(0.3, 0.9), value=(0.15, 0.5), saturation=0.15, photo=0.3
    )
    stage.add([(box((walk, 240, 0.3)), pavement)], (edge + side * walk / 2, 90, kerb - 0.3))
    stage.add(
        [(boxes((0.14, 240, 0.3), [(0, 0, 0)]), palette.flat(rng.uniform(0.25, 0.5)))],
        (edge + side * 0.05, 90, kerb - 0.13),
    )
    stage.add([(box((80, 260, 0.3)), meadow(palette))], (edge + side * (walk + 40), 90, kerb - 0.31))
    front, y = edge + side * (walk + float(rng.choice([0.0, 0.0, rng.uniform(1, 7)]))), rng.uniform(-12, 2)
    town = rng.uniform(0.15, 1.0)
    while y < 95:
        long = rng.uniform(6, 20)
        if rng.random() < town:
            deep = rng.uniform(7, 11)
            house = street.building(palette, long, deep, rng.uniform(4, 17), detail=y < 55)
            stage.add(house, (front + side * deep / 2, y + long / 2, kerb), -side * np.pi / 2)
        else:
            for _ in range(rng.integers(1, 4)):
                at = np.array([front + side * rng.uniform(1, 9), y + rng.uniform(0, long), kerb])
                plant = nature.tree if rng.random() < 0.6 else nature.bush
                stage.add(plant(palette, max(4.0, at[1])), at, rng.uniform(0, 6.28))
            if rng.random() < 0.6:
                stage.add(
                    street.railing(palette, long)
                    if rng.random() < 0.6
                    else nature.hedge(palette, long, rng.uniform(0.7, 1.6), max(y, 5)),
                    (front, y + long / 2, kerb),
                    np.pi / 2,
                )
        y += long + float(rng.choice([0.0, rng.uniform(0, 6)]))
    if rng.random() < 0.55:
        trees = [nature.tree(palette, d) for d in (12.0, 40.0)]
        for i, at in enumerate(np.arange(rng.uniform(5, 14), 80, rng.uniform(8, 18))):
            stage.add(trees[0 if at < 25 else 1], (edge + side * 0.9, at, kerb), 2.4 * i, rng.uniform(0.5, 0.9))
    lamp, gap = street.pole(palette, "lamp"), rng.uniform(14, 28)
    for at in np.arange(rng.uniform(4, 16), 80, gap):
        stage.add(lamp, (edge + side * 0.4, at, kerb), -side * np.pi / 2)
    for _ in range(rng.integers(1, 7)):
        stage.add(
            street.pole(palette, str(rng.choice(["sign", "light", "sign", "post"]))),
            (edge + side * 0.35, rng.uniform(5, 50), kerb),
            rng.normal(0, 0.2),
        )
    for _ in range(rng.integers(0, 6)):
        make = (street.bench, street.bin_or_bollard, street.bin_or_bollard, vehicles.bicycle)[rng.integers(4)]
        stage.add(
            make(palette),
            (edge + side * rng.uniform(0.6, walk), rng.uniform(4, 30), kerb),
            float(rng.choice([-1, 1]) * np.pi / 2),
        )
    for _ in range(rng.integers(0, 7)):
        stage.add(
            person(palette),
            (edge + side * rng.uniform(0.4, walk), np.exp(rng.uniform(np.log(4), np.log(45))), kerb),
            float(rng.choice([0, np.pi])) + rng.normal(0, 0.4),
        )


def driving(palette: Palette) -> Setting:
    """A street amid houses, gardens or fields with parked and moving cars, seen from a car or lorry; depth to 80 m."""
    rng, stage = palette.rng, Stage()
    half = rng.uniform(3.0, 7.5)
    lane = rng.uniform(-half + 1.5, half - 1.5)
    grey = rng.uniform(0.05, 0.22)
    tone = np.full(3, grey) * rng.uniform(0.95, 1.05, 3)
    road = Surface(pattern="asphalt", first=tone, second=tone * rng.uniform(0.55, 1.5), scale=2.0, grain=0.3)
    stage.add([(box((2 * half, 240, 0.2)), road)], (-lane, 90, -0.2))
    paint = palette.flat(rng.uniform(0.45, 0.8), grain=0.25)
    for line in np.linspace(-half, half, int(rng.integers(2, 5)) + 1)[1:-1]:
        dashes = np.arange(rng.uniform(-3, 3), 85, rng.uniform(5, 9))
        stage.add([(boxes((0.13, rng.uniform(2, 4), 0.012), [(line - lane, y, 0) for y in dashes]), paint)])
    if rng.random() < 0.35:
        bars, y = np.arange(-half + 0.5, half - 0.3, 1.0), rng.uniform(6, 25)
        stage.add([(boxes((0.5, 3.0, 0.012), [(x - lane, y, 0) for x in bars]), paint)])
    kerb = rng.uniform(0.08, 0.17)
    for side in (-1, 1):
        _side(palette, stage, side, side * half - lane, kerb)
        if rng.random() < 0.75:
            y, dense = rng.uniform(3.5, 9), rng.uniform(0.3, 0.95)
            fleet = [vehicles.car(palette) for _ in range(4)]
            while y < 62:
                if rng.random() < dense and abs(side * (half - 1.05) - lane) > 1.9:
                    stage.add(
                        fleet[rng.integers(4)],
                        (side * (half - 1.05) - lane, y, 0),
                        rng.normal(0, 0.03) + (np.pi if side < 0 else 0),
                    )
                y += rng.uniform(5.2, 7.5)
    for _ in range(rng.integers(0, 5)):
        x, y = rng.uniform(-half + 1.2, half - 1.2), rng.uniform(7, 55)
        vehicle = vehicles.truck(palette) if rng.random() < 0.22 and y > 14 else vehicles.car(palette)
        stage.add(vehicle, (x - lane, y, 0), (np.pi if x > 0 else 0) + rng.normal(0, 0.05))
    for _ in range(rng.choice([0, 0, 1, 2])):
        at = (rng.uniform(-half, half) - lane, rng.uniform(6, 30), 0)
        stage.add(person(palette), at, rng.uniform(0, 6.28))
    camera = Camera(
        position=np.array([0, 0, rng.uniform(1.1, 2.2)]),
        yaw=rng.normal(0, 0.1),
        pitch=rng.normal(0.04, 0.05),
        roll=rng.normal(0, 0.015),
        fov=lens(rng, 45, 95),
    )
    return Setting(stage, camera, daylight(rng), max_depth=80.0, centre=shifted(rng))
