"""Premises: whether the conditions of the paper's effects hold for a teacher and photos, before anything is trained.

`sources` gives photos, with exact or measured depth where there is some; `patches` compares a teacher's local labels
with its global ones; `leak` asks how far an error of one region reaches under each normalization; `shares` which term
rules a training; `facts` gathers all of it (and `dad.report.premises` writes it down).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dad.errors import UserError
from dad.identity import read_record

if TYPE_CHECKING:
    from dad.premises.facts import gather

__all__ = ["gather", "read_facts"]


def read_facts(folder: Path) -> dict[str, Any] | None:
    """The facts that `dad premises` wrote into a folder; None if it has not."""
    path = folder / "premises.json"
    if not path.is_file():
        return None
    cure = "measure the premises again (`dad premises`)"
    facts = read_record(path, cure=cure)
    told, needed = facts.get("premises"), {"statement", "finding", "holds"}
    if not isinstance(told, list) or not all(isinstance(one, dict) and needed <= one.keys() for one in told):
        raise UserError(f"{path} does not hold what was measured: {cure}")
    return facts


def __getattr__(name: str) -> object:
    # measuring loads networks, reading what was measured does not
    if name == "gather":
        from dad.premises.facts import gather

        return gather
    raise AttributeError(f"module 'dad.premises' has no attribute {name!r}")
