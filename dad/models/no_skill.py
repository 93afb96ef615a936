"""Estimators without skill: what a number is worth that an image had no part in. Every table shows them beside its
rows.

They are disparities, as our students' maps are, and are fitted by the protocol like any other prediction. All protocols
fit disparities by least squares, which has one answer for a constant map: the mean true disparity of the pixels that
the fit sees. So `best constant` means the depth 1 / mean(1 / depth) of each image, its harmonic mean, after the
protocol's floor and clip: the best constant by the protocol's own rule, and not the one with the smallest AbsRel. An
image is looked at for its size only.
"""

import torch
from torch import Tensor

from dad.models.inputs import TakesImages


class Constant(TakesImages):
    """The same disparity everywhere; after the fit it is the mean true disparity of each image."""

    name, kind, patch = "no-skill:constant", "disparity", 1

    def predict(self, rgb: Tensor) -> Tensor:
        """RGB (B,3,H,W) -> ones (B,1,H,W)."""
        return torch.ones_like(rgb[:, :1], dtype=torch.float32)


class Gradient(TakesImages):
    """A fixed ramp from the sky down to the ground: disparity grows evenly from the upper edge (near 0) to the lower
    (near 1).

    It knows that what is low in a picture is near, and nothing of the picture.
    """

    name, kind, patch = "no-skill:gradient", "disparity", 1

    def predict(self, rgb: Tensor) -> Tensor:
        """RGB (B,3,H,W) -> (B,1,H,W), the height of each pixel's centre below the top edge as a share of H, never 0."""
        height, width = rgb.shape[-2:]
        places = (torch.arange(height, dtype=torch.float32, device=rgb.device) + 0.5) / height
        return places[None, None, :, None].expand(len(rgb), 1, height, width).contiguous()
