"""Depth Anything with the official code's position embeddings. Needs transformers and torch, and
`trust_remote_code=True`.

transformers' own class resamples the position embedding by another rule than the official code wherever the input's
grid is not the stored one; this subclass does what the official code does. Without `trust_remote_code` transformers
takes its own class.
"""

from typing import Any

import torch
import torch.nn.functional as F
import transformers
from transformers import DepthAnythingConfig


class DepthAnythingForDepthEstimation(transformers.DepthAnythingForDepthEstimation):
    """transformers' network. Where the stored position embedding is resampled to the input's grid, the one (1,1+G*G,C)
    that was trained lies beside it as `position_table`.
    """

    config_class = DepthAnythingConfig

    def __init__(self, config: DepthAnythingConfig) -> None:
        super().__init__(config)
        self.patch, self.grid = config.patch_size, config.trained_grid
        backbone = config.backbone_config
        stored = self.grid == backbone.image_size // config.patch_size
        table = None if stored else torch.nn.Parameter(torch.zeros(1, 1 + self.grid**2, backbone.hidden_size))
        self.register_parameter("position_table", table)
        self.backbone.embeddings.interpolate_pos_encoding = self._positions
        self.post_init()

    def _positions(self, _: torch.Tensor, height: int, width: int) -> torch.Tensor:
        table = self.backbone.embeddings.position_embeddings if self.position_table is None else self.position_table
        rows, columns, grid = height // self.patch, width // self.patch, self.grid
        if rows == grid and columns == grid:
            return table
        patches = table[:, 1:].float().reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
        # the official code hands over a scale factor with an offset of 0.1, and not the size
        factor = ((rows + 0.1) / grid, (columns + 0.1) / grid)
        patches = F.interpolate(patches, scale_factor=factor, mode="bicubic", antialias=False)
        return torch.cat([table[:, :1].float(), patches.flatten(2).transpose(1, 2)], dim=1).to(table.dtype)

    def _init_weights(self, module: Any) -> None:
        """Weights always come from the file."""
