"""What surfaces of rich scenes look like: layered procedural patterns, or photographs of a folder, filtered by
distance.

A pattern is a function of two texture coordinates in metres in the object's own frame (box projection), so bricks
follow a house that is turned. Detail finer than a pixel fades to its mean, as a real lens averages it; without that,
far surfaces would flicker.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from dad.data.photos import reason_of
from dad.data.scenes.materials import noise
from dad.data.walk import walk
from dad.errors import UserError
from dad.files import sha256_file, sha256_json

Generator = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Surface:
    """One look. Colours are linear RGB (3,); `scale` is the pattern's period in metres.

    gloss: strength of highlights and of the mirrored sky in [0,1]; glow: light given off, in units of the colour;
    grain: strength of fine unevenness; photo: number of a photograph in the folder of textures, None for a procedural
    pattern.
    """

    pattern: str
    first: np.ndarray
    second: np.ndarray
    scale: float = 0.3
    angle: float = 0.0
    grain: float = 0.1
    gloss: float = 0.0
    glow: float = 0.0
    photo: int | None = None


def _hash(*cells: np.ndarray) -> np.ndarray:
    """A value in [0,1) per cell of a grid, without visible order."""
    mixed = sum(cell * factor for cell, factor in zip(cells, (12.9898, 78.233, 37.719), strict=False))
    return np.mod(np.abs(np.sin(mixed)) * 43758.547, 1)


def _line(x: np.ndarray, width: float) -> np.ndarray:
    """1 near whole numbers, 0 elsewhere."""
    return (np.abs(np.mod(x + 0.5, 1) - 0.5) < width / 2).astype(np.float32)


def _cloud(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.clip(2.2 * noise(p, 1.0) - 0.6, 0, 1)


def _brick(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    row = np.floor(3 * p[:, 1])
    x = p[:, 0] + 0.5 * np.mod(row, 2)
    joint = np.maximum(_line(3 * p[:, 1], 0.14), _line(x, 0.06))
    return np.where(joint > 0, 1.0, 0.55 * _hash(np.floor(x), row))


def _tiles(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    joint = np.maximum(_line(p[:, 0], 0.03), _line(p[:, 1], 0.03))
    return np.where(joint > 0, 1.0, 0.25 * _hash(np.floor(p[:, 0]), np.floor(p[:, 1])))


def _wood(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    stretched = p * np.array([6.0, 0.5])
    return np.clip(0.5 + 0.5 * np.sin(9 * noise(stretched, 1.0) + 4 * p[:, 0]), 0, 1) * 0.7


def _planks(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    column = np.floor(p[:, 0])
    along = p[:, 1] / 6 + _hash(column)
    seam = np.maximum(_line(p[:, 0], 0.04), _line(along, 0.008))
    grain = 0.35 * noise(p * np.array([5.0, 0.6]) + column[:, None] * 7.7, 1.0)
    return np.where(seam > 0, 1.0, 0.5 * _hash(column, np.floor(along)) + grain)


def _facade(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    x, y = np.mod(p, 1).T
    inside = (x > 0.24) & (x < 0.76) & (y > 0.25) & (y < 0.82)
    frame = inside & (
        (np.abs(x - 0.5) < 0.025) | (np.abs(y - 0.6) < 0.02) | (x < 0.275) | (x > 0.725) | (y < 0.285) | (y > 0.785)
    )
    dark = 0.55 + 0.45 * _hash(np.floor(p[:, 0]), np.floor(p[:, 1]))
    return np.where(frame, 0.1, np.where(inside, dark, 0.15 * noise(p, 0.6)))


def _plaid(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    x, y = np.mod(p, 1).T
    return 0.45 * (x < 0.45) + 0.45 * (y < 0.45) + 0.1 * (np.abs(x - 0.7) < 0.04)


def _blades(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    fine = noise(uv * np.array([1.0, 0.45]), 0.025)
    return np.clip(0.55 * noise(uv, 1.7) + 1.2 * fine - 0.35, 0, 1)


def _asphalt(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    crack = np.abs(noise(uv, 1.6) - 0.5) < 0.006
    stains = np.clip(1.8 * noise(uv, 4.0) - 0.6, 0, 1)
    return np.where(crack, 1.0, 0.45 * stains + 0.35 * noise(uv, 0.03))


def _marble(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + 0.5 * np.sin(6 * p[:, 0] + 14 * noise(p, 1.2)), 0, 1) ** 3


def _poster(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    row = np.floor(p[:, 1] + 0.3 * np.sin(2.7 * p[:, 0]))
    return np.where(_hash(row) > 0.5, noise(p, 0.8), _hash(row, np.floor(p[:, 0] * (1 + row % 3))))


def _foliage(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.clip(1.2 * noise(uv, 0.045) + 1.2 * noise(uv + 7.7, 0.35) - 0.7, 0, 1)


def _hexagons(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    x, y = p[:, 0], p[:, 1] / 0.866
    y0 = np.floor(y)
    cx = np.floor(x + 0.5 * np.mod(y0, 2))
    inner = np.hypot(x + 0.5 * np.mod(y0, 2) - cx - 0.5, (y - y0 - 0.5) * 0.866)
    return np.where(inner > 0.42, 1.0, 0.4 * _hash(cx, y0))


def _herringbone(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    row = np.floor(p[:, 0])
    tilt = np.where(np.mod(row, 2) > 0, 1.0, -1.0)
    y = 3 * (p[:, 1] + tilt * (p[:, 0] - row))
    seam = np.maximum(_line(y, 0.1), _line(p[:, 0], 0.03))
    return np.where(seam > 0, 1.0, 0.6 * _hash(row, np.floor(y)))


def _damask(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    x, y = 2 * np.pi * p.T
    return ((np.sin(x) * np.sin(y) + 0.5 * np.sin(2 * x + np.sin(y)) * np.cos(2 * y)) > 0.25) * 0.8


def _sandstone(uv: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + 0.5 * np.sin(9 * p[:, 1] + 5 * noise(p, 1.4)) * 0.7 + 0.4 * (noise(p, 0.08) - 0.5), 0, 1)


PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "plain": lambda uv, p: 0.25 * noise(uv, 1.3),
    "cloud": _cloud,
    "speckle": lambda uv, p: (noise(p, 0.12) > 0.58) * 0.8,
    "checker": lambda uv, p: np.mod(np.floor(p).sum(1), 2),
    "stripes": lambda uv, p: (np.mod(p[:, 0], 1) < 0.5) * 1.0,
    "plaid": _plaid,
    "brick": _brick,
    "tiles": _tiles,
    "wood": _wood,
    "planks": _planks,
    "facade": _facade,
    "grass": _blades,
    "asphalt": _asphalt,
    "marble": _marble,
    "weave": lambda uv, p: 0.5 + 0.5 * np.sin(uv[:, 0] * 450) * np.sin(uv[:, 1] * 450) * 0.6,
    "bark": lambda uv, p: np.clip(1.9 * noise(uv * np.array([1.0, 0.25]), 0.035) - 0.45, 0, 1),
    "poster": _poster,
    "foliage": _foliage,
    "rough": lambda uv, p: np.clip(0.8 * noise(p, 0.5) + 0.9 * noise(p, 0.09) - 0.35, 0, 1),
    "hexagons": _hexagons,
    "herringbone": _herringbone,
    "damask": _damask,
    "sandstone": _sandstone,
    "terrazzo": lambda uv, p: 0.9 * (_hash(np.floor(p[:, 0] * 9 + 2 * noise(p, 0.3)), np.floor(p[:, 1] * 9)) > 0.72),
    "corrugated": lambda uv, p: 0.5 + 0.5 * np.sin(2 * np.pi * p[:, 0]),
    "dots": lambda uv, p: (np.hypot(*(np.mod(p, 1) - 0.5).T) < 0.3) * 1.0,
}
"""Name -> share of the second colour at texture coordinates uv (metres) and p = uv / scale, both (N,2)."""

_DETAIL = {"weave": 0.014, "grass": 0.1, "asphalt": 0.1, "bark": 0.1, "foliage": 0.15}
"""Size in metres below which a pixel no longer resolves the pattern, where it is not a fraction of the scale."""


class Photographs:
    """The photographs of a folder as textures: squares of 256 pixels with their halvings, read when first asked for."""

    def __init__(self, folder: str | Path) -> None:
        found = (Path(folder) / one.name for one in walk(Path(folder)) if not one.problem)
        self.files = sorted(path for path in found if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
        if not self.files:
            raise UserError(f"textures: no .jpg or .png under {folder}; give a folder of photographs")

    def __len__(self) -> int:
        return len(self.files)

    def digest(self) -> str:
        """Eight hex digits of the names and contents of all files, in their order."""
        return sha256_json([[path.name, sha256_file(path)] for path in self.files])[:8]

    @functools.lru_cache(maxsize=600)  # noqa: B019 (one object lives as long as its process)
    def levels(self, number: int) -> list[np.ndarray]:
        """Linear RGB float16 (256,256,3), then (128,128,3) and so on down to (1,1,3), of photograph `number`."""
        try:
            with Image.open(self.files[number]) as image:
                square = image.convert("RGB")
        except Exception as error:  # Pillow raises many kinds for damaged files
            raise UserError(
                f"textures: {self.files[number]} cannot be read ({reason_of(error)}): take it out"
            ) from None
        side = min(square.size)
        left, top = (square.width - side) // 2, (square.height - side) // 2
        pixels = np.asarray(square.crop((left, top, left + side, top + side)).resize((256, 256), Image.Resampling.BOX))
        levels = [(pixels.astype(np.float32) / 255) ** 2.2]
        while len(levels[-1]) > 1:
            last = levels[-1]
            levels.append((last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2]) / 4)
        return [level.astype(np.float16) for level in levels]


def _photograph(levels: list[np.ndarray], p: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Linear RGB (N,3) of a photograph in mirrored copies, at p (N,2) in copies, averaged over `footprint` copies."""
    turned = 1 - np.abs(np.mod(p, 2) - 1)
    wanted = np.clip(np.log2(np.maximum(footprint * 256, 1e-6)), 0, len(levels) - 1).round().astype(int)
    colour = np.empty((len(p), 3), np.float32)
    for level in np.unique(wanted):
        rows = np.flatnonzero(wanted == level)
        image = levels[level]
        side = len(image)
        position = np.clip(turned[rows] * side - 0.5, 0, side - 1.001)
        cell = position.astype(int)
        (x, y), (i, j) = (position - cell).T[..., None].astype(np.float32), cell.T
        k, m = np.minimum(i + 1, side - 1), np.minimum(j + 1, side - 1)
        j, m = side - 1 - j, side - 1 - m  # photographs stand upright: texture coordinates grow upwards, rows downwards
        colour[rows] = (image[j, i] * (1 - x) + image[j, k] * x) * (1 - y) + (
            image[m, i] * (1 - x) + image[m, k] * x
        ) * y
    return colour


def colour_of(
    surface: Surface, local: np.ndarray, normals: np.ndarray, footprint: np.ndarray, photographs: Photographs | None
) -> np.ndarray:
    """Linear RGB (N,3) at points (N,3) with normals (N,3) in the object's frame; `footprint` (N,): metres per pixel."""
    axis = np.abs(normals).argmax(1)
    uv = np.where(
        (axis == 2)[:, None], local[:, :2], np.stack([np.where(axis == 0, local[:, 1], local[:, 0]), local[:, 2]], 1)
    )
    if surface.angle:
        c, s = np.cos(surface.angle), np.sin(surface.angle)
        uv = uv @ np.array([[c, -s], [s, c]])
    uv = uv.astype(np.float32)
    if surface.photo is not None and photographs is not None:
        picture = _photograph(photographs.levels(surface.photo), uv / surface.scale, footprint / surface.scale)
        colour = picture * surface.first
    else:
        share = PATTERNS[surface.pattern](uv, uv / np.float32(surface.scale)).astype(np.float32)
        if surface.pattern != "plain":
            detail = _DETAIL.get(surface.pattern, surface.scale)
            seen = np.clip(1.4 - footprint / (0.4 * detail), 0, 1).astype(np.float32)
            mean = share.mean() if len(share) > 50 else 0.4
            share = mean + (share - mean) * seen
        colour = surface.first + share[:, None] * (surface.second - surface.first)
    if surface.grain:
        fine = np.clip(1.3 - footprint / 0.03, 0, 1)
        uneven = noise(uv + 3.7, 0.9) - 0.5 + 0.5 * fine * (noise(uv + 11.3, 0.012) - 0.5)
        colour = colour * (1 + 2 * surface.grain * uneven)[:, None]
    return np.clip(colour, 0.004, 1)


def colour(rng: Generator, value: tuple[float, float], saturation: float) -> np.ndarray:
    """A linear RGB colour as paint and cloth have them: mostly muted, browns and greys more often than pure hues."""
    hue = rng.uniform(0, 1) if rng.random() < 0.4 else np.mod(rng.normal(0.07, 0.07), 1)
    strength = np.clip(saturation * rng.beta(1.2, 2.2), 0, 0.97)
    wheel = np.clip(np.abs(np.mod(hue * 6 + np.array([0.0, 4.0, 2.0]), 6) - 3) - 1, 0, 1)
    return np.clip(rng.uniform(*value) * (1 - strength + strength * wheel * 1.4), 0.01, 0.95)


class Palette:
    """Draws surfaces: a share of them photographs if there is a folder of those.

    The generator is asked for the same numbers with and without photographs, so a scene's geometry does not depend on
    textures.
    """

    def __init__(self, rng: Generator, photographs: Photographs | None = None, share: float = 0.25) -> None:
        self.rng, self.photographs, self.share = rng, photographs, share

    def draw(
        self,
        *patterns: str,
        scale: tuple[float, float] = (0.15, 0.8),
        value: tuple[float, float] = (0.12, 0.75),
        saturation: float = 0.8,
        gloss: float = 0.0,
        photo: float = 1.0,
        turned: bool = False,
    ) -> Surface:
        """A surface with one of `patterns`; `photo` scales how readily a photograph takes its place (0: never)."""
        rng = self.rng
        first = colour(rng, value, saturation)
        second = (
            np.clip(first * rng.uniform(0.3, 1.6), 0.02, 0.95) if rng.random() < 0.7 else colour(rng, value, saturation)
        )
        period = float(np.exp(rng.uniform(*np.log(scale))))
        pattern = patterns[rng.integers(len(patterns))]
        angle = float(rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])) if turned else 0.0
        grain = float(rng.uniform(0.02, 0.2))
        number, chance, larger = rng.random(), rng.random(), rng.uniform(1.5, 6)
        chosen = None
        if self.photographs is not None and chance < self.share * photo:
            chosen = int(number * len(self.photographs))
            first = 0.5 + 0.9 * first / max(first.max(), 1e-3)
            period *= larger
        return Surface(
            pattern=pattern,
            first=first,
            second=second,
            scale=period,
            angle=angle,
            grain=grain,
            gloss=gloss,
            photo=chosen,
        )

    def flat(self, colour: ArrayLike, *, gloss: float = 0.0, glow: float = 0.0, grain: float = 0.1) -> Surface:
        """A surface of one colour (linear RGB or grey)."""
        value = np.broadcast_to(np.asarray(colour, float), 3)
        return Surface(pattern="plain", first=value, second=value * 0.8, gloss=gloss, glow=glow, grain=grain)
