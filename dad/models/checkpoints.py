"""Weights on disk: safetensors whose header carries the network's description, so that a file alone is a model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dad.errors import UserError
from dad.files import atomic_path, read_json, sha256_file, sha256_json
from dad.identity import RECORD, content_digest, require_recorded, tensors_digest
from dad.models import official
from dad.models.config import NETWORKS, NetworkConfig
from dad.models.hub import from_hub
from dad.models.locate import WEIGHTS, ZOO, locate, split_network, stands_for
from dad.models.network import DepthNetwork, check_finite, mismatch, with_counters
from dad.models.registry import build_network

Keys = Literal["ours", "official", "transformers", "wrapped"]
WRAPPED = "network."
"""What the names of a network begin with inside the class that a transformers folder brings along."""
POSITION_TABLE = "position_table"
"""The position embedding as it was trained, in a transformers folder whose own is resampled to the input's grid."""

CHECKSUM = "sha256"
"""The description's key for the checksum of the tensors and of its other keys; files of earlier versions have none."""
_DESCRIBED = {"network", "input_size", "origin", "keys", "kind", CHECKSUM}


@dataclass(frozen=True)
class Header:
    """What a weights file says of itself: the network, the side of its input in pixels, and free text on its origin."""

    network: NetworkConfig
    input_size: int
    origin: str
    keys: Keys = "ours"
    """How the tensors are named: as in the network here, as in the official checkpoints (which a few families of ours
    do not do everywhere), or as in a transformers folder: by a class of its own, or wrapped by the class that we bring
    along.
    """
    kind: str | None = None
    """What the map is, where it is not what the network's family gives: `depth` for a student of a depth teacher."""


def resolve(name_or_path: str | Path) -> Path:
    """Weights file or folder of a path or a zoo, network's or Hugging Face name. Raises UserError if there is none."""
    found = locate(name_or_path)
    if found.how == "plugin":
        raise UserError(
            f"{found.name} is a class of another package, which has no weights file of its own: `load` takes it"
        )
    path = found.path
    if path is None:
        if not found.repository:
            raise UserError(found.problem)
        path = from_hub(found.repository, found.file)
    return path / "model.safetensors" if path.is_dir() and is_ours(path / "model.safetensors") else path


def weights_identity(model: str, *, fetch: bool = True) -> str | None:
    """Digest of the contents behind a model's name or path; of a class of another package, of its module's code.

    None where they are not on this machine and `fetch` is False.
    """
    found = locate(model)
    if found.how == "plugin":
        return sha256_json([model, content_digest(found.path)]) if found.path else None
    if found.path is None and not fetch:
        return None
    return content_digest(resolve(model), (*WEIGHTS, ".json", ".txt"))


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
        if description.keys() - _DESCRIBED:
            raise ValueError("unknown keys")
        return Header(
            TypeAdapter(NetworkConfig).validate_python(description["network"]),
            int(description["input_size"]),
            str(description["origin"]),
            TypeAdapter(Keys).validate_python(description["keys"]),
            description.get("kind"),
        )
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}") from None
    except (KeyError, TypeError, ValueError, ValidationError):
        raise UserError(
            f"{path} carries no readable description of its network: it was not written by this package"
        ) from None


def load_network(name_or_path: str | Path, *, network: str | None = None) -> tuple[DepthNetwork, Header]:
    """A network with its weights in float32, and the file's header.

    Takes what `resolve` takes: our own files, and official ones. `network` (or a path written as `NETWORK:PATH`) says
    what an official file holds where its name does not. Raises UserError, in one line, for files that do not fit.
    """
    said, text = split_network(stands_for(str(name_or_path)))
    network = network or said
    path = resolve(text)
    if path.suffix == ".onnx":
        raise UserError(
            f"{path} is an ONNX graph: it predicts and is scored, but is no network to train or to export again"
        )
    if path.is_dir() or not is_ours(path):
        built = official.load_official(path, text, network=network)
        return built.float(), Header(built.config, built.policy.size, f"official weights {text}")
    _require_shipped(path)
    require_recorded(path, record=RECORD, cure="train it again, or copy the whole run folder")
    header = read_header(path)
    if network is not None and NETWORKS.get(network) != header.network:
        raise UserError(f"{path} describes another network than {network}")
    built = build_network(header.network)
    state = {key: value.float() for key, value in _stored(path).items()}
    if header.keys == "wrapped":
        state = {key.removeprefix(WRAPPED): value for key, value in state.items()}
    elif header.keys != "ours":
        table = state.pop(POSITION_TABLE, None)
        state = built.from_official(state)
        if table is not None:
            state["pretrained.pos_embed"] = table
    state = with_counters(state, built.state_dict())
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


def _require_shipped(path: Path) -> None:
    """Raise UserError where a member of the zoo is not the file that its scores (the JSON beside it) are of."""
    scores = path.with_suffix(".json")
    if (
        path.parent == ZOO
        and scores.exists()
        and read_json(scores).get("weights", digest := sha256_file(path)) != digest
    ):
        raise UserError(
            f"{path} is damaged: it is not the file that {scores.name} beside it speaks of; install the package again"
        )


def _stored(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file of ours. Raises UserError where they are not those that it was written with."""
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["dad"])
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    checksum = description.pop(CHECKSUM, None)
    if checksum is not None and checksum != tensors_digest(state, description):
        raise UserError(f"{path} is damaged: its weights do not fit the checksum in its header; make or copy it again")
    return state


def stamped(description: str, state: Mapping[str, Tensor]) -> str:
    """A description (see `describe`) with the checksum of itself and of the tensors that are stored with it."""
    about = json.loads(description)
    return json.dumps(about | {CHECKSUM: tensors_digest(state, about)}, sort_keys=True)


def describe(network: nn.Module, *, input_size: int, origin: str, keys: Keys) -> str:
    """The JSON text by which a weights file says what it holds, as `read_header` reads it."""
    description = {
        "network": network.config.model_dump(mode="json"),
        "input_size": input_size,
        "origin": origin,
        "keys": keys,
    }
    if network.kind != getattr(network.config, "target", "disparity"):
        description["kind"] = network.kind
    return json.dumps(description, sort_keys=True)


def save_network(
    path: Path,
    network: nn.Module,
    *,
    input_size: int,
    origin: str,
    dtype: torch.dtype = torch.float32,
    official_keys: bool = False,
    checksum: bool = True,
) -> None:
    """Write a network's weights with its description, atomically; `official_keys` names the tensors as official files
    do.

    With `checksum` the description holds one of itself and the tensors, which is compared whenever the file is read.
    """
    named = network.official_state() if official_keys else network.state_dict()
    # a table that several official keys share must be stored several times; files know one order of memory only
    state = {
        key: value.detach()
        .to("cpu", dtype if value.is_floating_point() else None)
        .clone(memory_format=torch.contiguous_format)
        for key, value in named.items()
    }
    description = describe(network, input_size=input_size, origin=origin, keys="official" if official_keys else "ours")
    with atomic_path(path) as temporary:
        # one entry only: safetensors writes several in an order that changes from process to process
        save_file(state, temporary, metadata={"dad": stamped(description, state) if checksum else description})
