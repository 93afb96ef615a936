"""A folder that `transformers.pipeline("depth-estimation", model=FOLDER)` loads."""

import copy
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from dad.errors import UserError
from dad.export.parity import Parity, compare, require, test_image
from dad.files import write_json
from dad.models.config import VitDptConfig
from dad.models.names import to_huggingface
from dad.models.policy import IMAGENET_MEAN, IMAGENET_STD

BICUBIC = 3
"""Pillow's number."""


def write_folder(network: nn.Module, input_size: int, out: Path) -> list[Parity]:
    """Write weights, config and processor of a Depth Anything network into `out`; returns the parity of square and 4:3 inputs.

    transformers resamples position embeddings differently from the official code. So the table is stored at the grid of
    `input_size`, where nobody resamples: square inputs are exact, others as close as transformers allows, which the second parity says.
    """
    config = network.config
    if not isinstance(config, VitDptConfig) or config.stem != "patch":
        raise UserError("a Hugging Face folder can be written for Depth Anything networks (family vit-dpt with a patch stem) only; use safetensors or onnx")
    grid = input_size // config.patch
    state = copy.deepcopy(network.state_dict())
    if grid != config.grid:
        state["pretrained.pos_embed"] = resampled_table(state["pretrained.pos_embed"], config.grid, grid)
    save_file({key: value.contiguous() for key, value in to_huggingface(state).items()}, out / "model.safetensors", metadata={"format": "pt"})
    write_json(out / "config.json", describe(config, grid))
    write_json(out / "preprocessor_config.json", processor(input_size, config.patch))
    from transformers import pipeline

    loaded = pipeline("depth-estimation", model=str(out), device="cpu")
    return [require(_parity(network, loaded, input_size, input_size)), _parity(network, loaded, input_size, (grid + grid // 3) * config.patch)]


def resampled_table(table: torch.Tensor, stored: int, grid: int) -> torch.Tensor:
    """A position embedding (1,1+stored^2,C) at another square grid, by the official rule."""
    patches = table[:, 1:].reshape(1, stored, stored, -1).permute(0, 3, 1, 2)
    factor = (grid + 0.1) / stored
    patches = F.interpolate(patches, scale_factor=(factor, factor), mode="bicubic", antialias=False)
    return torch.cat([table[:, :1], patches.flatten(2).transpose(1, 2)], dim=1)


def describe(config: VitDptConfig, grid: int) -> dict[str, Any]:
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


def processor(input_size: int, patch: int) -> dict[str, Any]:
    """transformers' DPTImageProcessor with Depth Anything's settings."""
    return {
        "image_processor_type": "DPTImageProcessor",
        "do_resize": True,
        "size": {"height": input_size, "width": input_size},
        "keep_aspect_ratio": True,
        "ensure_multiple_of": patch,
        "resample": BICUBIC,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
        "do_pad": False,
    }


def _parity(network: nn.Module, loaded: Any, height: int, width: int) -> Parity:
    from torchvision.transforms.functional import to_pil_image

    image = test_image(1, height, width)
    found = loaded(to_pil_image(image[0]))["predicted_depth"].float().reshape(1, 1, height, width)
    with torch.no_grad():
        expected = network(network.normalise(image))
    return compare("transformers", (1, 3, height, width), expected, found)
