"""Premises: whether the conditions of the paper's effects hold for a teacher and photos, before anything is trained.

`sources` gives photos, with exact or measured depth where there is some; `patches` compares a teacher's local labels with its
global ones; `leak` asks how far an error of one region reaches under each normalization; `shares` which term rules a training;
`facts` gathers all of it (and `dad.report.premises` writes it down).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dad.files import read_json

if TYPE_CHECKING:
    from dad.premises.facts import gather

__all__ = ["gather", "read_facts"]


def read_facts(folder: Path) -> dict[str, Any] | None:
    """The facts that `dad premises` wrote into a folder; None if it has not."""
    path = folder / "premises.json"
    return read_json(path) if path.is_file() else None


def __getattr__(name: str) -> object:
    # measuring loads networks, reading what was measured does not
    if name == "gather":
        from dad.premises.facts import gather

        return gather
    raise AttributeError(f"module 'dad.premises' has no attribute {name!r}")
