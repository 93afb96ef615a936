"""Every cell of the study on the page: what was asked for, how training went, and where it ran."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import markupsafe
import pandas as pd

from dad.errors import UserError
from dad.report.page.curves import curve
from dad.report.provenance import duration
from dad.report.run_facts import short_name
from dad.study.config import Cell


@dataclass(frozen=True)
class Run:
    """A cell and the files of its training, as far as they exist."""

    cell: Cell
    trained: bool
    provenance: dict[str, Any]
    log: pd.DataFrame | None


@dataclass(frozen=True)
class CellView:
    """One cell's entry."""

    id: str
    seed: int
    summary: str
    trained: bool
    config: str
    """JSON text."""
    curves: tuple[markupsafe.Markup, ...]
    facts: tuple[tuple[str, str], ...]
    tables: tuple[str, ...] = field(default=())
    command: str = ""


def read_runs(root: Path, cells: Mapping[str, Cell]) -> dict[str, Run]:
    """Cell id -> its run under ROOT/runs; files that do not exist are left out, damaged ones raise UserError."""
    runs = {}
    for name, cell in cells.items():
        folder = root / "runs" / name
        trained = (folder / "model.safetensors").is_file()
        runs[name] = Run(cell, trained, _read_json(folder / "provenance.json"), _read_log(folder / "metrics.csv"))
    return runs


def cell_views(runs: Mapping[str, Run], tables: Mapping[str, Iterable[Mapping[str, Cell]]]) -> list[CellView]:
    """tables: table -> the cells of its rows, for the way back."""
    used = {name: tuple(table for table, rows in tables.items() if any(name in row for row in rows)) for name in runs}
    return [_view(name, run, used[name]) for name, run in runs.items()]


def _view(name: str, run: Run, tables: tuple[str, ...]) -> CellView:
    cell = run.cell
    teacher = short_name(cell.teacher) + (f" + {short_name(cell.assistant.model)} ({cell.supervision})" if cell.assistant else "")
    summary = f"{cell.mode}, {cell.normalization} normalization: {teacher} → {short_name(cell.student.model)}"
    count = f", {cell.photos.count:,} photos" if cell.photos.count else ""
    config = json.dumps(cell.model_dump(mode="json"), indent=2)
    command = f"snakemake --cores 1 reports/{tables[0]}.csv" if tables else ""
    return CellView(
        name, cell.seed, summary + count, run.trained, config, tuple(_curves(run.log)), tuple(_facts(run)), tables, command
    )


def _curves(log: pd.DataFrame | None) -> Iterable[markupsafe.Markup]:
    if log is None or log.empty:
        return
    steps = log["step"].tolist()
    losses = {"loss": "loss"}
    if {"loss_by_teacher", "loss_by_assistant"} <= set(log.columns):
        losses = {"teacher's turns": "loss_by_teacher", "assistant's turns": "loss_by_assistant"}
    yield curve(steps, {label: log[column].tolist() for label, column in losses.items() if column in log}, "Loss")
    if "output_median" in log:
        yield curve(steps, {"median": log["output_median"].tolist()}, "Median of the output")


def _facts(run: Run) -> Iterable[tuple[str, str]]:
    known = run.provenance
    simple = {"started": "Started", "finished": "Finished", "device": "Hardware", "parameters": "Parameters", "steps": "Steps"}
    for key, label in simple.items():
        if known.get(key) is not None:
            value = known[key]
            yield label, f"{value:,}" if isinstance(value, int) else str(value)
    if known.get("wall_seconds") is not None:
        yield "Training time", duration(float(known["wall_seconds"]))
    if known.get("photos_used") is not None:
        yield "Photos used", f"{known['photos_used']:,} ({known.get('photos_too_small', 0):,} too small)"
    if known.get("assistant_share") is not None:
        yield "Assistant's turns", f"{float(known['assistant_share']):.1%} of all"
    if known.get("git_commit"):
        yield "Commit", known["git_commit"][:12] + (" with uncommitted changes" if known.get("git_dirty") else "")
    if known.get("dead_head_cured"):
        yield "Head", "was dead at step 0, cured"


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold an object")
    return value


def _read_log(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        frame = pd.read_csv(path)
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path} is not a step log: {' '.join(str(error).split())}") from None
    if not {"step", "loss"} <= set(frame.columns):
        raise UserError(f"{path} is not a step log: it has no columns step and loss")
    return frame
