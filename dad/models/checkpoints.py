"""Weights on disk: safetensors whose header carries the network's description, so that a file alone is a model."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from dad.errors import UserError
from dad.files import atomic_path
from dad.models.config import NetworkConfig
from dad.models.registry import build_network

ZOO = Path(__file__).parent / "zoo"


@dataclass(frozen=True)
class Header:
    """What a weights file says of itself: the network, the side of its input in pixels, and free text on its origin."""

    network: NetworkConfig
    input_size: int
    origin: str


def zoo_names() -> list[str]:
    """The models shipped with the package."""
    return sorted(f"zoo/{path.stem}" for path in ZOO.glob("*.safetensors"))


def resolve(name_or_path: str | Path) -> Path:
    """The weights file behind a zoo name, a run folder or a file. Raises UserError if there is none."""
    text = str(name_or_path)
    if text.startswith("zoo/"):
        path = ZOO / f"{text.removeprefix('zoo/')}.safetensors"
        if not path.exists():
            raise UserError(f"unknown zoo model {text!r}; shipped: {', '.join(zoo_names()) or 'none'}")
        return path
    path = Path(text)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise UserError(f"no model {text!r}: give one of {', '.join(zoo_names())}, a run folder or a .safetensors file of ours")
    return path


def read_header(path: Path) -> Header:
    """The header of a weights file of ours, without reading the weights."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        return Header(NetworkConfig.model_validate_json(metadata["dad.network"]), int(metadata["dad.input_size"]), metadata["dad.origin"])
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}") from None
    except (KeyError, ValueError, ValidationError):
        raise UserError(f"{path} carries no description of its network: it was not written by this package") from None


def load_network(name_or_path: str | Path) -> tuple[nn.Module, Header]:
    """A network with its weights in float32, and the file's header."""
    path = resolve(name_or_path)
    header = read_header(path)
    network = build_network(header.network)
    with safe_open(path, framework="pt") as file:
        state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a dict)
    expected = network.state_dict()
    missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    misshaped = sorted(key for key in expected.keys() & state.keys() if expected[key].shape != state[key].shape)
    if missing or unexpected or misshaped:
        raise UserError(f"{path} does not fit its own description: missing {missing}, unexpected {unexpected}, wrong shape {misshaped}")
    network.load_state_dict(state)
    return network, header


def save_network(path: Path, network: nn.Module, *, input_size: int, origin: str, dtype: torch.dtype = torch.float32) -> None:
    """Write a network's weights with its description, atomically."""
    state = {key: value.detach().to("cpu", dtype).contiguous() for key, value in network.state_dict().items()}
    metadata = {
        "format": "pt",
        "dad.network": json.dumps(network.config.model_dump(mode="json"), sort_keys=True),
        "dad.input_size": str(input_size),
        "dad.origin": origin,
    }
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata=metadata)
