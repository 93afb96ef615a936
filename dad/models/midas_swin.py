"""MiDaS v3.1 with a Swin v2 encoder (Swin2-T-256)."""

import re
from collections.abc import Mapping

import torch
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import Tensor, nn

from dad.errors import UserError
from dad.models.config import MidasSwinConfig
from dad.models.midas_decoder import MidasDecoder
from dad.models.midas_names import is_transformers_dpt, midas_names, with_unused
from dad.models.network import DepthNetwork
from dad.models.policy import HALF, InputPolicy


class MidasSwin(DepthNetwork):
    """Encoder (`pretrained.model`, timm's names), decoder (`scratch`) for one square size; relative disparity >= 0."""

    def __init__(self, config: MidasSwinConfig) -> None:
        super().__init__()
        self.config = config
        self.policy = InputPolicy(
            size=config.size, multiple=config.size, fit="square", mean=HALF, std=HALF, back="bicubic"
        )
        self.pretrained = nn.Module()
        self.pretrained.model = SwinTransformerV2(
            img_size=config.size,
            window_size=config.window,
            embed_dim=config.width,
            depths=config.depths,
            num_heads=config.heads,
            num_classes=config.classes,
        )
        channels = tuple(config.width * 2**stage for stage in range(4))
        self.scratch = MidasDecoder(channels, config.fusion, head=config.fusion // 2)
        self.encoder.head.requires_grad_(False)
        self.encoder.norm.requires_grad_(False)

    @property
    def encoder(self) -> nn.Module:
        """The transformer."""
        return self.pretrained.model

    @property
    def last_bias(self) -> nn.Parameter:
        """Bias (1,) of the decoder's last convolution."""
        return self.scratch.output_conv[4].bias

    def forward(self, x: Tensor, *, with_features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Normalised input (B,3,S,S) of the network's one size -> disparity (B,1,S,S).

        `with_features` adds the last stage's tokens.
        """
        maps = self._stages(x)
        disparity = self.scratch(maps)
        return (disparity, maps[-1].flatten(2).transpose(1, 2)) if with_features else disparity

    def encode(self, x: Tensor) -> Tensor:
        """The last stage's tokens (B,N,C), without decoding."""
        return self._stages(x)[-1].flatten(2).transpose(1, 2)

    def _stages(self, x: Tensor) -> list[Tensor]:
        if tuple(x.shape[-2:]) != (self.config.size, self.config.size):
            raise UserError(
                f"input of {x.shape[-2]}x{x.shape[-1]} pixels: this Swin network takes "
                f"{self.config.size}x{self.config.size} only"
            )
        x = self.encoder.patch_embed(x)
        found = []
        for stage in self.encoder.layers:
            x = stage(x)
            found.append(x.permute(0, 3, 1, 2))
        return found

    def from_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Official files merge patches at the end of a stage and call the classifier `head`; they carry window masks,
        which follow from the size. transformers' names are read too.
        """
        if is_transformers_dpt(state):
            state = with_unused(midas_names(state), self.to_official(self.state_dict()))
        named, masks = {}, self._masks()
        for key, value in state.items():
            if key in masks:
                if not torch.equal(value.float(), masks[key].to(value.device)):
                    raise UserError(
                        f"{key} is not the mask of this network's windows: the file is for another input size"
                    )
                continue
            key = re.sub(r"layers\.(\d)\.downsample", lambda match: f"layers.{int(match[1]) + 1}.downsample", key)
            named[key.replace("pretrained.model.head.", "pretrained.model.head.fc.")] = value
        return named

    def to_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse."""
        named = {}
        for key, value in state.items():
            key = re.sub(r"layers\.(\d)\.downsample", lambda match: f"layers.{int(match[1]) - 1}.downsample", key)
            named[key.replace("pretrained.model.head.fc.", "pretrained.model.head.")] = value
        return named | self._masks()

    def _masks(self) -> dict[str, Tensor]:
        found = {}
        for stage, layer in enumerate(self.encoder.layers):
            for number, block in enumerate(layer.blocks):
                if block.attn_mask is not None:
                    found[f"pretrained.model.layers.{stage}.blocks.{number}.attn_mask"] = (
                        block.attn_mask.detach().float()
                    )
        return found
