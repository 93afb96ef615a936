"""Depth Anything v1 and v2 and Distill Any Depth: one network, every size a number in its config."""

import torch.nn.functional as F
from torch import Tensor, nn

from dad.errors import UserError
from dad.models.config import VitDptConfig
from dad.models.dpt import DPTHead
from dad.models.vit import DinoVisionTransformer


class DepthAnything(nn.Module):
    """ViT encoder (`pretrained`) and DPT decoder (`depth_head`) under the official parameter names.

    The output is relative disparity: >= 0, larger = nearer, of no fixed scale.
    """

    kind = "disparity"

    def __init__(self, config: VitDptConfig) -> None:
        super().__init__()
        self.config = config
        self.pretrained = DinoVisionTransformer(
            width=config.width,
            depth=config.depth,
            heads=config.heads,
            patch=config.patch,
            grid=config.grid,
            layer_scale=config.layer_scale,
            stem=config.stem,
        )
        self.depth_head = DPTHead(config.width, config.reassemble, config.fusion, config.head_hidden)

    @property
    def encoder(self) -> nn.Module:
        """The part that `init: encoder` keeps and that trains at the encoder's rate."""
        return self.pretrained

    @property
    def last_bias(self) -> nn.Parameter:
        """Bias (1,) of the last convolution: where a dead start is cured."""
        return self.depth_head.scratch.output_conv2[2].bias

    def forward(self, x: Tensor, *, with_features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Normalised input (B,3,H,W), H and W multiples of the patch -> disparity (B,1,H,W).

        `with_features` adds the last tap's normalised patch tokens (B,N,C), which feature alignment compares.
        """
        height, width = x.shape[-2:]
        patch = self.config.patch
        if height % patch or width % patch:
            raise UserError(f"input of {height}x{width} pixels: height and width must be multiples of the patch, {patch}")
        features = self.pretrained.features(x, self.config.taps)
        disparity = F.relu(self.depth_head(features, (height, width)))
        return (disparity, tokens(features[-1])) if with_features else disparity

    def encode(self, x: Tensor) -> Tensor:
        """The tokens that `forward(..., with_features=True)` returns, without decoding."""
        return tokens(self.pretrained.features(x, self.config.taps)[-1])


def tokens(feature_map: Tensor) -> Tensor:
    """(B,C,h,w) -> (B,h*w,C)."""
    return feature_map.flatten(2).transpose(1, 2)
