"""What a model's name or file says of its network without loading it: if the file looks whole, its header and patch."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dad.errors import UserError
from dad.models.catalogue import SOURCES, Source, source_of
from dad.models.config import NETWORKS, NetworkConfig
from dad.models.huggingface import config_from_huggingface
from dad.models.locate import WEIGHTS, locate, split_network


def known_source(model: str) -> Source | None:
    """The official file that a model's name, repository or file name stands for."""
    network, text = split_network(model)
    source = source_of(network or text)
    name = Path(text).name
    return source or next((one for one in SOURCES if name == Path(one.file).name or text == one.repository), None)


def problem_with(path: Path) -> str:
    """What is wrong with a weights file or folder as far as its first bytes tell; empty if nothing."""
    try:
        if path.is_dir():
            own = path / "model.safetensors"
            if own.is_file():
                return problem_with(own)
            found = any(file.suffix in WEIGHTS for pattern in ("*", "*/*") for file in path.glob(pattern))
            return "" if found else f"{path} holds no weights ({', '.join(WEIGHTS)})"
        if path.suffix not in WEIGHTS:
            return f"{path} is no weights file: known are {', '.join(WEIGHTS)}"
        size = path.stat().st_size
        if not size:
            return f"{path} is empty"
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror or error})"
    if start.lstrip().startswith(b"version https://git-lfs"):
        return f"{path} is a pointer of git LFS, not the weights: fetch them with `git lfs pull` in its repository"
    if start.lstrip()[:1] == b"<":
        return f"{path} is a web page, not weights: the download went wrong"
    if path.suffix == ".safetensors":
        return _problem_with_safetensors(path, size)
    if start[:2] != b"PK" and start[:1] != b"\x80":
        return f"{path} is not a PyTorch file"
    return ""


def _problem_with_safetensors(path: Path, size: int) -> str:
    header = _header(path)
    if header is None:
        return f"{path} is not a readable safetensors file"
    ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
    length = _header_length(path)
    if not ends or size != 8 + length + max(ends):
        return f"{path} was cut or is damaged: {size} bytes, its header speaks of {8 + length + max(ends, default=0)}"
    return ""


def _header_length(path: Path) -> int:
    with open(path, "rb") as file:
        start = file.read(8)
    return struct.unpack("<Q", start)[0] if len(start) == 8 else 0


def _header(path: Path) -> dict[str, Any] | None:
    """The JSON at the start of a safetensors file; None where there is none."""
    try:
        length = _header_length(path)
        if not 0 < length <= min(100_000_000, path.stat().st_size):
            return None
        with open(path, "rb") as file:
            file.seek(8)
            header = json.loads(file.read(length))
        whole = all(isinstance(entry, dict) for entry in header.values()) and all(
            len(entry["data_offsets"]) == 2 for key, entry in header.items() if key != "__metadata__"
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return header if whole else None


def network_of(model: str) -> NetworkConfig | None:
    """The network of a model's name as far as names and headers tell, without reading weights; None if they do not."""
    network, text = split_network(model)
    if network or text in NETWORKS:
        return NETWORKS[network or text]
    path = locate(model).path
    if path is None:
        source = known_source(model)
        return NETWORKS[source.network] if source else None
    folder = path if path.is_dir() else None
    file = path / "model.safetensors" if folder else path
    if file.suffix == ".safetensors" and file.is_file():
        described = (_header(file) or {}).get("__metadata__", {}).get("dad")
        if described:
            return _described(described)
    if folder and (folder / "config.json").is_file():
        return _of_huggingface(folder, model)
    if folder and (folder / "vae").is_dir() and not (folder / "model_index.json").is_file():
        return NETWORKS["genpercept"]
    source = known_source(model)
    return NETWORKS[source.network] if source else None


def patch_of(model: str) -> int | None:
    """What the sides of a model's input must be multiples of, where its name or header tells."""
    network = network_of(model)
    return network.patch if network else None


def _described(text: str) -> NetworkConfig | None:
    try:
        return TypeAdapter(NetworkConfig).validate_python(json.loads(text)["network"])
    except (ValueError, KeyError, TypeError, ValidationError):
        return None


def _of_huggingface(folder: Path, model: str) -> NetworkConfig | None:
    try:
        described = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return config_from_huggingface(described, model) if isinstance(described, Mapping) else None
    except (OSError, ValueError, UserError):
        return None
