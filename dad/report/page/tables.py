"""A table as the page shows it: the study's rows, the numbers of REPORTS/<table>.csv, the printed ones and their notes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dad.errors import UserError
from dad.report.page.columns import METRICS, Group, difference_names, groups_of
from dad.report.run_facts import short_name
from dad.study.cells import TABLES, Row, table_rows
from dad.study.config import StudyConfig
from dad.study.paper import Table, paper


@dataclass(frozen=True)
class Label:
    """How a level of a factor is written, and what sorting compares."""

    text: str
    sort: str | float


@dataclass(frozen=True)
class RowView:
    """One row: its factors, and what stands in it."""

    labels: tuple[Label, ...]
    seeds: tuple[tuple[int, str], ...]
    """(seed, cell id) of its students."""
    model: str
    reason: str
    block: tuple[str, ...]


@dataclass(frozen=True)
class TableView:
    """A table, or the command that makes it."""

    name: str
    heading: str
    title: str
    caption: str
    command: str
    headings: tuple[str, ...] = ()
    rows: tuple[RowView, ...] = ()
    groups: tuple[Group, ...] = ()
    views: tuple[tuple[str, str], ...] = ()
    """(name, label) of what can be shown."""
    coverage: str = ""
    stale: bool = False
    """The file's cells are not this study's: its numbers belong to another configuration."""
    reference: str = ""
    """What differences are to."""
    notes: tuple[str, ...] = ()
    foreign: bool = False

    @property
    def not_run(self) -> list[tuple[str, list[str]]]:
        """Reason -> the rows that have it, in words."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            if row.reason:
                found.setdefault(row.reason, []).append(", ".join(label.text for label in row.labels))
        return list(found.items())

    @property
    def made(self) -> bool:
        """Whether there are numbers."""
        return bool(self.groups)


def table_views(study: StudyConfig, reports: Path) -> list[TableView]:
    """Every table of the study, in the paper's order."""
    return [table_view(study, table, reports / f"{table}.csv") for table in TABLES]


def table_view(study: StudyConfig, table: str, path: Path) -> TableView:
    """One table. Raises UserError if its file is there and can not be read as one."""
    layout = paper().table(table)
    plain = TableView(table, layout.name, layout.title, layout.caption, f"snakemake --cores 1 reports/{table}.csv")
    if not path.is_file():
        return plain
    rows = table_rows(study, table)
    numbers = _read(path, layout)
    shown = [_row(layout, row) for row in rows]
    lines = [_lines_of(numbers, row) for row in rows]
    groups = tuple(groups_of(table, rows, [row.block for row in shown], lines, numbers))
    values = [value for group in groups for column in group.columns for value in column.values]
    notes = {note for value in values for note in value.notes}
    views = [(metric, paper().metrics[metric].arrow) for metric in METRICS if any(group.view == metric for group in groups)]
    if any(group.view == "difference" for group in groups):
        views.append(("difference", "differences"))
    return TableView(
        name=table,
        heading=layout.name,
        title=layout.title,
        caption=layout.caption,
        command=plain.command,
        headings=tuple(layout.headings[factor] for factor in layout.factors),
        rows=tuple(shown),
        groups=groups,
        views=tuple(views),
        coverage=_coverage(numbers),
        stale=_is_stale(rows, lines),
        reference=_reference(numbers),
        notes=tuple(note for note in paper().notes if note in notes),
        foreign=any(value.foreign for value in values),
    )


def _read(path: Path, layout: Table) -> pd.DataFrame:
    texts = ["cell", *layout.factors, "dataset", "protocol", "metric", "stands_for", "reason", "reference"]
    try:
        frame = pd.read_csv(
            path, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=[""], float_precision="round_trip"
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path} is not a table of results: {' '.join(str(error).split())}") from None
    if absent := [name for name in (*layout.factors, "dataset", "metric", "mean", "ci_low", "ci_high") if name not in frame]:
        raise UserError(f"{path} has no column {', '.join(absent)}; make it again")
    for name in texts:
        frame[name] = frame[name].fillna("") if name in frame else ""
    return frame


def _row(layout: Table, row: Row) -> RowView:
    labels = []
    for factor, level in row.factors.items():
        text = layout.label(factor, level)
        labels.append(Label(text, float(level) if level.isdigit() else text.lower()))
    seeds = tuple((cell.seed, name) for name, cell in row.cells.items())
    block = tuple(row.factors[factor] for factor in layout.block)
    return RowView(tuple(labels), seeds, short_name(row.model) if row.model else "", row.reason or "", block)


def _lines_of(numbers: pd.DataFrame, row: Row) -> pd.DataFrame:
    chosen = pd.Series(True, index=numbers.index)
    for factor, level in row.factors.items():
        chosen &= numbers[factor] == level
    return numbers[chosen]


def _reference(numbers: pd.DataFrame) -> str:
    names = difference_names(numbers)
    if not names or names[0] == "difference_to_best":
        return "the best row of the table"
    known = sorted(set(numbers["reference"]) - {""})
    return f"the reference row ({', '.join(known)})" if known else "the reference row"


def _is_stale(rows: Iterable[Row], lines: Iterable[pd.DataFrame]) -> bool:
    """Whether a row that this study trains has numbers of other cells, or none."""
    return any(
        name not in written
        for row, found in zip(rows, lines, strict=True)
        for name in row.cells
        for written in (found["cell"] if len(found) else [""])
    )


def _coverage(numbers: pd.DataFrame) -> str:
    seeds = sorted({int(count) for count in numbers.get("seeds", pd.Series(dtype=float)).dropna()})
    if not seeds or seeds == [1]:
        return "One seed: the intervals cover the images only, and say nothing about how far another training would end up."
    return f"Up to {seeds[-1]} seeds: the intervals cover images and seeds, roughly, as so few seeds say little about their spread."
