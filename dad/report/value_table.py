"""The table itself as Markdown: blocks and rows as in the paper, ours with intervals, the printed numbers beside them."""

import math
from collections.abc import Sequence
from string import ascii_lowercase

from dad.report.results import Column, TableResult
from dad.report.run_facts import short_name
from dad.report.text import NOTHING, bounds, markdown_table, number, percent
from dad.study.cells import Row
from dad.study.paper import Metric, paper

FOREIGN = "‡"
"""Marks printed numbers that follow another protocol than the paper's own."""


def value_table(result: TableResult, metric: str) -> list[str]:
    """One metric of a table: the teachers that are no rows, then the rows; per column ours and, where there is one, the printed
    number; at the end the printed columns that this study has no data set for.
    """
    layout, measure = result.layout, paper().metrics[metric]
    beside = {column.dataset: any(result.printed(row, column, metric) for row in result.rows) for column in result.columns}
    absent = [Column(name, name, stand_in=False) for name in result.unscored]
    absent = [column for column in absent if any(result.printed(row, column, metric) for row in result.rows)]
    header = [layout.headings[factor] for factor in layout.factors]
    for column in result.columns:
        header.append(f"ours: {column.title if column.stand_in else column.dataset}, {measure.arrow}")
        if beside[column.dataset]:
            header.append(f"printed: {column.paper}, {measure.arrow}")
    header += [f"printed: {column.paper}, {measure.arrow}" for column in absent]
    lines = [_teacher_line(result, row, metric, beside, len(absent)) for row in result.teachers]
    previous = None
    for row in result.rows:
        block = result.block(row)
        repeated = layout.block if block == previous and layout.row_factors else ()
        cells = ["" if factor in repeated else layout.label(factor, row.factors[factor]) for factor in layout.factors]
        previous = block
        if row.model:
            cells[-1] += f", here `{short_name(row.model)}`"
        for column in result.columns:
            cells.append(_ours(result, row, column, metric))
            if beside[column.dataset]:
                cells.append(_theirs(result, row, column, metric))
        cells += [_theirs(result, row, column, metric) for column in absent]
        lines.append(cells)
    return markdown_table(header, lines, left=len(layout.factors))


def reasons(result: TableResult) -> dict[str, str]:
    """Why rows of this study's table have no scores -> the letter that stands in their cells."""
    found = dict.fromkeys(row.reason for row in result.rows if row.reason)
    return dict(zip(found, ascii_lowercase, strict=False))


def _teacher_line(result: TableResult, row: Row, metric: str, beside: dict[str, bool], absent: int) -> list[str]:
    name = f"`{short_name(row.model)}`"
    cells = [f"the teacher, {name}"] + [""] * (len(result.layout.factors) - 1)
    for column in result.columns:
        interval = result.interval(row, column, metric)
        cells.append(f"{number(interval.mean)} {bounds(interval.low, interval.high)}".rstrip())
        cells += [NOTHING] * beside[column.dataset]
    return cells + [NOTHING] * absent


def _is_best(values: Sequence[float], value: float, measure: Metric) -> bool:
    """Whether a value reads as the best one: ties after rounding are all best, as in the paper."""
    known = [float(f"{one:.{paper().decimals}f}") for one in values if not math.isnan(one)]
    choose = min if measure.better == "lower" else max
    return bool(known) and float(f"{value:.{paper().decimals}f}") == choose(known)


def _ours(result: TableResult, row: Row, column: Column, metric: str) -> str:
    if not row.subjects:
        return f"not run ({reasons(result)[row.reason]})"
    rivals = [other for other in result.scored if result.block(other) == result.block(row)]
    interval = result.interval(row, column, metric)
    best = _is_best([result.interval(other, column, metric).mean for other in rivals], interval.mean, paper().metrics[metric])
    value = f"**{number(interval.mean)}**" if best else number(interval.mean)
    change = percent(result.percent(row, column, metric)) if metric in result.layout.metrics else ""
    return " ".join(part for part in (value, change, bounds(interval.low, interval.high)) if part)


def _theirs(result: TableResult, row: Row, column: Column, metric: str) -> str:
    printed = result.printed(row, column, metric)
    if printed is None:
        return NOTHING
    rivals = [result.printed(other, column, metric) for other in result.rows if result.block(other) == result.block(row)]
    best = _is_best([other.value for other in rivals if other], printed.value, paper().metrics[metric])
    value = f"**{number(printed.value)}**" if best else number(printed.value)
    value += FOREIGN * paper().foreign(printed)
    return " ".join([value, *filter(None, [percent(printed.percent)]), *(f"({', '.join(ids)})" for ids in [printed.notes] if ids)])
