"""A table as the page shows it: the study's rows, the numbers of REPORTS/<table>.csv, the printed ones and their notes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dad.errors import UserError
from dad.report.run_facts import short_name
from dad.report.text import NOTHING, bounds, number, p_value, signed
from dad.study.cells import TABLES, Row, table_rows
from dad.study.config import StudyConfig
from dad.study.paper import PaperTable, paper

METRICS = ("abs_rel", "delta1")


@dataclass(frozen=True)
class Value:
    """One number of a table and how it is shown."""

    text: str = NOTHING
    sort: float | None = None
    """What sorting compares; None comes last."""
    interval: str = ""
    whisker: tuple[float, float, float] | None = None
    """Low end, mean and high end in per cent of the column's range."""
    best: bool = False
    percent: str = ""
    """Change to the base row."""
    notes: tuple[str, ...] = ()
    foreign: bool = False
    """Printed under another protocol than the paper's own."""


@dataclass(frozen=True)
class Column:
    """One column below a data set's heading."""

    label: str
    kind: str
    """`ours`, `printed` or `difference`."""
    values: tuple[Value, ...]
    """One per row of the table."""


@dataclass(frozen=True)
class Group:
    """The columns of one data set in one of the table's views."""

    view: str
    dataset: str
    stands_for: str
    columns: tuple[Column, ...]


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
    groups = tuple(_groups(table, rows, shown, lines, numbers))
    values = [value for group in groups for column in group.columns for value in column.values]
    notes = {note for value in values for note in value.notes}
    views = [(metric, paper().metrics[metric].arrow) for metric in METRICS if any(group.view == metric for group in groups)]
    if any(group.view == "difference" for group in groups):
        views.append(("difference", f"{paper().metrics['abs_rel'].label} differences"))
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


def _read(path: Path, layout: PaperTable) -> pd.DataFrame:
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


def _row(layout: PaperTable, row: Row) -> RowView:
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


def _difference_names(numbers: pd.DataFrame) -> tuple[str, ...]:
    """The file's columns of differences: to the reference row where it has one, else to the best row."""
    for names in (
        ("ref_difference", "ref_low", "ref_high", "ref_p_holm", "ref_effect"),
        ("difference_to_best", "diff_low", "diff_high", "p_holm", "effect"),
    ):
        if set(names) <= set(numbers) and numbers[names[0]].notna().any():
            return names
    return ()


def _reference(numbers: pd.DataFrame) -> str:
    names = _difference_names(numbers)
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


def _groups(
    table: str, rows: Sequence[Row], shown: Sequence[RowView], lines: Sequence[pd.DataFrame], numbers: pd.DataFrame
) -> Iterable[Group]:
    """View by view and data set by data set; a data set without any number in a view has no group there."""
    places = numbers[["dataset", "stands_for"]].drop_duplicates("dataset").itertuples(index=False)
    for dataset, stands_for in list(places):
        for metric in METRICS:
            found = [_line(part, dataset, metric) for part in lines]
            column = stands_for or paper().dataset_name(dataset) or ""
            ours = _ours(found, shown, metric)
            theirs = _printed(table, rows, shown, column, metric)
            columns = [Column("ours", "ours", ours)] if any(value.sort is not None for value in ours) else []
            if any(value.sort is not None for value in theirs):
                columns.append(Column("printed", "printed", theirs))
            if columns:
                yield Group(metric, dataset, stands_for, tuple(columns))
            if metric == "abs_rel" and (differences := _differences(found, _difference_names(numbers))):
                yield Group("difference", dataset, stands_for, differences)


def _line(part: pd.DataFrame, dataset: str, metric: str) -> pd.Series | None:
    match = part[(part["dataset"] == dataset) & (part["metric"] == metric)]
    return None if match.empty else match.iloc[0]


def _ours(found: Sequence[pd.Series | None], shown: Sequence[RowView], metric: str) -> tuple[Value, ...]:
    known = [line for line in found if line is not None and not math.isnan(line["mean"])]
    ends = [value for line in known for value in (line["ci_low"], line["ci_high"], line["mean"]) if not math.isnan(value)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
    best = _best([None if line is None else line["mean"] for line in found], shown, metric)
    values = []
    for line, leads in zip(found, best, strict=True):
        if line is None or math.isnan(line["mean"]):
            values.append(Value())
            continue
        triple = (line["ci_low"], line["mean"], line["ci_high"])
        drawable = high > low and not any(map(math.isnan, triple))
        whisker = tuple(round(100 * (value - low) / (high - low), 1) for value in triple) if drawable else None
        interval, change = bounds(line["ci_low"], line["ci_high"]), _percent(line.get("percent", math.nan))
        values.append(Value(number(line["mean"]), float(line["mean"]), interval, whisker, leads, change))
    return tuple(values)


def _printed(table: str, rows: Sequence[Row], shown: Sequence[RowView], column: str, metric: str) -> tuple[Value, ...]:
    found = [paper().number(table, row.factors, column, metric) if column else None for row in rows]
    best = _best([None if one is None else one.value for one in found], shown, metric)
    return tuple(
        Value()
        if one is None
        else Value(
            number(one.value), one.value, best=leads, percent=_percent(one.percent), notes=one.notes, foreign=paper().foreign(one)
        )
        for one, leads in zip(found, best, strict=True)
    )


def _percent(change: float | None) -> str:
    """`−14.6 %`, or nothing."""
    return "" if change is None or math.isnan(change) else f"{change:+.1f} %".replace("-", "−")


def _differences(found: Sequence[pd.Series | None], names: tuple[str, ...]) -> tuple[Column, ...]:
    """Difference with its interval, p and effect size; nothing where the file has none."""
    if not names or all(line is None or math.isnan(line[names[0]]) for line in found):
        return ()
    parts: dict[str, list[Value]] = {"difference": [], "p": [], "r": []}
    for line in found:
        if line is None or math.isnan(line[names[0]]):
            for values in parts.values():
                values.append(Value())
            continue
        difference, low, high, p, effect = (float(line[name]) for name in names)
        itself = difference == 0 and math.isnan(p)
        interval = "" if itself else bounds(low, high, signs=True)
        parts["difference"].append(Value("reference" if itself else signed(difference), difference, interval))
        parts["p"].append(Value(p_value(p), None if math.isnan(p) else p))
        parts["r"].append(Value(NOTHING if math.isnan(effect) else signed(effect, more=-1), None if math.isnan(effect) else effect))
    return tuple(Column(label, "difference", tuple(values)) for label, values in parts.items())


def _best(values: Sequence[float | None], shown: Sequence[RowView], metric: str) -> list[bool]:
    """Which values read as the best of their block; ties after rounding are all best, as in the paper."""
    choose = min if paper().metrics[metric].better == "lower" else max
    rounded = [None if value is None or math.isnan(value) else round(value, paper().decimals) for value in values]
    leads = []
    for value, row in zip(rounded, shown, strict=True):
        rivals = [other for other, one in zip(rounded, shown, strict=True) if other is not None and one.block == row.block]
        leads.append(value is not None and len(rivals) > 1 and value == choose(rivals))
    return leads
