"""The decoders of MiDaS: four feature maps, fused from deep to shallow, read out at twice the shallowest resolution.

Source: isl-org/MiDaS `midas/blocks.py`, `dpt_depth.py`, `midas_net.py`, `midas_net_custom.py`; parameter names are the
official ones.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dad.models.dpt import ResidualConvUnit


class ReluResidualConvUnit(ResidualConvUnit):
    """v2.1 large applies its ReLU in place, so what is added back is relu(x), not x."""

    def forward(self, x: Tensor) -> Tensor:
        """Residual update of relu(x)."""
        return super().forward(F.relu(x))


class FusionBlock(nn.Module):
    """Add the refined skip connection, refine, upsample (align_corners=True), and project where the variant does."""

    def __init__(
        self, channels: int, *, projected: int | None, unit: type[ResidualConvUnit] = ResidualConvUnit
    ) -> None:
        super().__init__()
        self.resConfUnit1 = unit(channels)
        self.resConfUnit2 = unit(channels)
        self.out_conv = nn.Identity() if projected is None else nn.Conv2d(channels, projected, 1)

    def forward(self, x: Tensor, skip: Tensor | None, size: tuple[int, int]) -> Tensor:
        """x (B,C,h,w) and the skip of the same shape (None at the deepest level) -> (B,projected,*size)."""
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        x = self.resConfUnit2(x)
        return self.out_conv(F.interpolate(x, size=size, mode="bilinear", align_corners=True))


class MidasDecoder(nn.Module):
    """The official `scratch`: four maps of `channels`, shallow to deep -> (B,1,2h,2w) after the final ReLU, h,w twice
    the shallowest's.

    `widening` is v2.1 small: 1, 2, 4, 8 times `fusion` channels from shallow to deep. `projected` says whether fusion
    ends in a 1x1 convolution. `head` is the width of the head's first convolution, `align_corners` that of the head's
    upsampling.
    """

    def __init__(
        self,
        channels: tuple[int, int, int, int],
        fusion: int,
        *,
        head: int,
        widening: bool = False,
        projected: bool = True,
        align_corners: bool = True,
        unit: type[ResidualConvUnit] = ResidualConvUnit,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        for level, width in enumerate(channels, 1):
            own = fusion * 2 ** (level - 1) if widening else fusion
            out = own // 2 if widening and level > 1 else own
            setattr(self, f"layer{level}_rn", nn.Conv2d(width, own, 3, padding=1, bias=False))
            setattr(self, f"refinenet{level}", FusionBlock(own, projected=out if projected else None, unit=unit))
        self.output_conv = nn.Sequential(
            nn.Conv2d(fusion, head, 3, padding=1),
            nn.Identity(),
            nn.Conv2d(head, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 1, 1),
            nn.ReLU(),
        )
        # the deepest level has no skip connection: official files hold these weights, nothing uses them
        self.refinenet4.resConfUnit1.requires_grad_(False)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Decode four maps (B,C_i,h_i,w_i), shallow to deep."""
        levels = [getattr(self, f"layer{i}_rn")(feature) for i, feature in enumerate(features, 1)]
        shapes = [tuple(level.shape[-2:]) for level in levels]
        path = self.refinenet4(levels[3], None, shapes[2])
        path = self.refinenet3(path, levels[2], shapes[1])
        path = self.refinenet2(path, levels[1], shapes[0])
        path = self.refinenet1(path, levels[0], (2 * shapes[0][0], 2 * shapes[0][1]))
        return self.read_out(path)

    def read_out(self, path: Tensor) -> Tensor:
        """The last convolutions: (B,fusion,h,w) -> (B,1,2h,2w)."""
        path = self.output_conv[0](path)
        path = F.interpolate(path, scale_factor=2, mode="bilinear", align_corners=self.align_corners)
        return self.output_conv[2:](path)
