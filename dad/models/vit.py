"""The DINOv2 vision transformer: timm's, with the position embedding resampled as the official code does."""

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from dad.models.linear import widen


class ConvStem(nn.Module):
    """Convolutional stages of halving resolution, (B,3,H,W) -> (B,width,H/patch,W/patch), with the maps of the last
    three strides.

    Two 3x3 convolutions with group normalisation per stage; channels double from stage to stage and end at `width`.
    """

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        count = patch.bit_length() - 1
        self.channels = [width >> (count - 1 - stage) for stage in range(count)]
        self.stages = nn.ModuleList(
            nn.Sequential(*_conv(before, after, stride=2), *_conv(after, after, stride=1))
            for before, after in itertools.pairwise([3, *self.channels])
        )

    def maps(self, x: Tensor) -> list[Tensor]:
        """The output of every stage, fine to coarse."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """The coarsest map."""
        return self.maps(x)[-1]


def _conv(before: int, after: int, *, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride=stride, padding=1), nn.GroupNorm(4, after), nn.GELU()]


class DinoVisionTransformer(VisionTransformer):
    """timm's `vit_*_patch14_dinov2` under the official parameter names.

    Differs from timm in one thing that changes every prediction away from the stored grid: the official code hands
    bicubic interpolation a scale factor of (g + 0.1) / G instead of the size g, without antialiasing
    (facebookresearch/dinov2 `vision_transformer.py`, Depth-Anything-V2 `dinov2.py`). `mask_token` is in every official
    file and never used.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        patch: int,
        grid: int,
        layer_scale: float,
        stem: Literal["patch", "hybrid"] = "patch",
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
        self.hybrid = stem == "hybrid"
        if self.hybrid:
            self.patch_embed.proj = ConvStem(width, patch)
        self.grid = grid
        self.mask_token = nn.Parameter(torch.zeros(1, width), requires_grad=False)
        widen(self)

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
        """Patch tokens of the tapped blocks after the shared final LayerNorm, each (B,C,h,w).

        With a hybrid stem the first two are the stem's maps at strides patch/4 and patch/2 instead, as DPT-Hybrid reads
        its ResNet's.
        """
        if not self.hybrid:
            return self.forward_intermediates(
                x, indices=list(taps), norm=True, output_fmt="NCHW", intermediates_only=True
            )
        maps = self.patch_embed.proj.maps(x)
        grid = maps[-1].permute(0, 2, 3, 1)
        tapped = []
        tokens = self._pos_embed(grid)
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in taps[2:]:
                tapped.append(self.norm(tokens)[:, 1:].reshape(grid.shape).permute(0, 3, 1, 2))
        return [maps[-3], maps[-2], *tapped]

    @property
    def feature_widths(self) -> tuple[int, int, int, int]:
        """Channels of the four maps that `features` returns."""
        width = self.embed_dim
        return (width // 4, width // 2, width, width) if self.hybrid else (width, width, width, width)
