"""GenPercept's DPT head on a diffusion UNet's features (aim-uofa/GenPercept `models/dpt_head.py`, Identity variant)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3x3, without biases."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.convolution2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Residual update of x."""
        return x + self.convolution2(F.relu(self.convolution1(F.relu(x))))


class Fusion(nn.Module):
    """Add the refined skip connection, refine, upsample by 2 (align_corners=True), then a 1x1 convolution."""

    def __init__(self, channels: int, *, skip: bool) -> None:
        super().__init__()
        self.projection = nn.Conv2d(channels, channels, 1)
        if skip:
            self.residual_layer1 = Residual(channels)
        self.residual_layer2 = Residual(channels)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """x (B,C,h,w) and a skip resized to it where it differs -> (B,C,2h,2w)."""
        if skip is not None:
            if skip.shape != x.shape:
                skip = F.interpolate(skip, size=x.shape[-2:], mode="bilinear", align_corners=False)
            x = x + self.residual_layer1(skip)
        x = self.residual_layer2(x)
        return self.projection(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))


class UnetDptHead(nn.Module):
    """Features of the UNet's up blocks (B,C_i,h_i,w_i), finest first -> one unbounded channel (B,1,8h,8w), h,w the
    latent's.

    The finest two features have the same resolution, so the first is upsampled once more.
    """

    def __init__(self, channels: tuple[int, ...], fusion: int) -> None:
        super().__init__()
        self.feature_upsample_0 = nn.Module()
        self.feature_upsample_0.conv = nn.Conv2d(channels[0], channels[0], 3, padding=1)
        self.neck = nn.Module()
        self.neck.convs = nn.ModuleList([nn.Conv2d(width, fusion, 3, padding=1, bias=False) for width in channels])
        self.neck.fusion_stage = nn.Module()
        self.neck.fusion_stage.layers = nn.ModuleList(
            [Fusion(fusion, skip=level > 0) for level in range(len(channels))]
        )
        self.head = nn.Module()
        self.head.projection = nn.Conv2d(fusion, fusion, 3, padding=1)
        self.head.head = nn.Sequential(
            nn.Conv2d(fusion, fusion // 2, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            nn.Conv2d(fusion // 2, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 1, 1),
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse and read out."""
        finest = self.feature_upsample_0.conv(F.interpolate(features[0], scale_factor=2.0, mode="nearest"))
        levels = [conv(feature) for conv, feature in zip(self.neck.convs, [finest, *features[1:]], strict=True)]
        x, skip = levels[-1], None
        for layer, following in zip(self.neck.fusion_stage.layers, [*levels[-2::-1], None], strict=True):
            x, skip = layer(x, skip), following
        return self.head.head(F.relu(self.head.projection(x)))
