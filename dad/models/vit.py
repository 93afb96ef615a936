"""The DINOv2 vision transformer: timm's, with the position embedding resampled as the official code does."""

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn


def conv_stem(width: int, patch: int) -> nn.Sequential:
    """Strided 3x3 convolutions with group normalisation, (B,3,H,W) -> (B,width,H/patch,W/patch)."""
    steps = patch.bit_length() - 1
    channels = [3, *(max(8, width >> (steps - step)) for step in range(1, steps + 1))]
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(1, after), nn.GELU()]
    return nn.Sequential(*layers, nn.Conv2d(width, width, 1))


class DinoVisionTransformer(VisionTransformer):
    """timm's `vit_*_patch14_dinov2` under the official parameter names.

    Differs from timm in one thing that changes every prediction away from the stored grid: the official code hands bicubic
    interpolation a scale factor of (g + 0.1) / G instead of the size g, without antialiasing (facebookresearch/dinov2
    `vision_transformer.py`, Depth-Anything-V2 `dinov2.py`). `mask_token` is in every official file and never used.
    """

    def __init__(
        self, *, width: int, depth: int, heads: int, patch: int, grid: int, layer_scale: float, stem: Literal["patch", "conv"] = "patch"
    ) -> None:
        super().__init__(
            img_size=grid * patch,
            patch_size=patch,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            num_classes=0,
            init_values=layer_scale,
            dynamic_img_size=True,
        )
        if stem == "conv":
            self.patch_embed.proj = conv_stem(width, patch)
        self.grid = grid
        self.mask_token = nn.Parameter(torch.zeros(1, width), requires_grad=False)

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Add class token and position embedding to patches (B,h,w,C); returns (B,1+h*w,C)."""
        batch, height, width, channels = x.shape
        x = torch.cat([self.cls_token.expand(batch, -1, -1), x.reshape(batch, height * width, channels)], dim=1)
        # the official test compares the patch count and asks for a square input
        if height * width == self.grid**2 and height == width:
            return x + self.pos_embed
        patches = self.pos_embed[:, 1:].float().reshape(1, self.grid, self.grid, channels).permute(0, 3, 1, 2)
        factor = ((height + 0.1) / self.grid, (width + 0.1) / self.grid)
        patches = F.interpolate(patches, scale_factor=factor, mode="bicubic", antialias=False)
        patches = patches.permute(0, 2, 3, 1).reshape(1, height * width, channels)
        return x + torch.cat([self.pos_embed[:, :1].float(), patches], dim=1).to(x.dtype)

    def features(self, x: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
        """Patch tokens of the tapped blocks after the shared final LayerNorm, each (B,C,h,w)."""
        return self.forward_intermediates(x, indices=list(taps), norm=True, output_fmt="NCHW", intermediates_only=True)
