"""The columns of a table on the page: per data set ours with its interval, the printed number, or the paired difference."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from dad.report.text import NOTHING, bounds, number, p_value, signed
from dad.study.cells import Row
from dad.study.paper import paper

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


def groups_of(
    table: str, rows: Sequence[Row], blocks: Sequence[tuple[str, ...]], lines: Sequence[pd.DataFrame], numbers: pd.DataFrame
) -> Iterable[Group]:
    """View by view and data set by data set; a data set without any number in a view has no group there."""
    places = numbers[["dataset", "stands_for"]].drop_duplicates("dataset").itertuples(index=False)
    for dataset, stands_for in list(places):
        for metric in METRICS:
            found = [_line(part, dataset, metric) for part in lines]
            column = stands_for or paper().dataset_name(dataset) or ""
            ours = _ours(found, blocks, metric)
            theirs = _printed(table, rows, blocks, column, metric)
            columns = [Column("ours", "ours", ours)] if any(value.sort is not None for value in ours) else []
            if any(value.sort is not None for value in theirs):
                columns.append(Column("printed", "printed", theirs))
            if columns:
                yield Group(metric, dataset, stands_for, tuple(columns))
            if metric == "abs_rel" and (differences := _differences(found, difference_names(numbers))):
                yield Group("difference", dataset, stands_for, differences)


def _line(part: pd.DataFrame, dataset: str, metric: str) -> pd.Series | None:
    match = part[(part["dataset"] == dataset) & (part["metric"] == metric)]
    return None if match.empty else match.iloc[0]


def _ours(found: Sequence[pd.Series | None], blocks: Sequence[tuple[str, ...]], metric: str) -> tuple[Value, ...]:
    known = [line for line in found if line is not None and not math.isnan(line["mean"])]
    ends = [value for line in known for value in (line["ci_low"], line["ci_high"], line["mean"]) if not math.isnan(value)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
    best = _best([None if line is None else line["mean"] for line in found], blocks, metric)
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


def _printed(table: str, rows: Sequence[Row], blocks: Sequence[tuple[str, ...]], column: str, metric: str) -> tuple[Value, ...]:
    found = [paper().number(table, row.factors, column, metric) if column else None for row in rows]
    best = _best([None if one is None else one.value for one in found], blocks, metric)
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


def _best(values: Sequence[float | None], blocks: Sequence[tuple[str, ...]], metric: str) -> list[bool]:
    """Which values read as the best of their block; ties after rounding are all best, as in the paper."""
    choose = min if paper().metrics[metric].better == "lower" else max
    rounded = [None if value is None or math.isnan(value) else round(value, paper().decimals) for value in values]
    leads = []
    for value, block in zip(rounded, blocks, strict=True):
        rivals = [other for other, one in zip(rounded, blocks, strict=True) if other is not None and one == block]
        leads.append(value is not None and len(rivals) > 1 and value == choose(rivals))
    return leads


def difference_names(numbers: pd.DataFrame) -> tuple[str, ...]:
    """The file's columns of differences: to the reference row where it has one, else to the best row."""
    for names in (
        ("ref_difference", "ref_low", "ref_high", "ref_p_holm", "ref_effect"),
        ("difference_to_best", "diff_low", "diff_high", "p_holm", "effect"),
    ):
        if set(names) <= set(numbers) and numbers[names[0]].notna().any():
            return names
    return ()
