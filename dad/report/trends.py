"""Claims along a factor that is a number: whether rows get better with it, or get farther ahead of others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from dad.report.results import Column, TableResult
from dad.report.statistics import Interval, Values, bootstrap_average, paired, value_matrices
from dad.report.verdicts import Verdict, judge_better
from dad.study.cells import Row
from dad.study.claims import Comparison
from dad.study.paper import paper


@dataclass(frozen=True)
class Trend:
    """A series of rows along a factor, on one column, by itself or against a second series."""

    comparison: Comparison
    rows: tuple[Row, ...]
    others: tuple[Row, ...]
    """Empty for a trend of `rows` by themselves."""
    column: Column
    levels: tuple[int, ...]
    """Of the factor, increasing."""
    series: tuple[float, ...]
    """Per level: by how much the other is worse, or without others our mean."""
    interval: Interval
    """By how much the series is better at the largest level than at the smallest: the gap wider, or the value better."""
    slope: Interval
    """Of the same per doubling of the factor, by least squares over all levels."""
    spearman: float
    """Rank correlation of level and series, turned so that 1 is what the claim says; NaN below three levels."""
    verdict: Verdict
    """By `interval`."""


def trend(result: TableResult, comparison: Comparison, pairs: Sequence[tuple[Row, Row]], column: Column) -> Trend | None:
    """The trend over (row, other) pairs of scored rows, one pair per level (without others each row is paired with itself); None
    with fewer than two levels.
    """
    factor, metric = comparison.along, comparison.metric
    ordered = sorted(pairs, key=lambda pair: int(pair[0].factors[factor]))
    levels = tuple(int(row.factors[factor]) for row, _ in ordered)
    if len(levels) < 2:
        return None
    sign = 1.0 if paper().metrics[metric].better == "lower" else -1.0
    against = bool(comparison.others)
    parts = [_goodness(result, row, other if against else None, column, metric, sign) for row, other in ordered]
    weights = slope_weights(levels)
    heights = [float(np.mean([values.mean() for values in part])) for part in parts]
    interval = bootstrap_average(_combined(parts, [-1.0, *[0.0] * (len(parts) - 2), 1.0]))
    return Trend(
        comparison=comparison,
        rows=tuple(row for row, _ in ordered),
        others=tuple(other for _, other in ordered) if against else (),
        column=column,
        levels=levels,
        series=tuple(heights) if against else tuple(-sign * height for height in heights),
        interval=interval,
        slope=bootstrap_average(_combined(parts, weights)),
        spearman=float(stats.spearmanr(levels, heights).statistic) if len(levels) > 2 and np.ptp(heights) > 0 else math.nan,
        verdict=judge_better(interval),
    )


def slope_weights(levels: Sequence[int]) -> list[float]:
    """Weights whose sum over the heights at these levels is the least-squares slope per doubling of the level."""
    places = np.log2(np.asarray(levels, dtype=np.float64))
    centred = places - places.mean()
    return (centred / (centred**2).sum()).tolist()


def _goodness(result: TableResult, row: Row, other: Row | None, column: Column, metric: str, sign: float) -> list[Values]:
    """Per data set (seeds, images): by how much `other` is worse than `row`, or how good `row` is; larger is better."""
    own = value_matrices(result.scores, row.name, column.datasets, metric)
    if other is None:
        return [-sign * values for values in own]
    theirs = value_matrices(result.scores, other.name, column.datasets, metric)
    return [sign * paired(values, reference) for values, reference in zip(theirs, own, strict=True)]


def _combined(parts: Sequence[Sequence[Values]], weights: Sequence[float]) -> list[Values]:
    """The weighted sum over levels, data set by data set."""
    return [sum(weight * values for weight, values in zip(weights, one, strict=True)) for one in zip(*parts, strict=True)]
