"""Spoiling labels by a stated amount, to see what wrong labels do under each normalization. Not in the paper.

The paper's case for local normalizations is that a global one spreads an error of one region over the whole map, and
that without any the frames of patches contradict each other. Both can be dialled: each kind of noise is a pure function
of the crop (photo, draw number, seed, view and number of the map), so runs are paired, and labels are cached once for
all strengths.
"""

import hashlib
import json
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dad.study.config import NoiseConfig

FACTOR = 2.0
"""A spoiled region is this many times too large, or too small."""
BLUR = 0.1
"""The blur's standard deviation at strength 1, in sides of the map."""


def _generator(photo_id: str, draw: int, seed: int, view: str, number: int, kind: str) -> np.random.Generator:
    key = hashlib.sha256(json.dumps([photo_id, draw, seed, view, number, kind]).encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "big")))


def region(label: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """A rectangle of `strength` of the map's area, of random shape and place, is multiplied or divided by `FACTOR`."""
    height, width = label.shape[-2:]
    larger, aspect, across, down = rng.random() < 0.5, np.exp(rng.uniform(-0.5, 0.5)), *rng.random(2)
    share = np.clip(
        [np.sqrt(strength * aspect), np.sqrt(strength / aspect)], strength, 1
    )  # a side is at most the map's own
    rows, columns = (max(1, round(float(s) * side)) for s, side in zip(share, (height, width), strict=True))
    top, left = round(float(down) * (height - rows)), round(float(across) * (width - columns))
    spoiled = label.clone()
    spoiled[..., top : top + rows, left : left + columns] *= FACTOR if larger else 1 / FACTOR
    return spoiled


def blur(label: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """A Gaussian of standard deviation `BLUR` x `strength` map sides; edge values go on beyond it. Nothing is drawn."""
    sigma = BLUR * strength * label.shape[-1]
    reach = max(1, int(np.ceil(3 * sigma)))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=label.dtype, device=label.device) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    maps = functional.pad(label[None], (reach, reach, reach, reach), mode="replicate")
    maps = functional.conv2d(maps, kernel[None, None, None, :])
    return functional.conv2d(maps, kernel[None, None, :, None])[0]


def frame(label: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Another scale and shift: exp(strength x normal) x the map + strength x normal x its mean absolute deviation."""
    scale, shift = np.exp(strength * rng.normal()), strength * rng.normal()
    deviation = (label - label.median()).abs().mean()
    return label * float(scale) + float(shift) * deviation


KINDS: dict[str, Callable[[Tensor, float, np.random.Generator], Tensor]] = {
    "region": region,
    "blur": blur,
    "frame": frame,
}
"""Label (1,H,W) float32, strength, generator -> spoiled label."""


def spoil(
    labels: Tensor, noise: NoiseConfig, *, photo_ids: list[str], draws: list[int], seed: int, view: str
) -> Tensor:
    """A batch's labels with noise: (B,1,H,W) of squares or (B,N,1,H,W) of patches -> the same shape, float32.

    photo_ids and draws (B,) say which crop each is of; every patch has a noise of its own.
    """
    assert len(labels) == len(photo_ids) == len(draws), (labels.shape, len(photo_ids), len(draws))
    spoiled = []
    for of_crop, photo_id, draw in zip(labels.float(), photo_ids, draws, strict=True):
        maps = [
            KINDS[noise.kind](one, noise.strength, _generator(photo_id, draw, seed, view, number, noise.kind))
            for number, one in enumerate(of_crop.reshape(-1, 1, *labels.shape[-2:]))
        ]
        spoiled.append(torch.stack(maps).reshape(labels.shape[1:]))
    return torch.stack(spoiled)
