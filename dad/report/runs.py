"""What a table's trainings tell of themselves beside their scores: starts that had to be cured, shares of the loss, sizes of
inputs, and the study's premises. Read from files; what is not there says nothing.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dad.identity import read_record
from dad.report.provenance import Provenance, read_run_record
from dad.study.layout import Layout
from dad.study.modes import TERMS

Shares = dict[str, tuple[float, float]]
"""Term of eq. 9 -> its share of the objective at the start and at the end."""


def start_remark(run: Provenance) -> str:
    """What was wrong with a training's start or end, in words; empty for a sound one."""
    remarks = []
    if run.get("dead_head_cured"):
        remarks.append("its head was dead at the first step, and its bias was raised")
    if run.get("inverted_start_cured"):
        remarks.append("its maps began inside out, and were turned over")
    agreement = run.get("agreement")
    if isinstance(agreement, int | float) and agreement <= 0:
        remarks.append(f"its maps do not follow its labels at the end (correlation {agreement:+.2f})")
    return "; ".join(remarks)


def starts(layout: Layout, cells: Iterable[str]) -> dict[str, str]:
    """Cell -> `start_remark`, for those that have one."""
    found = {cell: start_remark(read_run_record(layout, cell)) for cell in cells}
    return {cell: remark for cell, remark in found.items() if remark}


def shares(layout: Layout, cells: Iterable[str]) -> Shares:
    """The mean over a row's trainings; empty where one has no step log with the terms of its loss."""
    from dad.errors import UserError
    from dad.premises.shares import term_shares

    try:
        runs = [term_shares(layout.run(cell)) for cell in cells]
    except UserError:
        return {}
    terms = [term for term in TERMS if any(term in run["start"] for run in runs)]
    return {
        term: (float(np.mean([run["start"][term] for run in runs])), float(np.mean([run["end"][term] for run in runs])))
        for term in terms
    }


def input_size(summaries: Iterable[Path]) -> int | None:
    """The size at which a subject was scored, as the first of its summaries that says it does; None where none does."""
    known = (read_record(path) for path in summaries if path.is_file())
    return next((size for one in known if (size := one.get("input_size")) is not None), None)


def failed_premises(facts: Mapping[str, Any] | None) -> list[str]:
    """The statements that do not hold, with what was found."""
    return [f"{one['statement']} {one['finding']}" for one in (facts or {}).get("premises", ()) if one["holds"] is False]
