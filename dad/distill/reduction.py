"""How pixels' losses become one number: weights of pixels, sums per image, and the two variants' means."""

import torch
from torch import Tensor

from dad.errors import UserError

SMALLEST_WEIGHT = 1e-6
"""A sum of weights below this counts as this: a batch that nothing weighs on has the loss 0, not 0/0."""


def weighted_pixels(mask: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """The weights of an image's pixels (B,N), 0 where they are not valid, and their sums (B,)."""
    if weight is None:
        return mask.flatten(1), mask.flatten(1).sum(1)
    if weight.shape != mask.shape:
        raise UserError(f"weight {tuple(weight.shape)} must have the target's shape {tuple(mask.shape)}")
    weighted = torch.where(mask, weight.detach().to(torch.float32), 0.0).flatten(1)
    return weighted, weighted.sum(1)


def reduce(sums: Tensor, counts: Tensor, variant: str) -> Tensor:
    """Sums and counts per image, images along the first dimension, to one loss (per entry of the other dimensions)."""
    least = SMALLEST_WEIGHT if counts.is_floating_point() else 1
    if variant == "hdn":
        return sums.sum(0) / counts.sum(0).clamp(min=least)
    return (sums / counts.clamp(min=least)).sum(0) / (counts > 0).sum(0).clamp(min=1)
