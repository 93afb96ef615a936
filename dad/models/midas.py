"""MiDaS v3.0 and v3.1 with transformer encoders: DPT-L-384, BEiT-L-512 and small networks of the same classes."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dad.errors import UserError
from dad.models.config import MidasDptConfig
from dad.models.midas_decoder import MidasDecoder
from dad.models.midas_encoders import MidasBeit, MidasVit, relative_index
from dad.models.midas_names import is_transformers_dpt, midas_names, with_unused
from dad.models.network import DepthNetwork
from dad.models.policy import HALF, InputPolicy


class ProjectReadout(nn.Module):
    """Tokens (B,1+N,C), class token first -> (B,N,C): each patch token is joined with the class token and projected."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(2 * width, width), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        """Project."""
        patches = x[:, 1:]
        return self.project(torch.cat([patches, x[:, :1].expand_as(patches)], dim=-1))


class MidasDpt(DepthNetwork):
    """Encoder (`pretrained.model`), reassembling (`pretrained.act_postprocess*`) and decoder (`scratch`) under the
    official names.

    The output is relative disparity: >= 0, larger = nearer, of no fixed scale.
    """

    def __init__(self, config: MidasDptConfig) -> None:
        super().__init__()
        self.config = config
        size = config.grid * config.patch
        self.policy = InputPolicy(size=size, multiple=32, fit="minimal", mean=HALF, std=HALF, back="bicubic")
        encoder = MidasBeit if config.encoder == "beit" else MidasVit
        self.pretrained = nn.Module()
        self.pretrained.model = encoder(
            width=config.width,
            depth=config.depth,
            heads=config.heads,
            grid=config.grid,
            patch=config.patch,
            classes=config.classes,
        )
        c1, c2, c3, c4 = config.reassemble
        resize = [
            nn.ConvTranspose2d(c1, c1, 4, stride=4),
            nn.ConvTranspose2d(c2, c2, 2, stride=2),
            None,
            nn.Conv2d(c4, c4, 3, 2, 1),
        ]
        for level, (channels, layer) in enumerate(zip((c1, c2, c3, c4), resize, strict=True), 1):
            # positions 1 and 2 of the official sequence transpose and unflatten tokens, and hold no weights
            parts = [ProjectReadout(config.width), nn.Identity(), nn.Identity(), nn.Conv2d(config.width, channels, 1)]
            setattr(self.pretrained, f"act_postprocess{level}", nn.Sequential(*parts, *([layer] if layer else [])))
        self.scratch = MidasDecoder(config.reassemble, config.fusion, head=config.fusion // 2)
        for unused in ("head", "norm", "fc_norm"):
            getattr(self.encoder, unused, nn.Identity()).requires_grad_(False)

    @property
    def encoder(self) -> nn.Module:
        """The transformer alone: the readout projections belong to reassembling, the decoder's as in Depth Anything."""
        return self.pretrained.model

    @property
    def last_bias(self) -> nn.Parameter:
        """Bias (1,) of the decoder's last convolution."""
        return self.scratch.output_conv[4].bias

    def forward(self, x: Tensor, *, with_features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Normalised input (B,3,H,W), H and W multiples of the patch -> disparity (B,1,H,W).

        `with_features` adds the last tap's patch tokens (B,N,C).
        """
        self.check_size(x)
        grid = (x.shape[-2] // self.config.patch, x.shape[-1] // self.config.patch)
        taps = self.encoder.features(x, self.config.taps)
        maps = []
        for level, tap in enumerate(taps, 1):
            steps = getattr(self.pretrained, f"act_postprocess{level}")
            maps.append(steps[3:](steps[0](tap).transpose(1, 2).unflatten(2, grid)))
        disparity = self.scratch(maps)
        return (disparity, taps[-1][:, 1:]) if with_features else disparity

    def encode(self, x: Tensor) -> Tensor:
        """The last tap's patch tokens (B,N,C), without decoding."""
        return self.encoder.features(x, self.config.taps)[-1][:, 1:]

    def from_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Official BEiT files carry the index tables of their 24 blocks, which follow from the grid; anything else
        there is refused. transformers' names are read too.
        """
        if is_transformers_dpt(state):
            state = with_unused(midas_names(state), self.state_dict())
        kept = {}
        for key, value in state.items():
            if not (self.config.encoder == "beit" and key.endswith(".attn.relative_position_index")):
                kept[key] = value
            elif not torch.equal(value.long(), relative_index(self.config.grid, self.config.grid)):
                raise UserError(
                    f"{key} is not the index table of a grid of {self.config.grid} patches: the file is for another "
                    "input size"
                )
        return kept

    def to_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Adds the index tables again."""
        if self.config.encoder != "beit":
            return dict(state)
        index = relative_index(self.config.grid, self.config.grid)
        tables = {
            f"pretrained.model.blocks.{block}.attn.relative_position_index": index for block in range(self.config.depth)
        }
        return dict(state) | tables
