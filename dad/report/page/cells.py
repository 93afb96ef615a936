"""Every cell of the study on the page: what was asked for, how training went, and where it ran."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import markupsafe
import pandas as pd

from dad.analysis.provenance import Facts, Provenance, read_run_record, run_facts, short_name
from dad.analysis.scores import read_csv
from dad.errors import UserError
from dad.report.page.curves import curve
from dad.study.config import Cell
from dad.study.layout import Layout


@dataclass(frozen=True)
class Run:
    """A cell and the files of its training, as far as they exist."""

    id: str
    cell: Cell
    tables: tuple[str, ...]
    """Whose rows it stands in."""
    trained: bool
    provenance: Provenance
    log: pd.DataFrame | None

    @property
    def summary(self) -> str:
        """The cell in a few words."""
        cell = self.cell
        assistant = f" + {short_name(cell.assistant.model)} ({cell.supervision})" if cell.assistant else ""
        networks = f"{short_name(cell.teacher)}{assistant} → {short_name(cell.student.model)}"
        count = f", {cell.photos.count:,} photos" if cell.photos.count else ""
        return f"{cell.mode}, {cell.normalization} normalization: {networks}{count}"

    @property
    def config(self) -> str:
        """The resolved configuration as JSON text."""
        return json.dumps(self.cell.model_dump(mode="json"), indent=2)

    @property
    def facts(self) -> Facts:
        """How its training went."""
        if not self.provenance:
            return []
        facts = run_facts([self.provenance])
        if self.provenance.get("assistant_share") is not None:
            facts.append(("Assistant's turns", f"{float(self.provenance['assistant_share']):.1%} of all"))
        return facts

    @property
    def curves(self) -> list[markupsafe.Markup]:
        """The training's curves as far as its log has them."""
        if self.log is None or self.log.empty:
            return []
        steps = self.log["step"].tolist()
        losses = {"loss": "loss"}
        if {"loss_by_teacher", "loss_by_assistant"} <= set(self.log.columns):
            losses = {"teacher's turns": "loss_by_teacher", "assistant's turns": "loss_by_assistant"}
        made = [curve(steps, {label: self.log[column].tolist() for label, column in losses.items()}, "Loss")]
        if "output_median" in self.log:
            made.append(curve(steps, {"median": self.log["output_median"].tolist()}, "Median of the output"))
        return [one for one in made if one]


def read_runs(layout: Layout, cells: Mapping[str, Cell], tables: Mapping[str, Iterable[str]]) -> list[Run]:
    """The runs of all cells; files that do not exist are left out, damaged ones raise UserError.

    tables: table -> ids of its cells.
    """
    runs = []
    for name, cell in cells.items():
        used = tuple(table for table, ids in tables.items() if name in ids)
        log = _read_log(layout.run(name) / "metrics.csv")
        runs.append(Run(name, cell, used, layout.weights(name).is_file(), read_run_record(layout, name), log))
    return runs


def learning_curves(runs: Iterable[Run]) -> list[markupsafe.Markup]:
    """Per mode and normalization of Tables 1 and 2, of training: the loss, and the agreement with the labels, which
    unlike the loss can be compared between normalizations. The mean over the seeds and, of several, the lowest and the
    highest at each step.
    """
    groups: dict[str, list[pd.DataFrame]] = {}
    for run in runs:
        if {"table1", "table2"} & set(run.tables) and run.log is not None and "agreement" in run.log:
            groups.setdefault(f"{run.cell.mode}, {run.cell.normalization}", []).append(run.log.set_index("step"))
    made = []
    for name, logs in groups.items():
        for column, title in (("agreement", "agreement with the labels"), ("loss", "loss")):
            seeds = pd.concat([log[column] for log in logs], axis=1, join="inner")
            lines = {"mean": seeds.mean(axis=1).tolist()}
            if len(logs) > 1:
                lines |= {"lowest seed": seeds.min(axis=1).tolist(), "highest seed": seeds.max(axis=1).tolist()}
            made.append(curve(seeds.index.tolist(), lines, f"{name}: {title}"))
    return [one for one in made if one]


def _read_log(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    frame = read_csv(path, "a step log")
    if not {"step", "loss"} <= set(frame.columns):
        raise UserError(f"{path} is not a step log: it has no columns step and loss")
    return frame


def cell_links(row_cells: Mapping[str, Cell], label: str) -> markupsafe.Markup:
    """The way from a table's row to its cells' configurations and curves."""
    link = markupsafe.Markup('<a href="#{0}-{1}" aria-label="{2} of seed {3} of {4}">{2}</a>')
    seeds = []
    for name, cell in row_cells.items():
        words = {"cell": f"seed {cell.seed}" if len(row_cells) > 1 else "config", "curves": "curves"}
        links = [link.format(place, name, shown, cell.seed, label) for place, shown in words.items()]
        seeds.append(markupsafe.Markup("<span>{}</span>").format(markupsafe.Markup(" ").join(links)))
    return markupsafe.Markup(" ").join(seeds)
