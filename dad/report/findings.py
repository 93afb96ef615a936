"""The paper's claims held against our cells: each comparison by a paired interval, each claim by its comparisons.

A comparison is made image by image and seed by seed on our scores alone; the printed numbers are shown beside it and enter no test.
`held` and `did not hold` need a 95 % interval that excludes the border; everything else is `undecided`.
"""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dad.report.results import Column, TableResult
from dad.report.statistics import Interval, compare
from dad.study.cells import Row
from dad.study.claims import Claim, Comparison, claims
from dad.study.paper import paper

Verdict = Literal["held", "did not hold", "undecided"]


@dataclass(frozen=True)
class Check:
    """One comparison of two rows on one data set."""

    comparison: Comparison
    row: Row
    other: Row
    column: Column
    ours: tuple[float, float]
    """Means of row and other."""
    printed: tuple[float, float]
    """The paper's values of the same two."""
    interval: Interval
    """`better`: by how much the other is worse than `factor` times the row, in the metric's unit; `close`: other minus row."""
    verdict: Verdict

    @property
    def within_noise(self) -> bool:
        """The printed gap is not larger than what the paper prints for one and the same cell."""
        return abs(self.printed[0] - self.printed[1]) <= paper().noise_floor * (1 + 1e-6)


@dataclass(frozen=True)
class Finding:
    """A claim and what became of it."""

    claim: Claim
    checks: tuple[Check, ...]
    missing: int
    """Comparisons that this study can not make: a row or a data set is not in it."""

    @property
    def verdict(self) -> Verdict:
        """`did not hold` as soon as one comparison does not, `held` when all do."""
        verdicts = {check.verdict for check in self.checks}
        if "did not hold" in verdicts:
            return "did not hold"
        return "held" if verdicts == {"held"} and not self.missing else "undecided"


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


def judge_better(interval: Interval) -> Verdict:
    """The verdict on `the other is worse` from the interval of how much worse it is."""
    if interval.low > 0:
        return "held"
    return "did not hold" if interval.high < 0 else "undecided"


def judge_close(interval: Interval, margin: float) -> Verdict:
    """The verdict on `the difference is within plus or minus margin`: held when the whole interval is."""
    if interval.low > -margin and interval.high < margin:
        return "held"
    return "did not hold" if interval.low > margin or interval.high < -margin else "undecided"


def findings(result: TableResult) -> list[Finding]:
    """Every claim about this table, in the order of `claims.yaml`."""
    return [_finding(result, claim) for claim in claims(result.table)]


def orderings(result: TableResult, metric: str = "abs_rel") -> list[Ordering]:
    """All pairs of rows that the paper prints apart by more than its noise floor, on every data set with a printed column."""
    found = []
    for column, (first, second) in itertools.product(result.columns, itertools.combinations(result.trained, 2)):
        values = {row.name: result.printed(row, column, metric) for row in (first, second)}
        if None in values.values():
            continue
        lower, higher = sorted((first, second), key=lambda row: values[row.name].value)
        better, worse = (lower, higher) if paper().metrics[metric].better == "lower" else (higher, lower)
        printed = (values[better.name].value, values[worse.name].value)
        if abs(printed[1] - printed[0]) <= paper().noise_floor * (1 + 1e-6):
            continue
        interval = _how_much_worse(result, better, worse, column, metric)
        ours = (_mean(result, better, column, metric), _mean(result, worse, column, metric))
        found.append(Ordering(better, worse, column, printed, ours, interval, judge_better(interval)))
    return found


def _finding(result: TableResult, claim: Claim) -> Finding:
    checks, missing = [], 0
    for comparison in claim.comparisons:
        for name, factors, others in itertools.product(comparison.datasets, comparison.rows, comparison.others):
            columns = [column for column in result.columns if column.paper == name]
            row, other = result.row_of(factors), result.row_of(others)
            if columns and row and other and row.cells and other.cells:
                checks += [_check(result, comparison, row, other, column) for column in columns]
            else:
                missing += 1
    return Finding(claim, tuple(checks), missing)


def _check(result: TableResult, comparison: Comparison, row: Row, other: Row, column: Column) -> Check:
    metric = comparison.metric
    ours = (_mean(result, row, column, metric), _mean(result, other, column, metric))
    if comparison.relation == "better":
        interval = _how_much_worse(result, row, other, column, metric, comparison.factor)
        verdict = judge_better(interval)
    else:
        interval = compare(result.scores, other.name, row.name, column.dataset, metric).interval
        verdict = judge_close(interval, comparison.margin * abs(ours[0]))
    printed = (result.printed(row, column, metric).value, result.printed(other, column, metric).value)
    return Check(comparison, row, other, column, ours, printed, interval, verdict)


def _how_much_worse(result: TableResult, row: Row, other: Row, column: Column, metric: str, factor: float = 1.0) -> Interval:
    """By how much `other` is worse than `row`, beyond the factor; an error counts upwards, an accuracy downwards."""
    high, low = (other, row) if paper().metrics[metric].better == "lower" else (row, other)
    return compare(result.scores, high.name, low.name, column.dataset, metric, factor=factor).interval


def _mean(result: TableResult, row: Row, column: Column, metric: str) -> float:
    return float(np.float64(result.statistics.loc[(row.name, column.dataset, metric), "mean"]))
