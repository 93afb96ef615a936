"""Depth Anything 3's monocular network (DA3MONO-LARGE): a DINOv2 ViT, a DPT decoder, and beside the map of depth one of
sky.

Source: ByteDance-Seed/Depth-Anything-3, `model/da3.py`, `model/dpt.py`, `configs/da3mono-large.yaml` (Apache-2.0). Of
its many views this is the case of one: attention stays within the image, and there are no cameras.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dad.models.config import DepthAnything3Config
from dad.models.depth_anything import tokens
from dad.models.dpt import DPTHead, readout
from dad.models.network import DepthNetwork
from dad.models.policy import InputPolicy
from dad.models.vit import DinoVisionTransformer

SKY = 0.3
"""The official code takes for sky what has this value or more in the sky's map."""
_FINAL_NORM_EPS = 1e-5
"""The official ViT's last LayerNorm has PyTorch's epsilon, its blocks have DINOv2's 1e-6."""
_PUBLISHED = "model."
"""Published files hold the network inside another module."""


def disparity_of(logits: Tensor, sky: Tensor) -> Tensor:
    """Relative disparity of the decoder's output, whose exponential is depth, and of the map of sky; all (B,1,H,W).

    The rule for sky: it is infinitely far, disparity 0, as in the rendered scenes. The official code gives it the 99th
    percentile of the image's other depths instead, which as a label would be a wall at a distance that changes from
    crop to crop.
    """
    return torch.where(sky < SKY, torch.exp(-logits), 0.0)


class DepthAnything3(DepthNetwork):
    """ViT encoder (`backbone.pretrained`) and DPT decoder (`head`) under the official parameter names.

    The official network predicts depth; here the output is its inverse, disparity, >= 0 and of no fixed scale, as of
    every other family: one rule for labels, students and scores. `depth_and_sky` gives the official maps.
    """

    def __init__(self, config: DepthAnything3Config) -> None:
        super().__init__()
        self.config = config
        self.policy = InputPolicy(size=504, multiple=config.patch, fit="area")
        self.backbone = nn.Module()
        self.backbone.pretrained = DinoVisionTransformer(
            width=config.width,
            depth=config.depth,
            heads=config.heads,
            patch=config.patch,
            grid=config.grid,
            layer_scale=1.0,
        )
        del self.backbone.pretrained.mask_token
        self.backbone.pretrained.norm.eps = _FINAL_NORM_EPS
        self.head = DPTHead(self.encoder.feature_widths, config.reassemble, config.fusion, config.head_hidden)
        scratch = self.head.scratch
        del scratch.refinenet4.resConfUnit1
        scratch.output_conv2 = readout(config.fusion, config.head_hidden)
        scratch.sky_output_conv2 = readout(config.fusion, config.head_hidden)

    @property
    def encoder(self) -> DinoVisionTransformer:
        """The ViT; reassembling is the decoder's."""
        vit: DinoVisionTransformer = self.backbone.pretrained
        return vit

    @property
    def last_bias(self) -> nn.Parameter:
        """Bias (1,) of the decoder's last convolution."""
        return self.head.scratch.output_conv2[2].bias

    def forward(self, x: Tensor, *, with_features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Normalised input (B,3,H,W), H and W multiples of the patch -> disparity (B,1,H,W), 0 in the sky.

        `with_features` adds the last tap's normalised patch tokens (B,N,C), which feature alignment compares.
        """
        self.check_size(x)
        features = self.encoder.features(x, self.config.taps)
        logits, sky = self._decoded(features, (x.shape[-2], x.shape[-1]))
        disparity = disparity_of(logits, sky)
        return (disparity, tokens(features[-1])) if with_features else disparity

    def depth_and_sky(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The official outputs for a normalised input (B,3,H,W), before sky is given a depth: both (B,1,H,W)."""
        logits, sky = self._decoded(self.encoder.features(x, self.config.taps), (x.shape[-2], x.shape[-1]))
        return torch.exp(logits), sky

    def _decoded(self, features: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        fused = self.head.fused(features, size)
        return self.head.scratch.output_conv2(fused), F.relu(self.head.scratch.sky_output_conv2(fused))

    def encode(self, x: Tensor) -> Tensor:
        """The tokens that `forward(..., with_features=True)` returns, without decoding."""
        return tokens(self.encoder.features(x, self.config.taps)[-1])

    def from_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published files' names, with the prefix of the module that they hold the network in, or without it."""
        return {key.removeprefix(_PUBLISHED): value for key, value in state.items()}

    def to_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `from_official`."""
        return {f"{_PUBLISHED}{key}": value for key, value in state.items()}
