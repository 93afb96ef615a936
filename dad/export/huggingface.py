"""A folder that `transformers.pipeline("depth-estimation", model=FOLDER)` loads."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from dad.export import shipped
from dad.export.parity import Parity, as_rgb, compare, require, sample_image
from dad.files import scratch_folder, write_json
from dad.models.checkpoints import POSITION_TABLE, WRAPPED, describe, stamped
from dad.models.config import NetworkConfig, VitDptConfig
from dad.models.estimator import Estimator
from dad.models.names import to_huggingface
from dad.models.network import DepthNetwork
from dad.models.policy import InputPolicy

BICUBIC = 3
"""Pillow's number."""
EXACT, STOCK = "transformers", "transformers without trust_remote_code"
"""The two ways of loading a network that transformers has a class for."""


def native_to_transformers(config: NetworkConfig) -> bool:
    """Whether transformers has a class for this network (Depth Anything); every other one has to bring its own along."""
    return isinstance(config, VitDptConfig) and config.stem == "patch"


def write_folder(
    network: DepthNetwork, policy: InputPolicy, origin: str, out: Path, pictures: Mapping[str, NDArray[np.uint8]]
) -> list[Parity]:
    """Write weights, config, processor and code into `out`; returns the parities of a square input and of every picture.

    The processor is ours (`dad.export.shipped`): the resizing of transformers' own differs from every family's here. With
    `trust_remote_code=True` the pipeline gives the source's maps. Depth Anything networks load without it as well, with
    transformers' own classes, which resample position embeddings and resize images by other rules: how far these are off is
    measured and returned behind the others. The table is stored at the grid of the input's size, where nobody resamples, so a
    square input of the network's own size is exact there, too. Every other network needs `trust_remote_code=True` and this
    package.
    """
    config, native = network.config, native_to_transformers(network.config)
    keys = "transformers" if native else "wrapped"
    shipped.copy_processor(out)
    processor = {"policy": asdict(policy), "auto_map": {"AutoImageProcessor": "image_processing_dad.DadImageProcessor"}}
    if native:
        state, described = _native(network, policy)
        shipped.copy("modeling_depth_anything_dad.py", out)
        processor |= stock_processor(policy)
    else:
        state = {f"{WRAPPED}{key}": value for key, value in network.state_dict().items()}
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
        shipped.copy("modeling_dad.py", out)
        processor |= {"image_processor_type": "DadImageProcessor"}
    stored = {key: value.clone().contiguous() for key, value in state.items()}
    about = stamped(describe(network, input_size=policy.size, origin=origin, keys=keys), stored)
    # transformers asks for `format`; the other entry lets `dad.models.load` read the file, and notice damage
    save_file(stored, out / "model.safetensors", metadata={"format": "pt", "dad": about})
    write_json(out / "config.json", described)
    write_json(out / "preprocessor_config.json", processor)
    return _check(network, policy, out, pictures, native=native)


def _native(network: DepthNetwork, policy: InputPolicy) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and config for transformers' own Depth Anything."""
    config = network.config
    grid = policy.size // config.patch
    own = dict(network.state_dict())
    extra = {}
    if grid != config.grid:
        extra[POSITION_TABLE] = own["pretrained.pos_embed"]
        own["pretrained.pos_embed"] = resampled_table(own["pretrained.pos_embed"], config.grid, grid)
    described = depth_anything_config(config, grid) | {
        "trained_grid": config.grid,
        "auto_map": {"AutoModelForDepthEstimation": "modeling_depth_anything_dad.DepthAnythingForDepthEstimation"},
    }
    return to_huggingface(own) | extra, described


def _check(
    network: DepthNetwork, policy: InputPolicy, out: Path, pictures: Mapping[str, NDArray[np.uint8]], *, native: bool
) -> list[Parity]:
    side = policy.size or 64
    square = (sample_image(1, side, side)[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    estimator = Estimator(network, name="source", short_side=policy.size, square=policy.fit == "square")
    expected = {name: estimator.predict(as_rgb(picture)) for name, picture in ({"": square} | dict(pictures)).items()}

    def measure(what: str, pipe: Any, name: str, picture: NDArray[np.uint8]) -> Parity:
        height, width = picture.shape[:2]
        found = pipe(Image.fromarray(picture))["predicted_depth"].float().reshape(1, 1, height, width)
        said = f"{what}, {name}" if name else what
        return compare(said, (1, 3, height, width), expected[name], found)

    exact = _pipeline(out, trust=True)
    found = [require(measure(EXACT, exact, "", square))]
    found += [require(measure(EXACT, exact, name, picture)) for name, picture in pictures.items()]
    if native:
        stock = _pipeline(out, trust=False)
        found.append(require(measure(STOCK, stock, "", square)))
        found += [measure(STOCK, stock, name, picture) for name, picture in pictures.items()]
    return found


def _pipeline(folder: Path, *, trust: bool) -> Any:
    from transformers import pipeline

    with _quiet(), _own_module_cache():
        return pipeline("depth-estimation", model=str(folder), device="cpu", trust_remote_code=trust)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
        logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _own_module_cache() -> Iterator[None]:
    """transformers copies code that a folder brings along into the user's cache, under the folder's name: the check of a folder
    that is about to be renamed leaves nothing there.
    """
    from transformers import dynamic_module_utils as dynamic

    usual, paths = dynamic.HF_MODULES_CACHE, list(sys.path)
    with scratch_folder() as folder:
        dynamic.HF_MODULES_CACHE = str(folder)
        # before the caches of earlier pipelines, whose root package has the same name
        sys.path.insert(0, str(folder))
        mine = {name for name in sys.modules if name.split(".")[0] == dynamic.TRANSFORMERS_DYNAMIC_MODULE_NAME}
        held = {name: sys.modules.pop(name) for name in mine}
        try:
            yield
        finally:
            dynamic.HF_MODULES_CACHE = usual
            sys.path[:] = paths
            for name in [name for name in sys.modules if name.split(".")[0] == dynamic.TRANSFORMERS_DYNAMIC_MODULE_NAME]:
                del sys.modules[name]
            sys.modules.update(held)


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


def stock_processor(policy: InputPolicy) -> dict[str, Any]:
    """transformers' DPTImageProcessor with the network's settings, as near to them as its one rule comes."""
    return {
        "image_processor_type": "DPTImageProcessor",
        "do_resize": True,
        "size": {"height": policy.size, "width": policy.size},
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
