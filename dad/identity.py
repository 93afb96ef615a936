"""What a result belongs to, and whether a stored thing still is what was written: one mechanism for all stages.

An identity is a mapping of parts (photos, weights, code stage, plan, ...) to digests of their contents or to plain
values. It is stored beside what was made from these parts and compared before that is used again: paths, names and
times play no role. Everything stored carries a checksum that is compared when it is read: tensors in the header of
their file, JSON in a key of its own, other files in a last line.
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
TRAILER = b"\nsha256 "
"""What stands between a file's bytes and their checksum."""
RECORD = "provenance.json"
"""The sealed JSON of a finished run, which also records the checksums of the files beside it."""


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
    """What `write_sealed_json` wrote, without the checksum. UserError if it is damaged, edited or of another kind."""
    return _opened(read_json(path), path)


def _opened(value: Any, path: str | os.PathLike[str]) -> dict[str, Any]:
    """A sealed JSON value without its checksum, which must fit."""
    if not isinstance(value, dict) or SEAL not in value:
        raise UserError(
            f"{path} carries no checksum: it was edited, damaged or written by an earlier version; make it again"
        )
    if value.pop(SEAL) != sha256_json(value):
        raise UserError(f"{path} is damaged or was edited: its contents do not fit its checksum; make it again")
    return value


def seal_file(path: Path, *, trailer: bytes = TRAILER) -> None:
    """Append `trailer` and the checksum of a file's bytes; readers of zip files (torch) do not mind the usual one."""
    checksum = sha256_file(path)
    with open(path, "ab") as file:
        file.write(trailer + checksum.encode())


def seal_problem(path: Path, *, trailer: bytes = TRAILER) -> str | None:
    """What is wrong with a file that `seal_file` finished, in a few words; None if it is what was written."""
    try:
        left = path.stat().st_size - len(trailer) - 64
        if left < 0:
            return "it was cut"
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while left:
                block = file.read(min(left, 1 << 20))
                digest.update(block)
                left -= len(block)
            found = file.read()
    except OSError as error:
        return error.strerror or str(error)
    if not found.startswith(trailer):
        return "it was cut or carries no checksum"
    return None if found == trailer + digest.hexdigest().encode() else "its contents do not fit its checksum"


def require_files(folder: Path, digests: Mapping[str, str], *, cure: str) -> None:
    """Raise UserError naming the first of a folder's files whose sha256 is not the recorded one."""
    for name, recorded in digests.items():
        try:
            found = sha256_file(folder / name)
        except OSError as error:
            raise UserError(f"{folder / name} cannot be read ({error.strerror}): {cure}") from None
        if found != recorded:
            raise UserError(f"{folder / name} is damaged: its contents do not fit the recorded checksum; {cure}")


def read_record(path: Path, *, files: Iterable[str] = (), cure: str = "make it again") -> dict[str, Any]:
    """A JSON object that records files beside it (a run's `provenance.json`, the summary of scores), without its
    checksum.

    Its own checksum is compared, and of `files` (names) those that are there. Nothing is compared in one of an earlier
    version, which has neither a checksum nor records. Raises UserError for what is damaged, edited, or no JSON object.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold an object")
    if not {SEAL, "files"} & value.keys():
        return value
    value = _opened(value, path)
    recorded = {
        name: digest
        for name, digest in value.get("files", {}).items()
        if name in files and (path.parent / name).exists()
    }
    require_files(path.parent, recorded, cure=cure)
    return value


def require_recorded(path: Path, *, cure: str, record: str | None = None) -> None:
    """Raise UserError where a file is not the one whose checksum the JSON beside it records.

    `record` is the name of that JSON; by default the file's own, ending .json: that is how scores and their summary
    belong together. Nothing is known where there is no such JSON.
    """
    beside = path.with_name(record) if record else path.with_suffix(".json")
    if beside.exists():
        read_record(beside, files=(path.name,), cure=cure)


def require_of_weights(summary: Mapping[str, Any], run: Mapping[str, Any], path: Path, name: str) -> None:
    """Raise UserError where a summary of scores (at `path`) is of other weights than those of the run whose record is
    `run`.

    Nothing is known where one of them, of an earlier version or a prediction of others, names none.
    """
    scored, trained = summary.get("weights"), (run.get("files") or {}).get("model.safetensors")
    if None not in (scored, trained) and scored != trained:
        raise UserError(f"{path} holds the scores of other weights than {name} has now: evaluate {name} again")
