"""Outputs never meet inputs: what every verb that reads and writes asks before it works."""

import errno
import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from dad.errors import UserError

Place = str | os.PathLike[str]

DATA = (
    ".jpg",
    ".jpeg",
    ".jfif",
    ".jpe",
    ".png",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".npy",
    ".npz",
    ".mat",
    ".h5",
    ".tar",
    ".safetensors",
    ".pth",
    ".pt",
)
"""Endings of what a search takes for input; a table of scores beside the images it is about is found by none."""

WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".json")
"""Endings of the files that make a model's folder."""


def check_outputs(
    *,
    files: Mapping[str, Place | None] | None = None,
    folders: Mapping[str, Place | None] | None = None,
    searched: Mapping[str, Place | Iterable[Place] | None] | None = None,
    read: Mapping[str, Place | Iterable[Place] | None] | None = None,
) -> None:
    """Refuse, before any work, outputs that would replace or join what is read.

    files, folders: the outputs by their option, e.g. {"--out": path}; None is one that was not asked for. searched:
    inputs whose folders are looked through: no output folder may lie in them, and no output file that the search would
    take (`DATA`); read: single files (of a folder: itself), which no output may be. Two outputs may not be one, however
    they are written: links, `..`, and names that differ in case or Unicode form only, which are one on the file systems
    of other machines. An output must be of its kind and creatable.

    Raises UserError with one line that names both options and the path.
    """
    taken: dict[str, str] = {}
    sources = [
        (name, Path(path))
        for given in (searched, read)
        for name, paths in (given or {}).items()
        for path in _several(paths)
    ]
    walked = {name: [Path(path).resolve() for path in _several(paths)] for name, paths in (searched or {}).items()}
    for kind, outputs in (("file", files), ("folder", folders)):
        for option, place in (outputs or {}).items():
            if place is None:
                continue
            path = Path(place)
            _require_kind(option, path, kind)
            for name, source in sources:
                if _same(path, source):
                    raise UserError(f"{option} {path} is {name}, which is read: give another {kind}")
            taken_up = kind == "folder" or path.suffix.lower() in DATA
            for name, roots in walked.items():
                if taken_up and any(root.is_dir() and path.resolve().is_relative_to(root) for root in roots):
                    raise UserError(
                        f"{option} {path} lies inside {name}, which is searched for inputs: give a {kind} outside it"
                    )
            if (other := taken.setdefault(identity(path), option)) != option:
                raise UserError(f"{option} {path} is the same as {other}: give each its own")


def model_files(model: Place | None) -> list[Path]:
    """What is read of a model that is given as a file, NETWORK:FILE or a folder; nothing for a name."""
    if model is None:
        return []
    for path in (Path(model), Path(str(model).partition(":")[2] or os.devnull)):
        if path.is_file():
            return [path]
        if path.is_dir():
            return [path, *(file for file in path.iterdir() if file.suffix in WEIGHTS and file.is_file())]
    return []


def identity(path: Place) -> str:
    """What two paths of one file have in common: links and `..` followed, case and Unicode form taken away."""
    return unicodedata.normalize("NFC", str(Path(path).resolve())).casefold()


def _several(paths: Place | Iterable[Place] | None) -> list[Place]:
    if paths is None:
        return []
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def _same(path: Path, other: Path) -> bool:
    """Whether two paths are one file, by name or by hard link."""
    try:
        return path.samefile(other)
    except OSError:
        return path.resolve() == other.resolve()


def _require_kind(option: str, path: Path, kind: str) -> None:
    """An output file must not be a folder, an output folder not a file, and the folder it goes into must be one."""
    if "\0" in str(path):
        raise UserError(f"{option} {str(path)!r}: a name cannot hold a NUL")
    try:
        if path.is_symlink() and not path.exists() and path.resolve() == path.absolute():
            raise UserError(f"{option} {path} is a link to itself")
        if kind == "file" and path.is_dir():
            raise UserError(f"{option} {path} is a folder: give the file to write")
        if path.exists() and not (path.is_file() if kind == "file" else path.is_dir()):
            raise UserError(
                f"{option} {path} is {'a file' if path.is_file() else 'no regular file'}: give a {kind} to write"
            )
        above = path if kind == "folder" else path.parent
        while not above.exists() and above != above.parent:
            above = above.parent
        if not above.is_dir():
            raise UserError(f"{option} {path} lies below {above}, which is a file: give another {kind}")
        if not os.access(above, os.W_OK | os.X_OK):
            raise UserError(f"{option} {path}: {above} cannot be written: give another {kind}")
    except OSError as error:
        reason = "its name is too long" if error.errno == errno.ENAMETOOLONG else error.strerror
        raise UserError(f"{option} {path} cannot be written: {reason}") from None
    except RuntimeError:  # Path.resolve on a loop of links
        raise UserError(f"{option} {path} cannot be written: its links lead back to themselves") from None
