"""The paper's claims held against our scores: each comparison by a paired interval, each claim by its comparisons.

A comparison is made image by image and seed by seed on our scores alone; the printed numbers are shown beside it and enter no test.
`held` and `did not hold` need a 95 % interval that excludes the border; everything else is `undecided`.
"""

import itertools
from dataclasses import dataclass

from dad.report.results import Column, TableResult
from dad.report.statistics import Interval, compare
from dad.report.trends import Trend, trend
from dad.report.verdicts import Verdict, judge_better, judge_close
from dad.study.cells import Row
from dad.study.claims import ENDS, Claim, Comparison, claims
from dad.study.paper import paper


@dataclass(frozen=True)
class Check:
    """One comparison of two rows on one column."""

    comparison: Comparison
    row: Row
    other: Row
    column: Column
    ours: tuple[float, float]
    """Means of row and other."""
    printed: tuple[float, float] | None
    """The paper's values of the same two, or None unless it prints both."""
    interval: Interval
    """`better`: by how much the other is worse than `factor` times the row, in the metric's unit; `close`: other minus row."""
    verdict: Verdict

    @property
    def within_noise(self) -> bool:
        """The printed gap is not larger than what the paper prints for one and the same cell."""
        return self.printed is not None and paper().within_noise(*self.printed)

    @property
    def printed_holds(self) -> bool | None:
        """Whether the printed numbers by themselves agree with the claim; None where the paper does not print both."""
        if self.printed is None:
            return None
        row, other = self.printed
        if self.comparison.margin is not None:
            return abs(other - row) <= self.comparison.margin * row
        high, low = (other, row) if paper().metrics[self.comparison.metric].better == "lower" else (row, other)
        return high > self.comparison.factor * low


@dataclass(frozen=True)
class Finding:
    """A claim and what became of it."""

    claim: Claim
    checks: tuple[Check | Trend, ...]
    missing: int
    """Comparisons that this study can not make: a row or a data set is not in it."""
    reason: str | None = None
    """Why none can be made, where that has one reason for all, e.g. that the table was not run."""

    @property
    def verdict(self) -> Verdict:
        """`did not hold` as soon as one comparison does not, `held` when all do, `can not be asked` without any."""
        verdicts = {check.verdict for check in self.checks}
        if not verdicts:
            return "can not be asked"
        if "did not hold" in verdicts:
            return "did not hold"
        return "held" if verdicts == {"held"} and not self.missing else "undecided"


def findings(result: TableResult) -> list[Finding]:
    """Every claim about this table, in the order of `claims.yaml`."""
    return [_finding(result, claim) for claim in claims(result.table)]


def how_much_worse(result: TableResult, row: Row, other: Row, column: Column, metric: str, factor: float = 1.0) -> Interval:
    """By how much `other` is worse than `row`, beyond the factor; an error counts upwards, an accuracy downwards."""
    high, low = (other, row) if paper().metrics[metric].better == "lower" else (row, other)
    return compare(result.scores, high.name, low.name, column.datasets, metric, factor=factor).interval


def means(result: TableResult, rows: tuple[Row, Row], column: Column, metric: str) -> tuple[float, float]:
    """Our means of two rows."""
    first, second = (result.interval(row, column, metric).mean for row in rows)
    return first, second


def matching(result: TableResult, levels: dict[str, str]) -> list[Row]:
    """The rows of a table that a claim's row stands for, whether they have scores or not; as `Comparison` says."""
    named = {factor: level for factor, level in levels.items() if level not in ENDS}
    rows = [row for row in result.rows if named.items() <= row.factors.items()]
    for factor in (factor for factor, level in levels.items() if level in ENDS and rows):
        choose = max if levels[factor] == "largest" else min
        end = choose(int(row.factors[factor]) for row in rows)
        rows = [row for row in rows if int(row.factors[factor]) == end]
    return rows


def _finding(result: TableResult, claim: Claim) -> Finding:
    checks: list[Check | Trend] = []
    missing = 0
    for comparison in claim.comparisons:
        pairs, absent = _pairs(result, comparison)
        for name in comparison.datasets:
            columns = [column for column in result.columns if column.paper == name]
            if not columns:
                missing += absent + len(pairs)
                continue
            missing += absent
            for column in columns:
                if comparison.relation == "trend":
                    found = trend(result, comparison, pairs, column)
                    checks += [found] if found else []
                    missing += found is None
                else:
                    checks += [_check(result, comparison, row, other, column) for row, other in pairs]
    return Finding(claim, tuple(checks), missing)


def _pairs(result: TableResult, comparison: Comparison) -> tuple[list[tuple[Row, Row]], int]:
    """The pairs of scored rows that a comparison is about, and how many more it has that are not in this study.

    A trend of rows by themselves pairs each row with itself.
    """
    pairs, absent = [], 0
    for one, two in itertools.product(comparison.rows, comparison.others or (None,)):
        rows = matching(result, one)
        if two is None:
            found = [(row, row) for row in rows]
        else:
            left_out = [factor for factor in result.layout.factors if factor not in one and factor not in two]
            found = [
                (row, other)
                for row, other in itertools.product(rows, matching(result, two))
                if all(row.factors[factor] == other.factors[factor] for factor in left_out)
            ]
        possible = [(row, other) for row, other in found if row.subjects and other.subjects]
        pairs += possible
        if comparison.relation != "trend":
            absent += max(1, len(found)) - len(possible)
    return pairs, absent


def _check(result: TableResult, comparison: Comparison, row: Row, other: Row, column: Column) -> Check:
    metric = comparison.metric
    ours = means(result, (row, other), column, metric)
    if comparison.relation == "better":
        interval = how_much_worse(result, row, other, column, metric, comparison.factor)
        verdict = judge_better(interval)
    else:
        interval = compare(result.scores, other.name, row.name, column.datasets, metric).interval
        verdict = judge_close(interval, comparison.margin * abs(ours[0]))
    numbers = [result.printed(one, column, metric) for one in (row, other)]
    printed = (numbers[0].value, numbers[1].value) if all(numbers) else None
    return Check(comparison, row, other, column, ours, printed, interval, verdict)
