"""Checksums of rendered scenes: truth that was damaged on the disk must not become a score.

ROOT/checksums.json has the sha256 of every file of the scenes by its name below ROOT. The renderer writes it before
`scenes.json`; folders of earlier versions have none, and then nothing is compared.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from dad.errors import UserError
from dad.files import read_regular, sha256_file
from dad.identity import read_sealed_json, write_sealed_json

FILE = "checksums.json"
PARTS = {"rgb": ".png", "depth": ".npy", "lidar": ".npy", "camera": ".json"}
"""Folders of a scene's files, and the endings of these."""


def scene_files(root: Path, indices: Iterable[int]) -> list[str]:
    """Names of the files that scenes have, below `root`; `lidar` only where there is some."""
    parts = {part: ending for part, ending in PARTS.items() if (root / part).is_dir()}
    return [f"{part}/{index:06d}{ending}" for index in indices for part, ending in parts.items()]


def read_checksums(root: Path) -> dict[str, str]:
    """Name -> sha256; empty for a folder of an earlier version. Raises UserError where the record itself is damaged."""
    if not (root / FILE).is_file():
        return {}
    files = read_sealed_json(root / FILE).get("files")
    if not isinstance(files, dict):
        raise UserError(f"{root / FILE} is damaged: remove it and render the scenes again")
    return files


def write_checksums(root: Path, count: int, known: Mapping[str, str]) -> None:
    """Record scenes 0 to `count` - 1; what is `known` is not read again."""
    names = scene_files(root, range(count))
    write_sealed_json(root / FILE, {"files": {name: known.get(name) or sha256_file(root / name) for name in names}})


def damaged(root: Path, indices: Iterable[int], known: Mapping[str, str]) -> list[int]:
    """The scenes one of whose recorded files is gone or holds something else."""
    found = []
    for index in indices:
        recorded = {name: known[name] for name in scene_files(root, [index]) if name in known}
        if any(not (root / name).is_file() or sha256_file(root / name) != digest for name, digest in recorded.items()):
            found.append(index)
    return found


def read_file(root: Path, name: str, known: Mapping[str, str]) -> bytes:
    """The bytes of a scene's file. Raises ValueError if they are not those recorded, OSError if there are none."""
    data = read_regular(root / name)
    if name in known and hashlib.sha256(data).hexdigest() != known[name]:
        raise ValueError("its contents do not fit the recorded checksum")
    return data
