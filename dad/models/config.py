"""Descriptions of networks, as data. No torch here: the study and the command line read these."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class VitDptConfig(BaseModel):
    """A DINOv2-style ViT with a DPT decoder (Depth Anything v1 and v2, Distill Any Depth; see Depth-Anything-V2 `dpt.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["vit-dpt"] = "vit-dpt"
    width: Annotated[int, Field(gt=0)]
    """Token dimension of the ViT."""
    depth: Annotated[int, Field(gt=0)]
    """Number of transformer blocks."""
    heads: Annotated[int, Field(gt=0)]
    """Attention heads per block; must divide `width`."""
    taps: tuple[int, int, int, int]
    """0-based blocks whose output the decoder reads, shallow to deep (v1: the last four; v2: spread over the depth)."""
    patch: Annotated[int, Field(gt=0)] = 14
    """Patch side in pixels; input height and width must be multiples of it."""
    stem: Literal["patch", "conv"] = "patch"
    """How pixels become tokens. `patch`: one linear map per patch, as DINOv2. `conv`: a few strided convolutions, which lets a small
    network learn from scratch in a fraction of the steps (Xiao et al. 2021, "Early convolutions help transformers see better")."""
    grid: Annotated[int, Field(gt=0)] = 37
    """Side of the stored position-embedding grid, in patches; other grids are resampled from it in every forward pass."""
    reassemble: tuple[int, int, int, int]
    """Channels after the four reassemble projections."""
    fusion: Annotated[int, Field(gt=0)]
    """Channels inside the decoder's fusion blocks."""
    head_hidden: Annotated[int, Field(gt=0)] = 32
    """Channels before the last 1x1 convolution."""
    layer_scale: Annotated[float, Field(gt=0)] = 1.0
    """Initial LayerScale (DAv2 1.0); irrelevant once weights are loaded."""

    @model_validator(mode="after")
    def _consistent(self) -> "VitDptConfig":
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        if list(self.taps) != sorted(set(self.taps)) or self.taps[0] < 0 or self.taps[-1] >= self.depth:
            raise ValueError(f"taps must be four increasing block indices below depth {self.depth}, got {self.taps}")
        if self.stem == "conv" and self.patch & (self.patch - 1):
            raise ValueError(f"a conv stem halves the image step by step: patch must be a power of two, got {self.patch}")
        return self


NetworkConfig = VitDptConfig

_SIZES = {
    "small": {"width": 384, "depth": 12, "heads": 6, "reassemble": (48, 96, 192, 384), "fusion": 64},
    "base": {"width": 768, "depth": 12, "heads": 12, "reassemble": (96, 192, 384, 768), "fusion": 128},
    "large": {"width": 1024, "depth": 24, "heads": 16, "reassemble": (256, 512, 1024, 1024), "fusion": 256},
}
_SPREAD = {"small": (2, 5, 8, 11), "base": (2, 5, 8, 11), "large": (4, 11, 17, 23)}
_LAST = {"small": (8, 9, 10, 11), "base": (8, 9, 10, 11), "large": (20, 21, 22, 23)}

NETWORKS: dict[str, NetworkConfig] = {
    **{f"depth-anything-v2-{size}": VitDptConfig(**_SIZES[size], taps=_SPREAD[size]) for size in _SIZES},
    **{f"depth-anything-v1-{size}": VitDptConfig(**_SIZES[size], taps=_LAST[size]) for size in _SIZES},
}
"""The official networks by name."""
