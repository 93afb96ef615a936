"""Transformer encoders of MiDaS: timm's BEiT and ViT with their position tables resampled as the official code does."""

import functools

import torch
import torch.nn.functional as F
from timm.models.beit import Attention, Beit, gen_relative_position_index
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

EPS = 1e-6
"""Epsilon of every LayerNorm, as timm's entry points set it."""


@functools.lru_cache(maxsize=8)
def relative_index(height: int, width: int, device: torch.device = torch.device("cpu")) -> Tensor:  # noqa: B008
    """For a grid of patches, which row of the relative-position table each pair of tokens reads, (1+h*w, 1+h*w), on the
    device.

    All blocks read the same one, in every pass.
    """
    # an index that inference mode made could not be used in training later
    with torch.inference_mode(False):
        return gen_relative_position_index((height, width)).to(device)


class MidasBeit(Beit):
    """timm's `beit_large_patch16_512` for any grid (isl-org/MiDaS `backbones/beit.py`)."""

    def __init__(self, *, width: int, depth: int, heads: int, grid: int, patch: int, classes: int) -> None:
        super().__init__(
            img_size=grid * patch,
            patch_size=patch,
            num_classes=classes,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            init_values=1e-5,
            use_abs_pos_emb=False,
            use_rel_pos_bias=True,
        )
        self.grid = grid

    def features(self, x: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
        """Raw outputs (B,1+h*w,C) of the tapped blocks, class token first."""
        x = self.patch_embed.proj(x)
        grid = (x.shape[-2], x.shape[-1])
        pairs = self.pairs(grid, x.device)
        x = x.flatten(2).transpose(1, 2)
        # not len(x), which is a number where a graph is traced
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        found = []
        for number, block in enumerate(self.blocks[: taps[-1] + 1]):
            x = self.through(block, x, grid, pairs)
            if number in taps:
                found.append(x)
        return found

    def pairs(self, grid: tuple[int, int], device: torch.device) -> Tensor:
        """Which row of a block's bias table each pair of tokens of a grid reads, (1+h*w, 1+h*w)."""
        return relative_index(*grid, device)

    def through(self, block: nn.Module, x: Tensor, grid: tuple[int, int], pairs: Tensor) -> Tensor:
        """Tokens (B,1+h*w,C) after one of the blocks."""
        x = x + block.gamma_1 * self._attend(block.attn, block.norm1(x), grid, pairs)
        return x + block.gamma_2 * block.mlp(block.norm2(x))

    def _attend(self, attention: Attention, x: Tensor, grid: tuple[int, int], pairs: Tensor) -> Tensor:
        batch, count, channels = x.shape
        bias = torch.cat([attention.q_bias, torch.zeros_like(attention.q_bias), attention.v_bias])
        qkv = (
            F.linear(x, attention.qkv.weight, bias)
            .reshape(batch, count, 3, attention.num_heads, -1)
            .permute(2, 0, 3, 1, 4)
        )
        mixed = F.scaled_dot_product_attention(
            *qkv.unbind(0), attn_mask=self._position_bias(attention, grid, pairs).to(qkv.dtype)
        )
        return attention.proj(mixed.transpose(1, 2).reshape(batch, count, channels))

    def _position_bias(self, attention: Attention, grid: tuple[int, int], pairs: Tensor) -> Tensor:
        """The block's bias table, bilinearly resampled to `grid`, spread over pairs of tokens: (1,heads,N,N)."""
        table, side = attention.relative_position_bias_table.float(), 2 * self.grid - 1
        # the last three rows are class token to patch, patch to class token and class token to itself
        patches = table[:-3].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        patches = F.interpolate(patches, size=(2 * grid[0] - 1, 2 * grid[1] - 1), mode="bilinear")
        table = torch.cat([patches.flatten(2)[0].T, table[-3:]])
        return table[pairs].permute(2, 0, 1)[None]


class MidasVit(VisionTransformer):
    """timm's `vit_large_patch16_384`, position embedding resampled bilinearly (isl-org/MiDaS `backbones/vit.py`)."""

    def __init__(self, *, width: int, depth: int, heads: int, grid: int, patch: int, classes: int) -> None:
        super().__init__(
            img_size=grid * patch,
            patch_size=patch,
            num_classes=classes,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            dynamic_img_size=True,
        )
        self.grid = grid

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Add class token and position embedding to patches (B,h,w,C); returns (B,1+h*w,C)."""
        batch, height, width, channels = x.shape
        table = self.pos_embed[:, 1:].float().reshape(1, self.grid, self.grid, channels).permute(0, 3, 1, 2)
        table = F.interpolate(table, size=(height, width), mode="bilinear").permute(0, 2, 3, 1).reshape(1, -1, channels)
        x = torch.cat([self.cls_token.expand(batch, -1, -1), x.reshape(batch, -1, channels)], dim=1)
        return x + torch.cat([self.pos_embed[:, :1].float(), table], dim=1).to(x.dtype)

    def features(self, x: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
        """Raw outputs (B,1+h*w,C) of the tapped blocks, class token first."""
        x = self.norm_pre(self.patch_drop(self._pos_embed(self.patch_embed(x))))
        found = []
        for number, block in enumerate(self.blocks[: taps[-1] + 1]):
            x = block(x)
            if number in taps:
                found.append(x)
        return found
