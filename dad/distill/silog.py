"""SILog: a loss without normalization that compares logarithms. Not in the paper; rows of our own compare with it."""

import torch
from torch import Tensor

from dad.distill.normalization import check_maps
from dad.distill.reduction import SMALLEST_WEIGHT, weighted_pixels

SILOG_VARIANCE = 0.5
"""lambda of SILog: 1 leaves a map's scale free, 0 fixes it (Eigen et al. 2014 and all who distil with it take 0.5)."""
SILOG_FLOOR = 1e-3
"""What is added to both maps before the logarithm, in means of the label: the sky's disparity is 0."""


def silog_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    variant: str = "hdn",
    weight: Tensor | None = None,
) -> Tensor:
    """Scale-invariant logarithmic loss, sqrt(mean d^2 - lambda (mean d)^2), d = log prediction - log target, lambda =
    0.5.

    Source: Eigen et al. 2014, equation 4; the square root and lambda as in Depth-Anything-V2
    `metric_depth/util/loss.py`, as those who distil Depth Anything 3 take it. Written for depth; disparity is its
    inverse, which changes only d's sign. Labels of free scale have no metre in which to state a smallest value, so both
    maps, negative values as 0, are raised by `SILOG_FLOOR` times the image's mean label before the logarithm. Arguments
    and errors as in `distillation_loss`; `hdn`: one value over the batch's valid pixels, as upstream; `paper`: one per
    image, averaged. A batch without a valid pixel gives 0.
    """
    sums, counts = log_sums(prediction, target, mask, weight)
    return reduce_silog(sums, counts, variant)


def logarithms(prediction: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The logarithms (B,1,H,W) of both maps, raised by the floor, and the mask."""
    prediction, target, mask = check_maps(prediction, target, mask)
    counts = mask.flatten(1).sum(1).clamp(min=1)
    label = target.clamp(min=0)
    floor = (SILOG_FLOOR * label.flatten(1).sum(1) / counts).clamp(min=1e-12)[:, None, None, None]
    return (prediction.clamp(min=0) + floor).log(), (label + floor).log(), mask


def log_sums(prediction: Tensor, target: Tensor, mask: Tensor | None, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Per image: the sums of d and of its square (B,2), and the number of valid pixels (B,)."""
    with torch.autocast(prediction.device.type, enabled=False):
        student, teacher, mask = logarithms(prediction, target, mask)
        weighted, counts = weighted_pixels(mask, weight)
        difference = torch.where(mask, student - teacher, 0.0).flatten(1)
        return torch.stack([(difference * weighted).sum(1), (difference.square() * weighted).sum(1)], 1), counts


def reduce_silog(sums: Tensor, counts: Tensor, variant: str) -> Tensor:
    """Sums (B,...,2) and counts (B,...) per image, images first, to one loss (per entry of the other dimensions)."""

    def root(sums: Tensor, counts: Tensor) -> Tensor:
        mean, square = (sums / counts.clamp(min=SMALLEST_WEIGHT)[..., None]).unbind(-1)
        spread = square - SILOG_VARIANCE * mean.square()
        # at a perfect match the root has no slope; below 1e-12 the loss is counted as 0
        return torch.where(spread > 1e-12, spread.clamp(min=1e-12).sqrt(), 0.0)

    if variant == "hdn":
        return root(sums.sum(0), counts.sum(0))
    return (root(sums, counts) * (counts > 0)).sum(0) / (counts > 0).sum(0).clamp(min=1)
