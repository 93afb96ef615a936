"""Depth Anything v1 and v2 and Distill Any Depth: one network, every size a number in its config."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from dad.models.config import VitDptConfig
from dad.models.dpt import DPTHead
from dad.models.names import depth_anything_names
from dad.models.network import DepthNetwork
from dad.models.policy import InputPolicy
from dad.models.vit import DinoVisionTransformer


class DepthAnything(DepthNetwork):
    """ViT encoder (`pretrained`) and DPT decoder (`depth_head`) under the official parameter names.

    The output is relative disparity: >= 0, larger = nearer, of no fixed scale.
    """

    def __init__(self, config: VitDptConfig) -> None:
        super().__init__()
        self.config = config
        self.policy = InputPolicy(size=config.grid * config.patch, multiple=config.patch, fit="lower")
        self.pretrained = DinoVisionTransformer(
            width=config.width,
            depth=config.depth,
            heads=config.heads,
            patch=config.patch,
            grid=config.grid,
            layer_scale=config.layer_scale,
            stem=config.stem,
        )
        self.depth_head = DPTHead(
            self.pretrained.feature_widths,
            config.reassemble,
            config.fusion,
            config.head_hidden,
            pyramid=self.pretrained.hybrid,
        )

    @property
    def encoder(self) -> nn.Module:
        """The ViT; reassembling is the decoder's."""
        return self.pretrained

    @property
    def last_bias(self) -> nn.Parameter:
        """Bias (1,) of the decoder's last convolution."""
        return self.depth_head.scratch.output_conv2[2].bias

    def forward(self, x: Tensor, *, with_features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Normalised input (B,3,H,W), H and W multiples of the patch -> disparity (B,1,H,W).

        `with_features` adds the last tap's normalised patch tokens (B,N,C), which feature alignment compares.
        """
        self.check_size(x)
        features = self.pretrained.features(x, self.config.taps)
        disparity = F.relu(self.depth_head(features, tuple(x.shape[-2:])))
        return (disparity, tokens(features[-1])) if with_features else disparity

    def encode(self, x: Tensor) -> Tensor:
        """The tokens that `forward(..., with_features=True)` returns, without decoding."""
        return tokens(self.pretrained.features(x, self.config.taps)[-1])

    def from_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Depth Anything's names, Distill Any Depth's renamed ones (large class) and both Hugging Face spellings."""
        return depth_anything_names(state)


def tokens(feature_map: Tensor) -> Tensor:
    """(B,C,h,w) -> (B,h*w,C)."""
    return feature_map.flatten(2).transpose(1, 2)
