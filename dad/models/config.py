"""Descriptions of networks, as data. No torch here: the study and the command line read these."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Positive = Annotated[int, Field(gt=0)]
Four = tuple[Positive, Positive, Positive, Positive]


def _check_taps(taps: tuple[int, ...], depth: int) -> None:
    if list(taps) != sorted(set(taps)) or taps[0] < 0 or taps[-1] >= depth:
        raise ValueError(f"taps must be four increasing block indices below depth {depth}, got {taps}")


class VitDptConfig(BaseModel):
    """A DINOv2-style ViT and DPT decoder (Depth Anything v1 and v2, Distill Any Depth; Depth-Anything-V2 `dpt.py`)."""

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
    stem: Literal["patch", "hybrid"] = "patch"
    """How pixels become tokens. `patch`: one linear map per patch, as DINOv2. `hybrid`: convolutional stages whose two
    finer maps the decoder reads instead of the first two taps, as DPT-Hybrid does with a ResNet; such a network learns
    from scratch from a fraction of the images.
    """
    grid: Annotated[int, Field(gt=0)] = 37
    """Side of the stored position-embedding grid, in patches; others are resampled from it in every forward pass."""
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
        _check_taps(self.taps, self.depth)
        if self.stem == "hybrid" and (self.patch < 8 or self.patch & (self.patch - 1)):
            raise ValueError(
                f"a hybrid stem halves the image step by step: patch must be a power of two from 8, got {self.patch}"
            )
        return self


class DepthAnything3Config(BaseModel):
    """Monocular Depth Anything 3: a DINOv2 ViT and DPT decoder for depth and sky (Depth-Anything-3 `model/da3.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["depth-anything-3"] = "depth-anything-3"
    width: Positive
    """Token dimension of the ViT."""
    depth: Positive
    """Number of transformer blocks."""
    heads: Positive
    """Attention heads per block; must divide `width`."""
    taps: tuple[int, int, int, int]
    """0-based blocks whose output the decoder reads."""
    patch: Positive = 14
    """Patch side in pixels; input height and width must be multiples of it."""
    grid: Positive = 37
    """Side of the stored position-embedding grid, in patches."""
    reassemble: Four
    """Channels after the four reassemble projections."""
    fusion: Positive
    """Channels inside the decoder's fusion blocks."""
    head_hidden: Positive = 32
    """Channels before the last 1x1 convolutions."""

    @model_validator(mode="after")
    def _consistent(self) -> "DepthAnything3Config":
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        _check_taps(self.taps, self.depth)
        return self


class MidasDptConfig(BaseModel):
    """MiDaS v3.0 (`vit`) and v3.1 (`beit`), from isl-org/MiDaS `dpt_depth.py`.

    A transformer over patches of 16 pixels, class-token readout and a DPT decoder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["midas-dpt"] = "midas-dpt"
    encoder: Literal["beit", "vit"]
    """`beit`: relative position biases in every block; `vit`: one absolute position embedding."""
    width: Positive
    """Token dimension."""
    depth: Positive
    """Number of transformer blocks."""
    heads: Positive
    """Attention heads per block; must divide `width`."""
    taps: tuple[int, int, int, int]
    """0-based blocks whose raw output the decoder reads."""
    grid: Positive
    """Side of the stored position table's grid, in patches."""
    reassemble: Four
    """Channels after the four reassemble projections."""
    fusion: Positive = 256
    """Channels inside the decoder's fusion blocks."""
    classes: Annotated[int, Field(ge=0)] = 1000
    """Outputs of the ImageNet classifier that official files carry and nothing uses; 0 leaves it out."""

    @property
    def patch(self) -> int:
        """Patch side in pixels; input height and width must be multiples of it."""
        return 16

    @model_validator(mode="after")
    def _consistent(self) -> "MidasDptConfig":
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        _check_taps(self.taps, self.depth)
        return self


class MidasSwinConfig(BaseModel):
    """MiDaS v3.1 with a Swin v2 encoder, for one fixed square input (isl-org/MiDaS `backbones/swin2.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["midas-swin"] = "midas-swin"
    width: Positive
    """Channels of the first stage; every next stage doubles them."""
    depths: Four
    """Blocks per stage."""
    heads: Four
    """Attention heads per stage."""
    window: Positive
    """Side of an attention window, in tokens."""
    size: Positive
    """Side of the input in pixels; no other size is taken."""
    fusion: Positive = 256
    """Channels inside the decoder's fusion blocks."""
    classes: Annotated[int, Field(ge=0)] = 1000
    """Outputs of the unused ImageNet classifier; 0 leaves it out."""

    @property
    def patch(self) -> int:
        """What the input's sides must be multiples of: there is one size only."""
        return self.size


class MidasSmallConfig(BaseModel):
    """MiDaS v2.1 small: EfficientNet-lite and a widening decoder (isl-org/MiDaS `midas_net_custom.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["midas-small"] = "midas-small"
    channel_multiplier: Annotated[float, Field(gt=0)] = 1.2
    """EfficientNet's width factor over lite0 (lite3: 1.2)."""
    depth_multiplier: Annotated[float, Field(gt=0)] = 1.4
    """EfficientNet's depth factor over lite0 (lite3: 1.4)."""
    fusion: Positive = 64
    """Channels of the shallowest fusion block; deeper ones have 2, 4 and 8 times as many."""
    fit: Literal["upper", "lower"] = "upper"
    """Which image side becomes the input's size: the longest, as upstream, or the shortest, as in Depth Anything."""

    @property
    def patch(self) -> int:
        """What the input's height and width must be multiples of, in pixels."""
        return 32


class MidasLargeConfig(BaseModel):
    """MiDaS v2.1 large: ResNeXt and a RefineNet decoder (isl-org/MiDaS `midas_net.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["midas-large"] = "midas-large"
    layers: Four = (3, 4, 23, 3)
    """Bottleneck blocks per stage."""
    groups: Positive = 32
    group_width: Positive = 8
    fusion: Positive = 256
    """Channels inside the decoder's fusion blocks."""

    @property
    def patch(self) -> int:
        """What the input's height and width must be multiples of, in pixels."""
        return 32


class GenPerceptConfig(BaseModel):
    """GenPercept: a VAE and a diffusion UNet run once, without noise (aim-uofa/GenPercept `genpercept_pipeline.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["genpercept"] = "genpercept"
    target: Literal["disparity", "depth"] = "disparity"
    """What the weights were trained to give; nothing in a file tells."""
    head: Literal["vae", "dpt"] = "vae"
    """How the UNet becomes a map: the VAE's decoder, or a DPT head on the UNet's features."""
    head_fusion: Positive = 256
    """Channels inside the DPT head."""
    unet: dict[str, Any]
    """Arguments of diffusers' UNet2DConditionModel."""
    vae: dict[str, Any]
    """Arguments of diffusers' AutoencoderKL."""
    text_encoder: dict[str, Any]
    """Arguments of transformers' CLIPTextConfig, only to embed the empty prompt when an official checkpoint is read."""
    prompt_tokens: Positive = 2
    """Tokens of the empty prompt: begin and end."""

    @property
    def patch(self) -> int:
        """What the input's height and width must be multiples of, in pixels: nothing, upstream takes images as is."""
        return 1


def _family(value: Any) -> str:
    return value.get("family", "vit-dpt") if isinstance(value, dict) else getattr(value, "family", "")


NetworkConfig = Annotated[
    Annotated[VitDptConfig, Tag("vit-dpt")]
    | Annotated[DepthAnything3Config, Tag("depth-anything-3")]
    | Annotated[MidasDptConfig, Tag("midas-dpt")]
    | Annotated[MidasSwinConfig, Tag("midas-swin")]
    | Annotated[MidasSmallConfig, Tag("midas-small")]
    | Annotated[MidasLargeConfig, Tag("midas-large")]
    | Annotated[GenPerceptConfig, Tag("genpercept")],
    Discriminator(_family),
]
"""Any network, told apart by `family` (vit-dpt where it is left out)."""


_SIZES = {
    "small": {"width": 384, "depth": 12, "heads": 6, "reassemble": (48, 96, 192, 384), "fusion": 64},
    "base": {"width": 768, "depth": 12, "heads": 12, "reassemble": (96, 192, 384, 768), "fusion": 128},
    "large": {"width": 1024, "depth": 24, "heads": 16, "reassemble": (256, 512, 1024, 1024), "fusion": 256},
}
_SPREAD = {"small": (2, 5, 8, 11), "base": (2, 5, 8, 11), "large": (4, 11, 17, 23)}
_LAST = {"small": (8, 9, 10, 11), "base": (8, 9, 10, 11), "large": (20, 21, 22, 23)}

_MIDAS_LARGE = {
    "width": 1024, "depth": 24, "heads": 16, "taps": (5, 11, 17, 23), "reassemble": (256, 512, 1024, 1024)
}  # fmt: skip

SD21_UNET: dict[str, Any] = {
    "sample_size": 96,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
    "upcast_attention": True,
}
"""Stable Diffusion 2.1's `unet/config.json`."""
SD21_VAE: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "latent_channels": 4,
    "layers_per_block": 2,
    "sample_size": 768,
    "scaling_factor": 0.18215,
}
"""Stable Diffusion 2.1's `vae/config.json`."""

SD21_TEXT: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "max_position_embeddings": 77,
    "hidden_act": "gelu",
    "bos_token_id": 49406,
    "eos_token_id": 49407,
}
"""Stable Diffusion 2.1's `text_encoder/config.json`."""

NETWORKS: dict[str, NetworkConfig] = {
    **{f"depth-anything-v2-{size}": VitDptConfig(**_SIZES[size], taps=_SPREAD[size]) for size in _SIZES},
    **{f"depth-anything-v1-{size}": VitDptConfig(**_SIZES[size], taps=_LAST[size]) for size in _SIZES},
    "depth-anything-3-mono-large": DepthAnything3Config(**_SIZES["large"], taps=_SPREAD["large"]),
    "midas-v3.1-beit-large-512": MidasDptConfig(encoder="beit", grid=32, **_MIDAS_LARGE),
    "midas-v3.0-dpt-large-384": MidasDptConfig(encoder="vit", grid=24, **_MIDAS_LARGE),
    "midas-v3.1-swin2-tiny-256": MidasSwinConfig(
        width=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window=16, size=256
    ),
    "midas-v2.1-small-256": MidasSmallConfig(),
    "midas-v2.1-large-384": MidasLargeConfig(),
    "genpercept": GenPerceptConfig(unet=SD21_UNET, vae=SD21_VAE, text_encoder=SD21_TEXT),
}
"""The official networks by name."""
