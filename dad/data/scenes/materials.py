"""Procedural materials: colour as a function of position on a surface.

A material is evaluated on many points at once. Surfaces are textured by box projection: the two world coordinates
across the dominant axis of the normal serve as texture coordinates, so every mesh can carry every pattern without a
parametrisation.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

PATTERNS = ("plain", "noise", "checker", "stripes", "brick", "planks", "windows", "gravel")


@dataclass(frozen=True, kw_only=True)
class Material:
    """One look: `pattern` in `PATTERNS`, two linear RGB colours (3,), the period in metres and a grain strength."""

    pattern: str
    first: np.ndarray
    second: np.ndarray
    scale: float
    angle: float = 0.0
    grain: float = 0.1


@functools.cache
def _noise_tile(size: int = 256) -> np.ndarray:
    """A periodic tile of smooth noise in [0,1], equal in every process: random lattice values blurred at two scales."""
    rng = np.random.default_rng(7)
    white = rng.random((size, size))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    spectrum = np.fft.rfft2(white) / (frequency + 4 / size) ** 1.1
    spectrum[0, 0] = 0
    tile = np.fft.irfft2(spectrum, s=(size, size))
    return np.clip(0.5 + tile / (6 * tile.std()), 0, 1).astype(np.float32)


def noise(uv: np.ndarray, period: float) -> np.ndarray:
    """Smooth noise in [0,1] at texture coordinates `uv` (N,2) in metres; a tile (256 lattice cells) has 32 periods."""
    tile = _noise_tile()
    size = tile.shape[0]
    position = uv * (size / (32 * period))
    cell = np.floor(position)
    x, y = (position - cell).T
    i, j = cell.astype(np.int64).T % size
    i1, j1 = (i + 1) % size, (j + 1) % size
    top = tile[i, j] * (1 - y) + tile[i, j1] * y
    bottom = tile[i1, j] * (1 - y) + tile[i1, j1] * y
    return top * (1 - x) + bottom * x


def _mix(material: Material, uv: np.ndarray) -> np.ndarray:
    """Share of the second colour in [0,1] at (rotated) texture coordinates (N,2)."""
    p = uv / material.scale
    if material.pattern == "plain":
        return np.zeros(len(uv), np.float32)
    if material.pattern == "noise":
        return np.clip(2.5 * noise(uv, material.scale) - 0.75, 0, 1)
    if material.pattern == "gravel":
        return (noise(uv, material.scale * 0.3) > 0.55).astype(np.float32) * 0.7
    if material.pattern == "checker":
        return (np.floor(p).sum(1) % 2).astype(np.float32)
    if material.pattern == "stripes":
        return (np.mod(p[:, 0], 1) < 0.5).astype(np.float32)
    if material.pattern == "brick":
        row = np.floor(2 * p[:, 1])
        across = np.mod(p[:, 0] + 0.5 * np.mod(row, 2), 1)
        return ((np.mod(2 * p[:, 1], 1) < 0.12) | (across < 0.06)).astype(np.float32)
    if material.pattern == "planks":
        column = np.floor(p[:, 0])
        tone = np.mod(np.sin(column * 12.9898) * 43758.5453, 1)
        seam = np.mod(p[:, 0], 1) < 0.05
        return np.where(seam, 1.0, 0.6 * tone).astype(np.float32)
    if material.pattern == "windows":
        x, y = np.mod(p, 1).T
        return ((x > 0.25) & (x < 0.75) & (y > 0.3) & (y < 0.8)).astype(np.float32)
    raise AssertionError(f"unknown pattern {material.pattern}")


def albedo(material: Material, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Linear RGB (N,3) of `material` at world `points` (N,3) in metres with unit `normals` (N,3)."""
    axis = np.abs(normals).argmax(1)
    uv = np.where(
        (axis == 2)[:, None],
        points[:, :2],
        np.stack([np.where(axis == 0, points[:, 1], points[:, 0]), points[:, 2]], 1),
    )
    if material.angle:
        c, s = np.cos(material.angle), np.sin(material.angle)
        uv = uv @ np.array([[c, -s], [s, c]])
    share = _mix(material, uv)[:, None]
    colour = material.first * (1 - share) + material.second * share
    if material.grain:
        colour = colour * (1 + material.grain * (4 * noise(uv + 17.3, material.scale * 0.25) - 2)[:, None])
    return np.clip(colour, 0.005, 1)


def random_colour(
    rng: np.random.Generator, *, saturation: float = 0.5, value: tuple[float, float] = (0.15, 0.8)
) -> np.ndarray:
    """A random linear RGB colour of limited saturation."""
    grey = rng.uniform(*value)
    tint = rng.uniform(-1, 1, 3)
    return np.clip(grey * (1 + saturation * (tint - tint.mean())), 0.02, 0.95)


def random_material(
    rng: np.random.Generator, patterns: tuple[str, ...], *, scale: tuple[float, float] = (0.1, 0.8), **colour: Any
) -> Material:
    """A material: one of `patterns` (repeat a name to weight it), random colours, a log-uniform period in metres."""
    first = random_colour(rng, **colour)
    second = np.clip(first * rng.uniform(0.3, 1.7), 0.02, 0.95) if rng.random() < 0.6 else random_colour(rng, **colour)
    return Material(
        pattern=patterns[rng.integers(len(patterns))],
        first=first,
        second=second,
        scale=float(np.exp(rng.uniform(*np.log(scale)))),
        angle=float(rng.choice([0.0, 0.0, rng.uniform(0, np.pi)])),
        grain=float(rng.uniform(0.05, 0.3)),
    )
