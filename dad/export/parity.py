"""Whether an exported model gives the source's numbers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dad.data.photos import SUFFIXES, decode
from dad.data.walk import walk
from dad.errors import UserError

TOLERANCE = 1e-4
"""Largest difference that passes, relative to the source map's largest value."""
SHAPES = ((240, 320), (321, 481), (480, 320), (256, 256), (180, 480))
"""Heights and widths of the pictures that an export is compared on: 4:3, 3:2, upright, square, panorama."""


@dataclass(frozen=True)
class Parity:
    """How far an exported model is from its source for one input."""

    what: str
    input: tuple[int, ...]
    difference: float
    """Largest absolute difference over the source map's largest absolute value."""
    mean: float | None = None
    """Mean absolute difference over the source map's largest absolute value."""

    @property
    def shape(self) -> str:
        """The input's shape in words."""
        return "x".join(map(str, self.input))

    @property
    def line(self) -> str:
        """One line for the model card."""
        return f"{self.what}, input {self.shape}: largest difference {self.difference:.1e} of the map's largest value"


def compare(what: str, shape: tuple[int, ...], expected: Tensor, found: Tensor) -> Parity:
    """The parity of two maps of equal shape."""
    if expected.shape != found.shape:
        raise UserError(
            f"{what}: the exported model gives {tuple(found.shape)} where its source gives {tuple(expected.shape)}"
        )
    scale = expected.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    differences = (expected - found).abs() / scale
    return Parity(what, shape, differences.max().item(), differences.mean().item())


def require(parity: Parity) -> Parity:
    """The same parity; raises UserError where it is not good enough."""
    # `not <=` refuses NaN too
    if not parity.difference <= TOLERANCE:
        raise UserError(
            f"the exported model does not agree with its source ({parity.line}; allowed {TOLERANCE:.0e}); nothing was "
            "written"
        )
    return parity


def sample_image(batch: int, height: int, width: int) -> Tensor:
    """Smooth, reproducible RGB (B,3,H,W) in [0,1] whose values 8 bits can hold."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch, 3, 6, 8, generator=generator)
    image = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True).clip(0, 1)
    return (image * 255).round() / 255


def as_rgb(picture: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 (H,W,3) -> (1,3,H,W) in [0,1]."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def pictures(photos: str | Path | None = None) -> dict[str, NDArray[np.uint8]]:
    """What an export is compared on, uint8 (H,W,3) by name: photographs of a folder, as different in shape as they come
    and five at most, or where none is given drawn pictures of five shapes.
    """
    if photos is None:
        return {f"drawn {width}x{height}": drawn(height, width, seed) for seed, (height, width) in enumerate(SHAPES)}
    folder = Path(photos)
    files = sorted(
        folder / one.name for one in walk(folder) if not one.problem and Path(one.name).suffix.lower() in SUFFIXES
    )
    if not files:
        raise UserError(f"{folder} holds no photographs ({', '.join(SUFFIXES)})")
    found: dict[str, NDArray[np.uint8]] = {}
    # shapes that were not there yet come first
    for again in (False, True):
        for file in files[:500]:
            if len(found) == len(SHAPES):
                return found
            try:
                pixels = decode(file.read_bytes())
            except Exception:  # Pillow raises many kinds for damaged files, and another photograph will do
                continue
            name = str(file.relative_to(folder))
            if name not in found and (again or pixels.shape not in {other.shape for other in found.values()}):
                found[name] = pixels
    if not found:
        raise UserError(f"none of the photographs in {folder} can be read")
    return found


def drawn(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """A picture (H,W,3) with what photos have and resizing rules differ on: soft shading, hard edges, fine grain."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.random((1, 3, 5, 7), dtype=np.float32))
    shading = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)[0]
    image = shading.permute(1, 2, 0).numpy().copy()
    for _ in range(40):
        top, left = random.integers(0, height), random.integers(0, width)
        tall, wide = random.integers(2, height // 2), random.integers(2, width // 2)
        part = image[top : top + tall, left : left + wide]
        part += random.random(3, dtype=np.float32) * 0.6 - 0.3
    image += random.normal(0, 0.06, image.shape).astype(np.float32)
    return (image.clip(0, 1) * 255).round().astype(np.uint8)
