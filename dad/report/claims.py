"""The claims about a table held against our scores: each comparison by a paired interval, each claim by its comparisons.

A comparison is made image by image and seed by seed on our scores alone; the printed numbers are shown beside it and enter no test.
It has a p value for the claim and one against it, each one-sided; over the comparisons of a claim both are corrected by Holm's
method, so that neither `held` nor `did not hold` can come from one interval of twenty. What neither side has evidence for is
`undecided`, and says what it would take.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from dad.report.estimates import LEVEL, Design, Estimate, Values, average_of, design
from dad.report.frame import METRICS, Column, Frame
from dad.report.statistics import compare, holm, paired, value_matrices, value_matrix
from dad.study.cells import Row
from dad.study.claims import ENDS, Claim, Comparison
from dad.study.paper import paper

Verdict = Literal["held", "did not hold", "undecided", "cannot be asked"]

ORDER: tuple[Verdict, ...] = ("did not hold", "undecided", "held", "cannot be asked")
"""What came out otherwise is told first."""


@dataclass(frozen=True)
class Evidence:
    """p values, one-sided: small `held` speaks for the claim, small `against` against it. NaN where there is no spread to learn
    from.
    """

    held: float
    against: float

    @property
    def verdict(self) -> Verdict:
        """As a 95 % interval decides that excludes the border on one side or the other."""
        if self.held <= (1 - LEVEL) / 2:
            return "held"
        return "did not hold" if self.against <= (1 - LEVEL) / 2 else "undecided"


def better(difference: Estimate) -> Evidence:
    """On `the other is worse`, from how much worse it is."""
    return Evidence(difference.above(0.0), difference.below(0.0))


def close(difference: Estimate, margin: float) -> Evidence:
    """On `the difference is within plus or minus margin`: two one-sided tests (Schuirmann 1987)."""
    within = max(difference.above(-margin), difference.below(margin))
    return Evidence(within, min(difference.above(margin), difference.below(-margin)))


def corrected(found: Sequence[Evidence]) -> list[Evidence]:
    """The evidence of a claim's comparisons, corrected for their number in both directions."""
    held, against = holm([one.held for one in found]), holm([one.against for one in found])
    return [Evidence(*map(float, pair)) for pair in zip(held, against, strict=True)]


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
    interval: Estimate
    """`better`: by how much the other is worse than `factor` times the row, in the metric's unit; `close`: other minus row."""
    evidence: Evidence
    """Corrected for the number of the claim's comparisons."""

    @property
    def verdict(self) -> Verdict:
        """By the corrected evidence."""
        return self.evidence.verdict

    @property
    def needed(self) -> Design | None:
        """What it would take to decide, were the difference as large as the one seen; None where it cannot be told."""
        margin = self.comparison.margin
        border = 0.0 if margin is None else math.copysign(margin * abs(self.ours[0]), self.interval.mean)
        return design(self.interval, self.interval.mean - border)

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
        high, low = (other, row) if paper().metric(self.comparison.metric).better == "lower" else (row, other)
        return high > self.comparison.factor * low


@dataclass(frozen=True)
class Trend:
    """A series of rows along a factor that is a number, on one column, by itself or against a second series."""

    comparison: Comparison
    rows: tuple[Row, ...]
    others: tuple[Row, ...]
    """Empty for a trend of `rows` by themselves."""
    column: Column
    levels: tuple[float, ...]
    """Of the factor, increasing."""
    series: tuple[float, ...]
    """Per level: by how much the other is worse, or without others our mean."""
    interval: Estimate
    """By how much the series is better at the largest level than at the smallest: the gap wider, or the value better."""
    slope: Estimate
    """Of the same per doubling of the factor, by least squares over all levels: what the verdict rests on."""
    spearman: float
    """Rank correlation of level and series, turned so that 1 is what the claim says; NaN below three levels."""
    evidence: Evidence
    """Of the slope, corrected for the number of the claim's comparisons."""

    @property
    def verdict(self) -> Verdict:
        """By the corrected evidence."""
        return self.evidence.verdict

    @property
    def needed(self) -> Design | None:
        """What it would take to decide, were the slope as large as the one seen; None where it cannot be told."""
        return design(self.slope, self.slope.mean)


@dataclass(frozen=True)
class Gap:
    """By how much the second of two rows is worse than the first, against the same of two others, on one column."""

    comparison: Comparison
    rows: tuple[Row, Row]
    others: tuple[Row, Row]
    column: Column
    ours: tuple[float, float]
    """The gap of `rows`, and of `others`."""
    printed: tuple[float, float] | None
    """The paper's gaps of the same, or None unless it prints all four."""
    interval: Estimate
    """By how much the gap of `others` is wider."""
    evidence: Evidence
    """Corrected for the number of the claim's comparisons."""

    @property
    def verdict(self) -> Verdict:
        """By the corrected evidence."""
        return self.evidence.verdict

    @property
    def needed(self) -> Design | None:
        """What it would take to decide, were the difference as large as the one seen; None where it cannot be told."""
        return design(self.interval, self.interval.mean)


@dataclass(frozen=True)
class Finding:
    """A claim and what became of it."""

    claim: Claim
    checks: tuple[Check | Trend | Gap, ...]
    missing: int
    """Comparisons that this study cannot make: a row or a data set is not in it."""
    reason: str | None = None
    """Why none can be made, where that has one reason for all, e.g. that the table was not run."""

    @property
    def verdict(self) -> Verdict:
        """`did not hold` as soon as one comparison does not, `held` when all do, `cannot be asked` without any.

        Where most are enough: by what more than half of the comparisons that can be made say.
        """
        verdicts = {check.verdict for check in self.checks}
        if not verdicts:
            return "cannot be asked"
        if self.claim.holds == "most":
            counts = {verdict: sum(check.verdict == verdict for check in self.checks) for verdict in verdicts}
            return next((verdict for verdict, count in counts.items() if 2 * count > len(self.checks)), "undecided")
        if "did not hold" in verdicts:
            return "did not hold"
        return "held" if verdicts == {"held"} and not self.missing else "undecided"

    @property
    def held(self) -> int:
        """How many of its comparisons held."""
        return sum(check.verdict == "held" for check in self.checks)


def findings(frame: Frame) -> list[Finding]:
    """Every claim about this table, in the order of its file."""
    return [_finding(frame, claim) for claim in frame.layout.claims]


def how_much_worse(
    frame: Frame, row: Row, other: Row, column: Column, metric: str, factor: float = 1.0, other_metric: str | None = None
) -> Estimate:
    """By how much `other` is worse than `row`, beyond the factor; an error counts upwards, an accuracy downwards."""
    parts = matrices(frame, [(row, metric), (other, other_metric or metric)], column)
    lower = paper().metric(metric).better == "lower"
    return average_of([paired(*((b, factor * a) if lower else (a, factor * b))) for a, b in parts])


def matrices(frame: Frame, wanted: Sequence[tuple[Row, str]], column: Column) -> list[list[Values]]:
    """Per data set of a column the (seeds, images) of each row in its metric.

    An image that one of them has no value of, as one without edges, is left out of all; of the metrics of tables none is.
    """
    parts = []
    for dataset in column.datasets:
        values = [value_matrix(frame.scores, row.name, dataset, metric) for row, metric in wanted]
        if any(metric not in METRICS for _, metric in wanted):
            there = np.logical_and.reduce([np.isfinite(one).all(axis=0) for one in values])
            values = [one[:, there] if there.any() else np.full((len(one), 1), math.nan) for one in values]
        parts.append(values)
    return parts


def means(frame: Frame, rows: tuple[Row, Row], column: Column, metrics: tuple[str, str]) -> tuple[float, float]:
    """Our means of two rows, each in its metric."""
    parts = matrices(frame, list(zip(rows, metrics, strict=True)), column)
    first, second = (float(np.mean([values[which].mean() for values in parts])) for which in (0, 1))
    return first, second


def matching(frame: Frame, levels: dict[str, str]) -> list[Row]:
    """The rows of a table that a claim's row stands for, whether they have scores or not; as `Comparison` says."""
    named = {factor: level for factor, level in levels.items() if level not in ENDS}
    rows = [row for row in frame.rows if named.items() <= row.factors.items()]
    for factor in (factor for factor, level in levels.items() if level in ENDS and rows):
        choose = max if levels[factor] == "largest" else min
        end = choose(float(row.factors[factor]) for row in rows)
        rows = [row for row in rows if float(row.factors[factor]) == end]
    return rows


def _finding(frame: Frame, claim: Claim) -> Finding:
    checks: list[Check | Trend | Gap] = []
    missing = 0
    for comparison in claim.comparisons:
        if comparison.relation == "narrower":
            gaps, absent = _gaps(frame, comparison)
            checks += gaps
            missing += absent
            continue
        pairs, absent = _pairs(frame, comparison)
        for name in comparison.datasets:
            columns = [column for column in frame.columns if column.paper == name]
            missing += absent + (0 if columns else len(pairs))
            for column in columns:
                if comparison.relation == "trend":
                    found = trend(frame, comparison, pairs, column)
                    checks += [found] if found else []
                    missing += found is None
                else:
                    checks += [_check(frame, comparison, row, other, column) for row, other in pairs]
    evidence = corrected([check.evidence for check in checks])
    judged = (replace(check, evidence=one) for check, one in zip(checks, evidence, strict=True))
    return Finding(claim, tuple(judged), missing)


def _pairs(frame: Frame, comparison: Comparison) -> tuple[list[tuple[Row, Row]], int]:
    """The pairs of scored rows that a comparison is about, and how many more it has that are not in this study.

    A trend of rows by themselves pairs each row with itself.
    """
    pairs, absent = [], 0
    for one, two in itertools.product(comparison.rows, comparison.others or (None,)):
        rows = matching(frame, one)
        if two is None:
            found = [(row, row) for row in rows]
        else:
            left_out = [factor for factor in frame.layout.factors if factor not in one and factor not in two]
            found = [
                (row, other)
                for row, other in itertools.product(rows, matching(frame, two))
                if all(row.factors[factor] == other.factors[factor] for factor in left_out)
            ]
        possible = [(row, other) for row, other in found if row.subjects and other.subjects]
        pairs += possible
        if comparison.relation != "trend":
            absent += max(1, len(found)) - len(possible)
    return pairs, absent


def _gaps(frame: Frame, comparison: Comparison) -> tuple[list[Gap], int]:
    """The gaps that a comparison is about, a data set each, and how many cannot be made in this study."""
    found = [matching(frame, levels) for levels in (*comparison.rows, *comparison.others)]
    columns = [column for name in comparison.datasets for column in frame.columns if column.paper == name]
    if any(len(rows) != 1 or not rows[0].subjects for rows in found) or not columns:
        return [], len(comparison.datasets)
    four = [rows[0] for rows in found]
    return [_gap(frame, comparison, four, column) for column in columns], 0


def _gap(frame: Frame, comparison: Comparison, four: Sequence[Row], column: Column) -> Gap:
    metric = comparison.metric
    sign = 1.0 if paper().metric(metric).better == "lower" else -1.0
    parts = matrices(frame, [(row, metric) for row in four], column)
    gaps = [[sign * paired(values[i + 1], values[i]) for values in parts] for i in (0, 2)]
    narrow, wide = (float(np.mean([values.mean() for values in one])) for one in gaps)
    difference = average_of([paired(b, a) for a, b in zip(*gaps, strict=True)])
    values = [(frame.value(row, column, metric) or {"paper": math.nan})["paper"] for row in four]
    printed = None if any(map(math.isnan, values)) else (sign * (values[1] - values[0]), sign * (values[3] - values[2]))
    rows, others = (four[0], four[1]), (four[2], four[3])
    return Gap(comparison, rows, others, column, (narrow, wide), printed, difference, better(difference))


def _check(frame: Frame, comparison: Comparison, row: Row, other: Row, column: Column) -> Check:
    metric, theirs = comparison.metric, comparison.other_metric or comparison.metric
    ours = means(frame, (row, other), column, (metric, theirs))
    if comparison.relation == "better":
        difference = how_much_worse(frame, row, other, column, metric, comparison.factor, theirs)
        evidence = better(difference)
    else:
        difference = compare(frame.scores, other.name, row.name, column.datasets, metric).estimate
        evidence = close(difference, comparison.margin * abs(ours[0]))
    # a metric that tables do not print has no line
    pair = [(frame.value(*one) or {"paper": math.nan})["paper"] for one in ((row, column, metric), (other, column, theirs))]
    printed = None if any(map(math.isnan, pair)) else (pair[0], pair[1])
    return Check(comparison, row, other, column, ours, printed, difference, evidence)


def trend(frame: Frame, comparison: Comparison, pairs: Sequence[tuple[Row, Row]], column: Column) -> Trend | None:
    """The trend over (row, other) pairs of scored rows, one pair per level (without others each row is paired with itself); None
    with fewer than two levels.
    """
    factor, metric = comparison.along, comparison.metric
    ordered = sorted(pairs, key=lambda pair: float(pair[0].factors[factor]))
    levels = tuple(float(row.factors[factor]) for row, _ in ordered)
    if len(levels) < 2:
        return None
    sign = 1.0 if paper().metric(metric).better == "lower" else -1.0
    against = bool(comparison.others)
    parts = [_goodness(frame, row, other if against else None, column, metric, sign) for row, other in ordered]
    heights = [float(np.mean([values.mean() for values in part])) for part in parts]
    slope = average_of(_combined(parts, slope_weights(levels)))
    return Trend(
        comparison=comparison,
        rows=tuple(row for row, _ in ordered),
        others=tuple(other for _, other in ordered) if against else (),
        column=column,
        levels=levels,
        series=tuple(heights) if against else tuple(-sign * height for height in heights),
        interval=average_of(_combined(parts, [-1.0, *[0.0] * (len(parts) - 2), 1.0])),
        slope=slope,
        spearman=float(stats.spearmanr(levels, heights).statistic) if len(levels) > 2 and np.ptp(heights) > 0 else math.nan,
        evidence=better(slope),
    )


def slope_weights(levels: Sequence[float]) -> list[float]:
    """Weights whose sum over the heights at these levels is the least-squares slope per doubling of the level."""
    places = np.log2(np.asarray(levels, dtype=np.float64))
    centred = places - places.mean()
    return (centred / (centred**2).sum()).tolist()


def _goodness(frame: Frame, row: Row, other: Row | None, column: Column, metric: str, sign: float) -> list[Values]:
    """Per data set (seeds, images): by how much `other` is worse than `row`, or how good `row` is; larger is better."""
    own = value_matrices(frame.scores, row.name, column.datasets, metric)
    if other is None:
        return [-sign * values for values in own]
    theirs = value_matrices(frame.scores, other.name, column.datasets, metric)
    return [sign * paired(values, reference) for values, reference in zip(theirs, own, strict=True)]


def _combined(parts: Sequence[Sequence[Values]], weights: Sequence[float]) -> list[Values]:
    """The weighted sum over levels, data set by data set."""
    return [sum(weight * values for weight, values in zip(weights, one, strict=True)) for one in zip(*parts, strict=True)]
