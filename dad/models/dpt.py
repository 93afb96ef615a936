"""The DPT decoder of Depth Anything: reassemble four feature maps, fuse them from deep to shallow, read out one
channel.

Source: Depth-Anything-V2 `depth_anything_v2/dpt.py` and `util/blocks.py`; parameter names are the official ones.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualConvUnit(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3x3, with biases and without normalisation; (B,C,h,w) -> (B,C,h,w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Residual update of x."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x)), inplace=True))


class FeatureFusionBlock(nn.Module):
    """Add the refined skip connection, refine, upsample to `size` (align_corners=True), then a 1x1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(channels, channels, 1)
        self.resConfUnit1 = ResidualConvUnit(channels)
        self.resConfUnit2 = ResidualConvUnit(channels)

    def forward(self, x: Tensor, skip: Tensor | None, size: tuple[int, int]) -> Tensor:
        """x (B,C,h,w) and the skip of the same shape (None at the deepest level) -> (B,C,*size)."""
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        x = self.resConfUnit2(x)
        return self.out_conv(F.interpolate(x, size=size, mode="bilinear", align_corners=True))


def readout(fusion: int, hidden: int) -> nn.Sequential:
    """The last two convolutions, for one map: (B,fusion/2,H,W) -> (B,1,H,W)."""
    return nn.Sequential(nn.Conv2d(fusion // 2, hidden, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(hidden, 1, 1))


class DPTHead(nn.Module):
    """Four feature maps (B,widths[i],gh,gw) -> (B,1,height,width) before the final ReLU.

    `pyramid`: the first two maps have four and two times the resolution of the others already and are not enlarged.
    """

    def __init__(
        self, widths: tuple[int, ...], reassemble: tuple[int, ...], fusion: int, hidden: int, *, pyramid: bool = False
    ) -> None:
        super().__init__()
        self.projects = nn.ModuleList(
            [nn.Conv2d(width, channels, 1) for width, channels in zip(widths, reassemble, strict=True)]
        )
        c1, c2, _, c4 = reassemble
        self.resize_layers = nn.ModuleList(
            [
                nn.Identity() if pyramid else nn.ConvTranspose2d(c1, c1, 4, stride=4),
                nn.Identity() if pyramid else nn.ConvTranspose2d(c2, c2, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(c4, c4, 3, stride=2, padding=1),
            ]
        )
        self.scratch = nn.Module()
        for level, channels in enumerate(reassemble, 1):
            setattr(self.scratch, f"layer{level}_rn", nn.Conv2d(channels, fusion, 3, padding=1, bias=False))
            setattr(self.scratch, f"refinenet{level}", FeatureFusionBlock(fusion))
        self.scratch.output_conv1 = nn.Conv2d(fusion, fusion // 2, 3, padding=1)
        self.scratch.output_conv2 = nn.Sequential(*readout(fusion, hidden), nn.ReLU(), nn.Identity())
        # the deepest level has no skip connection: official files hold these weights, nothing uses them
        self.scratch.refinenet4.resConfUnit1.requires_grad_(False)

    def forward(self, features: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Decode to `size` pixels; (B,1,*size), before the final ReLU."""
        return self.read_out(self.fused(features, size))

    def read_out(self, x: Tensor) -> Tensor:
        """The last convolutions: (B,fusion/2,H,W) -> (B,1,H,W)."""
        return self.scratch.output_conv2[:3](x)

    def fused(self, features: list[Tensor], size: tuple[int, int]) -> Tensor:
        """What the last convolutions read: (B,fusion/2,*size)."""
        scratch = self.scratch
        levels = [
            getattr(scratch, f"layer{level}_rn")(resize(project(feature)))
            for level, (feature, project, resize) in enumerate(
                zip(features, self.projects, self.resize_layers, strict=True), 1
            )
        ]
        shapes = [tuple(level.shape[-2:]) for level in levels]
        path = scratch.refinenet4(levels[3], None, shapes[2])
        path = scratch.refinenet3(path, levels[2], shapes[1])
        path = scratch.refinenet2(path, levels[1], shapes[0])
        path = scratch.refinenet1(path, levels[0], (2 * shapes[0][0], 2 * shapes[0][1]))
        return F.interpolate(scratch.output_conv1(path), size=size, mode="bilinear", align_corners=True)
