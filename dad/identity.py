"""What a result belongs to, and whether a stored thing still is what was written: one mechanism for all stages.

An identity is a mapping of parts (photos, weights, code stage, plan, ...) to digests of their contents or to plain values. It is
stored beside what was made from these parts and compared before that is used again: paths, names and times play no role. Everything
stored carries a checksum that is compared when it is read: tensors in the header of their file, JSON in a key of its own, other
files in a last line.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dad.errors import UserError
from dad.files import finite, read_json, sha256_file, sha256_json, write_json

SEAL = "sha256"
"""The key that holds the checksum of a JSON file's other keys."""
_TRAILER = b"\nsha256 "
_TRAILER_BYTES = len(_TRAILER) + 64


def content_digest(path: Path, suffixes: Iterable[str] | None = None) -> str:
    """Hex sha256 of a file's bytes, or of a folder's files (relative names and bytes; hidden ones left out).

    `suffixes` limits a folder to the files that count. Neither the path nor the times of anything enter.
    """
    if path.is_file():
        return sha256_file(path)
    wanted = None if suffixes is None else tuple(suffixes)
    found = []
    for folder, folders, names in os.walk(path, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and (wanted is None or name.lower().endswith(wanted)):
                file = Path(folder, name)
                found.append([file.relative_to(path).as_posix(), sha256_file(file)])
    return sha256_json(found)


def tensors_digest(tensors: Mapping[str, Any], about: Any = None) -> str:
    """Hex sha256 of tensors by name, type, shape and bytes, and of `about` (plain values that are stored with them)."""
    import torch

    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"\n{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(memoryview(value.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The parts of two identities that differ, as dotted names."""
    found = []
    for key in dict.fromkeys([*then, *now]):
        one, two = then.get(key), now.get(key)
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            found += [f"{key}.{name}" for name in differences(one, two)]
        elif one != two:
            found.append(str(key))
    return found


def write_sealed_json(path: str | os.PathLike[str], value: Mapping[str, Any]) -> dict[str, Any]:
    """Write a JSON object with the checksum of its other keys under `sha256`; returns what was written."""
    value = finite(value)
    sealed = {**value, SEAL: sha256_json(value)}
    write_json(path, sealed)
    return sealed


def read_sealed_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `write_sealed_json` wrote, without the checksum. Raises UserError if the file is damaged, edited or of another kind."""
    value = read_json(path)
    if not isinstance(value, dict) or SEAL not in value:
        raise UserError(f"{path} carries no checksum: it was edited, damaged or written by an earlier version; make it again")
    if value.pop(SEAL) != sha256_json(value):
        raise UserError(f"{path} is damaged or was edited: its contents do not fit its checksum; make it again")
    return value


def seal_file(path: Path) -> None:
    """Append the checksum of a file's bytes as its last line; readers of zip files (torch) are not disturbed by it."""
    checksum = sha256_file(path)
    with open(path, "ab") as file:
        file.write(_TRAILER + checksum.encode())


def seal_problem(path: Path) -> str | None:
    """What is wrong with a file that `seal_file` finished, in a few words; None if it is what was written."""
    try:
        left = path.stat().st_size - _TRAILER_BYTES
        if left < 0:
            return "it was cut"
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while left:
                block = file.read(min(left, 1 << 20))
                digest.update(block)
                left -= len(block)
            trailer = file.read()
    except OSError as error:
        return error.strerror or str(error)
    if not trailer.startswith(_TRAILER):
        return "it was cut or carries no checksum"
    return None if trailer == _TRAILER + digest.hexdigest().encode() else "its contents do not fit its checksum"


def require_files(folder: Path, digests: Mapping[str, str], *, cure: str) -> None:
    """Raise UserError naming the first of a folder's files whose sha256 is not the recorded one."""
    for name, recorded in digests.items():
        try:
            found = sha256_file(folder / name)
        except OSError as error:
            raise UserError(f"{folder / name} cannot be read ({error.strerror}): {cure}") from None
        if found != recorded:
            raise UserError(f"{folder / name} is damaged: its contents do not fit the recorded checksum; {cure}")


def require_recorded(path: Path, *, cure: str) -> None:
    """Raise UserError where a file is not the one whose checksum the JSON beside it (same name, ending .json) records.

    That is how scores and their summary belong together. Nothing is known where there is no such JSON, or one of an earlier
    version.
    """
    beside = path.with_suffix(".json")
    if not beside.exists():
        return
    about = read_json(beside)
    if isinstance(about, dict) and {SEAL, "files"} & about.keys():
        recorded = read_sealed_json(beside).get("files", {})
        if path.name in recorded:
            require_files(path.parent, {path.name: recorded[path.name]}, cure=cure)
