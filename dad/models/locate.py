"""What a model's name stands for and where its weights lie on this machine. Opens, downloads and imports nothing heavy:
the check before a study reads this, and so does `load`.
"""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dad.models.catalogue import SOURCES, Source, source_of
from dad.models.config import NETWORKS
from dad.models.plugins import NO_SKILL, TEACHERS, is_plugin, module_of
from dad.plugins import entry_points

ZOO = Path(__file__).parent / "zoo"
WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".onnx")
"""Endings of files that hold weights."""
CHECKPOINTS = Path("checkpoints")
"""A folder of official files, looked into first."""
PATH_LIKE = ("./", "../", "/", "~", "results/", "runs/", "work/", "checkpoints/")
"""Beginnings by which a name is a path of this machine and no repository's."""

How = Literal["zoo", "path", "network", "hub", "plugin", "unknown"]


@dataclass(frozen=True)
class Located:
    """A model's name, understood.

    how: `zoo` (shipped), `path` (a file or folder here), `network` (an official file under its network's name), `hub`
    (a Hugging Face repository), `plugin` (a class, of another package or of this one without weights) or `unknown`.
    """

    name: str
    how: How
    path: Path | None = None
    """The weights file or folder, where it is on this machine; for a plugin its module's file, where that is known."""
    repository: str = ""
    """The Hugging Face repository that the name stands for, if there is one."""
    file: str | None = None
    """The file inside the repository; None for all of it."""
    problem: str = ""
    """Why it cannot be loaded without a download, in one line with what to do; empty where it can."""


def zoo_names() -> list[str]:
    """The models shipped with the package."""
    return sorted(f"zoo/{path.stem}" for path in ZOO.glob("*.safetensors"))


def split_network(text: str) -> tuple[str | None, str]:
    """`NETWORK:PATH`, by which a user says what a file holds, into its parts; (None, text) for anything else."""
    network, colon, rest = text.partition(":")
    return (network, rest) if colon and rest and network in NETWORKS else (None, text)


_FILES: dict[str, str] = {}


def use_files(files: Mapping[str, str]) -> None:
    """Let models' names stand for these files in this process: a study's `weights`. Forgets those of earlier calls."""
    _FILES.clear()
    _FILES.update(files)


def stands_for(name: str) -> str:
    """The file that a study gives for a model's name, else the name; what a network's name says of the file is kept."""
    file = _FILES.get(name)
    if file is None:
        return name
    return f"{name}:{file}" if name in NETWORKS else file


def locate(name_or_path: str | Path) -> Located:
    """What a name stands for: see `Located`. A path that exists is a path, whatever else it looks like."""
    name = stands_for(str(name_or_path))
    text = split_network(name)[1]
    given = Path(text).expanduser()
    if _exists(given):
        return Located(name, "path", given)
    if text.startswith("zoo/"):
        member = ZOO / f"{text.removeprefix('zoo/')}.safetensors"
        if member.exists():
            return Located(name, "zoo", member)
        shipped = ", ".join(zoo_names()) or "none"
        return Located(name, "zoo", problem=f"unknown zoo model {text!r}; shipped: {shipped}{_suggestion(text)}")
    if is_plugin(text):
        path, problem = module_of(text)
        return Located(name, "plugin", path, problem=problem)
    source = source_of(text)
    if source is not None:
        return _official(name, source)
    repository, file = hub_parts(text)
    if not repository:
        return Located(name, "unknown", problem=_unknown(text))
    found = in_hub_cache(repository, file)
    if found is None and looks_like_path(text):
        return Located(name, "unknown", problem=_unknown(text))
    problem = "" if found else f"{name}: not in the Hugging Face cache ({repository}); downloaded when first used"
    return Located(name, "hub", found, repository, file, problem)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for a file
        return False


def looks_like_path(text: str) -> bool:
    """Whether a name that does not exist was meant as a path: such a name is never asked of a hub.

    It begins as paths of this project do, or its first folder is here, or it is FOLDER/FILE with the ending of a
    weights file.
    """
    parts = text.split("/")
    if text.startswith(PATH_LIKE) or (len(parts) > 1 and Path(parts[0]).is_dir()):
        return True
    return len(parts) < 3 and text.endswith(WEIGHTS)


def hub_parts(text: str) -> tuple[str, str | None]:
    """The repository and file that a name of the form `org/repository[/file]` speaks of; ("", None) for any other."""
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/(.+))?", text)
    if found is None or text.startswith((".", "/", "~")):
        return "", None
    repository, file = found[1], found[2]
    # deeper names without a weights file's ending are folders: results/mini/runs/CELL
    return ("", None) if file is not None and not file.endswith(WEIGHTS) else (repository, file)


def hub_cache() -> Path:
    """Where the Hugging Face library keeps what it downloaded."""
    home = Path(
        os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
    )
    return Path(os.environ.get("HF_HUB_CACHE") or home.expanduser() / "hub").expanduser()


def in_hub_cache(repository: str, file: str | None = None) -> Path | None:
    """The cached snapshot of a repository, or the file in it; None if it is not there."""
    folder = hub_cache() / f"models--{repository.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text().strip()
    except OSError:
        return None
    found = folder / "snapshots" / commit / (file or "")
    return found if found.exists() else None


def torch_cache(file: str) -> Path:
    """Where PyTorch's hub keeps a file of this name."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints" / Path(file).name


def _official(name: str, source: Source) -> Located:
    here = CHECKPOINTS / (source.here or Path(source.file).name)
    if here.is_file():
        return Located(name, "network", here, source.repository, source.file)
    if source.repository:
        found = in_hub_cache(source.repository, source.file)
        missing = f"{name}: not in the Hugging Face cache ({source.repository}); downloaded when first used"
        return Located(name, "network", found, source.repository, source.file, "" if found else missing)
    cached = torch_cache(source.file)
    if cached.exists():
        return Located(name, "network", cached)
    missing = (
        f"no weights for {source.network}: get {cached.name} from {source.url} and put it into {cached.parent}, or "
        "give its path"
    )
    return Located(name, "network", problem=f"{missing}, or give its path")


def _unknown(text: str) -> str:
    what = "a network's name, a run folder, a weights file, a Hugging Face name or package.module:Class"
    return f"no model {text!r}: give one of {', '.join(zoo_names())}, {what} (docs/checkpoints.md){_suggestion(text)}"


def _suggestion(text: str) -> str:
    known = [*zoo_names(), *(source.network for source in SOURCES), *entry_points(TEACHERS), *NO_SKILL]
    close = difflib.get_close_matches(text, known, n=1, cutoff=0.7)
    return f"; did you mean {close[0]!r}?" if close else ""
