"""Weights on disk: safetensors whose header carries the network's description, so that a file alone is a model."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from dad.errors import UserError
from dad.files import atomic_path
from dad.models import official
from dad.models.config import NETWORKS, NetworkConfig
from dad.models.network import DepthNetwork, check_finite, mismatch
from dad.models.registry import build_network

ZOO = Path(__file__).parent / "zoo"


@dataclass(frozen=True)
class Header:
    """What a weights file says of itself: the network, the side of its input in pixels, and free text on its origin."""

    network: NetworkConfig
    input_size: int
    origin: str
    official_keys: bool = False
    """Whether the tensors are named as in the official checkpoints, which a few families of ours do not do everywhere."""
    kind: str | None = None
    """What the map is, where it is not what the network's family gives: `depth` for a student of a depth teacher."""


def zoo_names() -> list[str]:
    """The models shipped with the package."""
    return sorted(f"zoo/{path.stem}" for path in ZOO.glob("*.safetensors"))


def split_network(text: str) -> tuple[str | None, str]:
    """`NETWORK:PATH`, by which a user says what a file holds, into its parts; (None, text) for anything else."""
    network, colon, rest = text.partition(":")
    return (network, rest) if colon and rest and network in NETWORKS else (None, text)


def resolve(name_or_path: str | Path) -> Path:
    """The weights file or folder behind a zoo name, a path, a network's or a Hugging Face name. Raises UserError if there is
    none.
    """
    text = str(name_or_path)
    if text.startswith("zoo/") and not Path(text).exists():
        path = ZOO / f"{text.removeprefix('zoo/')}.safetensors"
        if not path.exists():
            raise UserError(f"unknown zoo model {text!r}; shipped: {', '.join(zoo_names()) or 'none'}")
        return path
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        return path / "model.safetensors" if is_ours(path / "model.safetensors") else path
    found = official.find(text)
    if found is None:
        raise UserError(
            f"no model {text!r}: give one of {', '.join(zoo_names())}, a network's name, a run folder, a weights file or "
            f"a Hugging Face name"
        )
    return found


def is_ours(path: Path) -> bool:
    """Whether a file is a safetensors file that carries a description of its network."""
    try:
        with safe_open(path, framework="pt") as file:
            return "dad" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read_header(path: Path) -> Header:
    """The header of a weights file of ours, without reading the weights."""
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {})["dad"])
        return Header(
            TypeAdapter(NetworkConfig).validate_python(description["network"]),
            int(description["input_size"]),
            str(description["origin"]),
            description["keys"] == "official",
            description.get("kind"),
        )
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}") from None
    except (KeyError, TypeError, ValueError, ValidationError):
        raise UserError(f"{path} carries no readable description of its network: it was not written by this package") from None


def load_network(name_or_path: str | Path, *, network: str | None = None) -> tuple[DepthNetwork, Header]:
    """A network with its weights in float32, and the file's header.

    Takes what `resolve` takes: our own files, and official ones. `network` (or a path written as `NETWORK:PATH`) says what an
    official file holds where its name does not. Raises UserError, in one line, for files that do not fit.
    """
    said, text = split_network(str(name_or_path))
    network = network or said
    path = resolve(text)
    if path.is_dir() or not is_ours(path):
        built = official.load_official(path, text, network=network)
        return built.float(), Header(built.config, built.policy.size, f"official weights {text}")
    header = read_header(path)
    if network is not None and NETWORKS.get(network) != header.network:
        raise UserError(f"{path} describes another network than {network}")
    built = build_network(header.network)
    with safe_open(path, framework="pt") as file:
        state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a dict)
    if header.official_keys:
        state = built.from_official(state)
    problem = mismatch(state, built.state_dict())
    if problem:
        raise UserError(f"{path} does not fit its own description: {problem}")
    try:
        check_finite(state)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    built.load_state_dict(state)
    built.kind = header.kind or built.kind
    return built, header


def save_network(
    path: Path,
    network: nn.Module,
    *,
    input_size: int,
    origin: str,
    dtype: torch.dtype = torch.float32,
    official_keys: bool = False,
) -> None:
    """Write a network's weights with its description, atomically; `official_keys` names the tensors as official files do."""
    named = network.official_state() if official_keys else network.state_dict()
    # a table that several official keys share must be stored several times
    state = {key: value.detach().to("cpu", dtype if value.is_floating_point() else None).clone() for key, value in named.items()}
    description = {
        "network": network.config.model_dump(mode="json"),
        "input_size": input_size,
        "origin": origin,
        "keys": "official" if official_keys else "ours",
    }
    if network.kind != getattr(network.config, "target", "disparity"):
        description["kind"] = network.kind
    with atomic_path(path) as temporary:
        # one entry only: safetensors writes several in an order that changes from process to process
        save_file(state, temporary, metadata={"dad": json.dumps(description, sort_keys=True)})
