"""Networks that transformers has a class of its own for: what a folder holds so that they load without foreign code."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from dad.models.checkpoints import POSITION_TABLE
from dad.models.config import MidasDptConfig, MidasSwinConfig, NetworkConfig, VitDptConfig
from dad.models.midas_encoders import EPS
from dad.models.midas_names import transformers_names
from dad.models.names import to_huggingface
from dad.models.network import DepthNetwork
from dad.models.policy import InputPolicy

BICUBIC = 3
"""Pillow's number."""


@dataclass(frozen=True)
class Stock:
    """One network as transformers' own class holds it."""

    state: dict[str, torch.Tensor]
    config: dict[str, Any]
    processor: dict[str, Any]
    code: str
    """The file of `dad.export.shipped` with the same class by the source's rules, for `trust_remote_code=True`."""


def has_stock_class(config: NetworkConfig) -> bool:
    """Whether transformers has a class for this network; every other one has to bring its own along."""
    return isinstance(config, MidasDptConfig | MidasSwinConfig) or (
        isinstance(config, VitDptConfig) and config.stem == "patch"
    )


def exact_at_own_size(config: NetworkConfig, policy: InputPolicy) -> bool:
    """Whether transformers' class gives the source's map of a square image of the network's own size.

    MiDaS's class doubles maps in its decoder, where the source enlarges them to the next one's size: the same wherever
    the input's sides are multiples of 32, upstream's rule.
    """
    return isinstance(config, VitDptConfig) or policy.size % 32 == 0


def differs(config: NetworkConfig, policy: InputPolicy) -> str:
    """What transformers' class and processor do otherwise than the source, in words."""
    if isinstance(config, VitDptConfig):
        return "whose resizing and position embeddings are other ones"
    found = ["which smooths images that it shrinks"]
    if _takes_squares(config) and policy.fit != "square":
        found.append("makes every image a square")
    if not exact_at_own_size(config, policy):
        found.append("doubles maps where the source fits them")
    return " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))


def _takes_squares(config: NetworkConfig) -> bool:
    return isinstance(config, MidasSwinConfig) or (isinstance(config, MidasDptConfig) and config.encoder == "vit")


def stock(network: DepthNetwork, policy: InputPolicy) -> Stock | None:
    """The network for transformers' own class, with inputs as `policy` says; None where it has none.

    Depth Anything's class resamples position embeddings by another rule: the table is stored at the grid of the input's
    size, where nobody resamples, and the one that was trained beside it.
    """
    config = network.config
    if not has_stock_class(config):
        return None
    if not isinstance(config, VitDptConfig):
        return Stock(
            state=transformers_names(network.official_state()),
            config=dpt_config(config),
            processor=stock_processor(policy, square=_takes_squares(config)),
            code="modeling_dpt_dad.py",
        )
    own, extra = dict(network.state_dict()), {}
    grid = policy.size // config.patch
    if grid != config.grid:
        extra[POSITION_TABLE] = own["pretrained.pos_embed"]
        own["pretrained.pos_embed"] = resampled_table(own["pretrained.pos_embed"], config.grid, grid)
    return Stock(
        state=to_huggingface(own) | extra,
        config=depth_anything_config(config, grid) | {"trained_grid": config.grid},
        processor=stock_processor(policy),
        code="modeling_depth_anything_dad.py",
    )


def resampled_table(table: torch.Tensor, stored: int, grid: int) -> torch.Tensor:
    """A position embedding (1,1+stored^2,C) at another square grid, by the official rule."""
    patches = table[:, 1:].reshape(1, stored, stored, -1).permute(0, 3, 1, 2)
    factor = (grid + 0.1) / stored
    patches = F.interpolate(patches, scale_factor=(factor, factor), mode="bicubic", antialias=False)
    return torch.cat([table[:, :1], patches.flatten(2).transpose(1, 2)], dim=1)


def depth_anything_config(config: VitDptConfig, grid: int) -> dict[str, Any]:
    """transformers' DepthAnythingConfig."""
    return {
        "architectures": ["DepthAnythingForDepthEstimation"],
        "model_type": "depth_anything",
        "backbone_config": {
            "model_type": "dinov2",
            "architectures": ["Dinov2Model"],
            "hidden_size": config.width,
            "num_hidden_layers": config.depth,
            "num_attention_heads": config.heads,
            "mlp_ratio": 4,
            "image_size": grid * config.patch,
            "patch_size": config.patch,
            "layer_norm_eps": 1e-6,
            "out_indices": [tap + 1 for tap in config.taps],
            "apply_layernorm": True,
            "reshape_hidden_states": False,
        },
        "reassemble_hidden_size": config.width,
        "reassemble_factors": [4, 2, 1, 0.5],
        "neck_hidden_sizes": list(config.reassemble),
        "fusion_hidden_size": config.fusion,
        "head_hidden_size": config.head_hidden,
        "head_in_index": -1,
        "patch_size": config.patch,
        "depth_estimation_type": "relative",
        "dtype": "float32",
    }


def dpt_config(config: MidasDptConfig | MidasSwinConfig) -> dict[str, Any]:
    """transformers' DPTConfig over its ViT, BEiT or Swin v2, as transformers' conversion scripts write it."""
    described: dict[str, Any] = {
        "architectures": ["DPTForDepthEstimation"],
        "model_type": "dpt",
        "readout_type": "project",
        "fusion_hidden_size": config.fusion,
        "dtype": "float32",
    }
    if isinstance(config, MidasSwinConfig):
        backbone = {
            "model_type": "swinv2",
            "embed_dim": config.width,
            "depths": config.depths,
            "num_heads": config.heads,
            "window_size": config.window,
            "pretrained_window_sizes": [0, 0, 0, 0],
            "image_size": config.size,
            "out_features": ["stage1", "stage2", "stage3", "stage4"],
        }
        return described | {
            "neck_hidden_sizes": [config.width * 2**stage for stage in range(4)],
            "backbone_config": backbone,
        }
    tokens = {
        "hidden_size": config.width,
        "intermediate_size": 4 * config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "image_size": config.grid * config.patch,
        "patch_size": config.patch,
        "layer_norm_eps": EPS,
    }
    described |= {"neck_hidden_sizes": config.reassemble, "reassemble_factors": [4, 2, 1, 0.5]}
    if config.encoder == "vit":
        return described | tokens | {"backbone_out_indices": config.taps}
    backbone = tokens | {
        "model_type": "beit",
        "use_relative_position_bias": True,
        "reshape_hidden_states": False,
        "out_features": [f"stage{tap + 1}" for tap in config.taps],
    }
    return described | {"backbone_config": backbone}


def stock_processor(policy: InputPolicy, *, square: bool = False) -> dict[str, Any]:
    """transformers' DPTImageProcessor with the network's settings, as near to them as its one rule comes.

    square: for classes that take no other input.
    """
    square = square or policy.fit == "square"
    return {
        "image_processor_type": "DPTImageProcessor",
        "do_resize": True,
        "size": {"height": policy.size, "width": policy.size},
        "keep_aspect_ratio": not square,
        "ensure_multiple_of": 1 if square else policy.multiple,
        "resample": BICUBIC,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(policy.mean),
        "image_std": list(policy.std),
        "do_pad": False,
    }
