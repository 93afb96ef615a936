"""MiDaS's transformer networks by the official code's rules. Needs transformers and torch, and
`trust_remote_code=True`.

transformers' own class doubles maps in its decoder and makes the next ones fit, where the official code enlarges them
to the next ones' size; over a ViT it takes square inputs only. This subclass takes the inputs that the official code
takes, and gives its maps. Without `trust_remote_code` transformers takes its own class.
"""

from typing import Any

import torch
import torch.nn.functional as F
import transformers
from transformers import DPTConfig
from transformers.modeling_outputs import DepthEstimatorOutput


class DPTForDepthEstimation(transformers.DPTForDepthEstimation):
    """transformers' network over ViT, BEiT or Swin v2, with the official decoder's sizes."""

    config_class = DPTConfig

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> DepthEstimatorOutput:
        """Normalised input (B,3,H,W), sides multiples of 16 (over Swin v2: the one size) -> predicted_depth (B,H,W)."""
        if self.backbone is None:
            patch, taps = self.config.patch_size, self.config.backbone_out_indices
            blocks = self.dpt(pixel_values, output_hidden_states=True).hidden_states[1:]
            maps = [blocks[tap] for tap in taps]
        else:
            patch = self.config.backbone_config.patch_size
            maps = self.backbone(pixel_values).feature_maps
        neck = self.neck
        if neck.reassemble_stage is not None:
            maps = neck.reassemble_stage(maps, pixel_values.shape[-2] // patch, pixel_values.shape[-1] // patch)
        levels = [convolution(level) for convolution, level in zip(neck.convs, maps, strict=True)]
        height, width = levels[0].shape[-2:]
        sizes = [(2 * height, 2 * width), *(level.shape[-2:] for level in levels[:-1])]
        path = None
        for layer, skip, size in zip(neck.fusion_stage.layers, levels[::-1], sizes[::-1], strict=True):
            path = skip if path is None else path + layer.residual_layer1(skip)
            path = layer.residual_layer2(path)
            path = layer.projection(F.interpolate(path, size=tuple(size), mode="bilinear", align_corners=True))
        return DepthEstimatorOutput(predicted_depth=self.head([path]))

    def _init_weights(self, module: Any) -> None:
        """Weights always come from the file."""
