"""A folder that `transformers.pipeline("depth-estimation", model=FOLDER)` loads."""

import shutil
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from dad.errors import UserError
from dad.export import remote
from dad.export.card import native_to_transformers
from dad.export.parity import Parity, compare, require, sample_image
from dad.files import write_json
from dad.models.config import VitDptConfig
from dad.models.names import to_huggingface
from dad.models.network import DepthNetwork
from dad.models.policy import InputPolicy

BICUBIC = 3
"""Pillow's number."""


def write_folder(network: DepthNetwork, input_size: int, out: Path) -> list[Parity]:
    """Write weights, config and processor into `out`; returns the parity of a square and a 4:3 input.

    Depth Anything networks use transformers' own class. It resamples position embeddings differently from the official code, so the
    table is stored at the grid of `input_size`, where nobody resamples: square inputs are exact, others as close as transformers
    allows, which the second parity says. Every other network brings its class along (`dad.export.remote`), which loads with
    `trust_remote_code=True` where this package is installed, and is exact for all inputs.
    """
    config = network.config
    native = native_to_transformers(config)
    if native:
        grid = input_size // config.patch
        state = dict(network.state_dict())
        if grid != config.grid:
            state["pretrained.pos_embed"] = resampled_table(state["pretrained.pos_embed"], config.grid, grid)
        state, described = to_huggingface(state), describe(config, grid)
    elif network.policy.fit == "longest":
        raise UserError("diffusion networks can not be exported for transformers; their own pipelines are diffusers'")
    else:
        state = {f"network.{key}": value for key, value in network.state_dict().items()}
        described = {
            "architectures": ["DadForDepthEstimation"],
            "model_type": "dad",
            "auto_map": {
                "AutoConfig": "modeling_dad.DadConfig",
                "AutoModelForDepthEstimation": "modeling_dad.DadForDepthEstimation",
            },
            "network": config.model_dump(mode="json"),
            "dtype": "float32",
        }
        shutil.copyfile(remote.__file__, out / "modeling_dad.py")
    save_file(
        {key: value.clone().contiguous() for key, value in state.items()}, out / "model.safetensors", metadata={"format": "pt"}
    )
    write_json(out / "config.json", described)
    write_json(out / "preprocessor_config.json", processor(network.policy, input_size))
    return _check(network, input_size, out, exact=not native)


def _check(network: DepthNetwork, input_size: int, out: Path, *, exact: bool) -> list[Parity]:
    from transformers import pipeline
    from transformers.utils import logging

    quiet = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        loaded = pipeline("depth-estimation", model=str(out), device="cpu", trust_remote_code=exact)
    finally:
        logging.enable_progress_bar()
        logging.set_verbosity(quiet)
    square = require(_parity(network, loaded, input_size, input_size))
    if network.policy.fit == "square":
        return [square]
    patch = network.policy.multiple
    wide = _parity(network, loaded, input_size, (input_size // patch + max(1, input_size // patch // 3)) * patch)
    return [square, require(wide) if exact else wide]


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


def processor(policy: InputPolicy, input_size: int) -> dict[str, Any]:
    """transformers' DPTImageProcessor with the network's settings."""
    return {
        "image_processor_type": "DPTImageProcessor",
        "do_resize": True,
        "size": {"height": input_size, "width": input_size},
        "keep_aspect_ratio": policy.fit != "square",
        "ensure_multiple_of": 1 if policy.fit == "square" else policy.multiple,
        "resample": BICUBIC,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(policy.mean),
        "image_std": list(policy.std),
        "do_pad": False,
    }


def _parity(network: DepthNetwork, loaded: Any, height: int, width: int) -> Parity:
    from torchvision.transforms.functional import to_pil_image

    image = sample_image(1, height, width)
    found = loaded(to_pil_image(image[0]))["predicted_depth"].float().reshape(1, 1, height, width)
    with torch.no_grad():
        expected = network(network.normalise(image))
    return compare("transformers", (1, 3, height, width), expected, found)
