"""Every pair of rows that the paper prints apart, and whether ours are ordered likewise."""

import itertools
from dataclasses import dataclass

from dad.report.findings import how_much_worse, means
from dad.report.results import Column, TableResult
from dad.report.statistics import Interval
from dad.report.verdicts import Verdict, judge_better
from dad.study.cells import Row
from dad.study.paper import Printed, paper


@dataclass(frozen=True)
class Ordering:
    """Two rows that the paper prints further apart than its noise floor, and whether ours are ordered likewise."""

    better: Row
    worse: Row
    column: Column
    printed: tuple[float, float]
    ours: tuple[float, float]
    interval: Interval
    """Ours: by how much `worse` is worse, in the metric's unit; negative where the order is reversed."""
    verdict: Verdict


def orderings(result: TableResult, metric: str = "abs_rel") -> list[Ordering]:
    """All pairs of rows that the paper prints apart by more than its noise floor, on every data set with a printed column.

    Numbers that were not made under the paper's own protocol order nothing and are left out.
    """
    found = []
    for column, (first, second) in itertools.product(result.columns, itertools.combinations(result.scored, 2)):
        values = {row.name: result.printed(row, column, metric) for row in (first, second)}
        if not all(_comparable(value) for value in values.values()):
            continue
        lower, higher = sorted((first, second), key=lambda row: values[row.name].value)
        better, worse = (lower, higher) if paper().metrics[metric].better == "lower" else (higher, lower)
        printed = (values[better.name].value, values[worse.name].value)
        if paper().within_noise(*printed):
            continue
        interval = how_much_worse(result, better, worse, column, metric)
        ours = means(result, (better, worse), column, metric)
        found.append(Ordering(better, worse, column, printed, ours, interval, judge_better(interval)))
    return found


def _comparable(number: Printed | None) -> bool:
    return number is not None and not paper().foreign(number)
