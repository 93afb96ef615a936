"""Weights of others: reading files without running what they hold, finding them by name, and building their network."""

import json
import pickle
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dad.errors import UserError
from dad.models.catalogue import licence_notice
from dad.models.config import NETWORKS, GenPerceptConfig, NetworkConfig
from dad.models.huggingface import config_from_huggingface
from dad.models.network import DepthNetwork
from dad.models.recognise import recognise
from dad.models.registry import build_network

WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
"""Files that are read as state dicts."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or PyTorch file by key; wrappers ("model", "state_dict", "module.") are removed.

    Raises UserError, in one line, for anything else. Pickled objects other than tensors are never built.
    """
    if path.suffix not in WEIGHTS:
        raise UserError(f"{path} is no weights file: known are {', '.join(WEIGHTS)}")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty")
    _refuse_stand_in(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} is not a readable safetensors file: {_first_line(error)}") from None
    try:
        with warnings.catch_warnings():
            # torch warns of unusual pickles that it goes on to refuse
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it wants to run {found[1]}" if found else _first_line(error)
        raise UserError(
            f"{path} is refused: it is broken or holds more than tensors, and objects with code are not loaded "
            f"({reason})"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise UserError(f"{path} is not a readable PyTorch file: {_first_line(error)}") from None
    return _unwrap(content, path)


def _refuse_stand_in(path: Path) -> None:
    """Raise UserError for what downloads often leave instead of weights."""
    with open(path, "rb") as file:
        start = file.read(64).lstrip()
    if start.startswith(b"version https://git-lfs"):
        raise UserError(
            f"{path} is a pointer of git LFS, not the weights: fetch them with `git lfs pull` in its repository"
        )
    if start[:1] == b"<":
        raise UserError(f"{path} is a web page, not weights: the download went wrong")


def _first_line(error: BaseException) -> str:
    # torch's advice on turning the safety off is left out
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0][:200]


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(value, Tensor) for value in content.values())
    ):
        raise UserError(f"{path} holds no state dict (a mapping of names to tensors)")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def load_official(path: Path, name: str, *, network: str | None = None) -> DepthNetwork:
    """The network of an official file or folder, with its weights.

    `name` is what the user called it (path or repository), which tells Depth Anything's version; `network` is its name
    among `dad.models.config.NETWORKS` where the user gave it. Prints one line on stderr for weights that may not be
    used freely.
    """
    config: NetworkConfig
    if path.is_dir():
        config, state, known = _read_folder(path, name, network)
    else:
        state = read_state(path)
        known = recognise(state, name, network=network, path=path)
        config = NETWORKS[known]
        if known == "genpercept" and "customized_head.head.projection.weight" in state:
            config = config.model_copy(update={"head": "dpt"})
    built = build_network(config)
    try:
        built.load_official(state)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    notice = licence_notice(name, known)
    if notice:
        print(notice, file=sys.stderr)
    return built


def _read_folder(path: Path, name: str, network: str | None) -> tuple[NetworkConfig, dict[str, Tensor], str]:
    if (path / "vae").is_dir() and any(path.glob("unet*")):
        return *_read_genpercept(path, name), "genpercept"
    weights = [file for suffix in WEIGHTS for file in sorted(path.glob(f"*{suffix}"))]
    if not weights:
        raise UserError(f"{name} holds no weights ({', '.join(WEIGHTS)})")
    preferred = next((file for file in weights if file.name == "model.safetensors"), weights[0])
    state = read_state(preferred)
    if not (path / "config.json").exists():
        known = recognise(state, f"{name}/{preferred.name}", network=network, path=preferred)
        return NETWORKS[known], state, known
    described = _read_json(path / "config.json")
    if not {"model_type", "architectures"} & described.keys():  # none of transformers: Depth Anything 3's own
        known = recognise(state, name, network=network, path=preferred)
        return NETWORKS[known], state, known
    config = config_from_huggingface(described, name)
    if network is not None and NETWORKS.get(network) != config:
        raise UserError(f"{name} describes another network than {network}: {_described(config)}")
    return config, state, next((known for known, value in NETWORKS.items() if value == config), config.family)


def _described(config: NetworkConfig) -> str:
    """A config's numbers in one line, for messages."""
    return ", ".join(
        f"{key} {value}" for key, value in config.model_dump().items() if key not in ("family", "layer_scale")
    )


def _read_genpercept(path: Path, name: str) -> tuple[GenPerceptConfig, dict[str, Tensor]]:
    """A folder as Stable Diffusion's (unet, vae, text_encoder) with GenPercept's UNet, perhaps `dpt_head_identity`."""
    head = path / "dpt_head_identity"
    state: dict[str, Tensor] = {}
    configs: dict[str, Any] = {}
    unets = sorted(folder.name for folder in path.glob("unet*"))
    if len(unets) > 1:
        raise UserError(f"{name} holds several UNets ({', '.join(unets)}): keep the wanted one")
    for part, place in (("unet", unets[0]), ("vae", "vae"), ("text_encoder", "text_encoder")):
        files = [file for suffix in WEIGHTS for file in sorted((path / place).glob(f"*{suffix}"))]
        if not files or not (path / place / "config.json").exists():
            raise UserError(f"{name}/{place} needs a config.json and weights ({', '.join(WEIGHTS)})")
        configs[part] = {
            key: value for key, value in _read_json(path / place / "config.json").items() if not key.startswith("_")
        }
        state |= {f"{part}.{key}": value for key, value in read_state(files[0]).items()}
    fusion = {}
    if head.is_dir():
        state |= {f"customized_head.{key}": value for key, value in read_state(head / "model.safetensors").items()}
        fusion = {"head": "dpt", "head_fusion": state["customized_head.neck.convs.0.weight"].shape[0]}
    if configs["unet"].get("in_channels") != 4:
        raise UserError(
            f"{name}: the UNet takes {configs['unet'].get('in_channels')} channels; GenPercept's takes 4 (Marigold's "
            f"folders have a model_index.json)"
        )
    said = f"{name}/{unets[0]}".lower()
    target = "depth" if "depth" in said and "disparity" not in said else "disparity"
    return GenPerceptConfig(target=target, **fusion, **configs), state


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not readable JSON: {_first_line(error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} does not hold a JSON object")
    return content
