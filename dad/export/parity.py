"""Whether an exported model gives the source's numbers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dad.errors import UserError

TOLERANCE = 1e-4
"""Largest difference that passes, relative to the source map's largest value."""


@dataclass(frozen=True)
class Parity:
    """How far an exported model is from its source for one input."""

    what: str
    input: tuple[int, ...]
    difference: float
    """Largest absolute difference over the source map's largest absolute value."""

    @property
    def line(self) -> str:
        """One line for the model card."""
        shape = "x".join(map(str, self.input))
        return f"{self.what}, input {shape}: largest difference {self.difference:.1e} of the map's largest value"


def compare(what: str, shape: tuple[int, ...], expected: Tensor, found: Tensor) -> Parity:
    """The parity of two maps of equal shape."""
    if expected.shape != found.shape:
        raise UserError(f"{what}: the exported model gives {tuple(found.shape)} where its source gives {tuple(expected.shape)}")
    scale = expected.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    return Parity(what, shape, ((expected - found).abs().max() / scale).item())


def require(parity: Parity) -> Parity:
    """The same parity; raises UserError where it is not good enough."""
    # `not <=` refuses NaN too
    if not parity.difference <= TOLERANCE:
        raise UserError(
            f"the exported model does not agree with its source ({parity.line}; allowed {TOLERANCE:.0e}); nothing was written"
        )
    return parity


def sample_image(batch: int, height: int, width: int) -> Tensor:
    """Smooth, reproducible RGB (B,3,H,W) in [0,1] whose values 8 bits can hold."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch, 3, 6, 8, generator=generator)
    image = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True).clip(0, 1)
    return (image * 255).round() / 255
