"""Paired differences of per-image scores, and the statistics of a whole table.

Scores come as a tidy DataFrame with the columns `row` (a table's row), `seed`, `dataset`, `image` and one column per metric: one
line per image and scored model. Everything here is a pure function of it; what an interval covers says `dad.report.estimates`.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from dad.report.estimates import Estimate, Interval, Values, average_of


@dataclass(frozen=True)
class Difference:
    """A paired difference of two rows, and the matched-pairs rank-biserial correlation over images in [-1, 1]."""

    estimate: Estimate
    effect: float

    @property
    def interval(self) -> Interval:
        """The 95 % interval."""
        return self.estimate.interval()

    @property
    def p(self) -> float:
        """Of no difference, two-sided."""
        return self.estimate.p


def paired(values: Values, reference: Values) -> Values:
    """`values` minus `reference`, image by image and seed by seed; an estimator, which has no seeds, is paired with every seed."""
    if values.shape[1] != reference.shape[1] or (values.shape[0] != reference.shape[0] and 1 not in (len(values), len(reference))):
        raise ValueError(f"paired values have different shapes, {values.shape} and {reference.shape}")
    return values - reference


def paired_difference(values: Values, reference: Values) -> Difference:
    """`values` minus `reference`, both (seeds, images), as `paired` pairs them."""
    return judged_difference([paired(values, reference)])


def judged_difference(parts: Sequence[Values]) -> Difference:
    """The estimate and the effect of paired differences, (seeds, images) per data set.

    The effect is (W+ - W-) / (W+ + W-) of the signed ranks over the images of all data sets (of the mean over seeds; images without
    a difference are left out): 1 where every image is larger than in the reference.
    """
    estimate = average_of(parts)
    per_image = np.concatenate([values.mean(axis=0) for values in parts])
    if not np.isfinite(per_image).all():
        return Difference(estimate, math.nan)
    per_image = per_image[per_image != 0]
    if per_image.size == 0:
        return Difference(estimate, 0.0)
    ranks = stats.rankdata(np.abs(per_image))
    return Difference(estimate, float((ranks * np.sign(per_image)).sum() / ranks.sum()))


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's (1979) step-down adjustment of a family of p values, in the given order; NaN stays NaN and does not count."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    order = [index for index in np.argsort(p) if not np.isnan(p[index])]
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted


def value_matrix(scores: pd.DataFrame, row: str, dataset: str, metric: str) -> Values:
    """(seeds, images) of one metric, seeds and images sorted. Every seed must have every image once."""
    chosen = scores[(scores["row"] == row) & (scores["dataset"] == dataset)]
    return chosen.pivot(index="seed", columns="image", values=metric).to_numpy(dtype=np.float64)


def value_matrices(scores: pd.DataFrame, row: str, datasets: Sequence[str], metric: str) -> list[Values]:
    """One (seeds, images) matrix per data set."""
    return [value_matrix(scores, row, dataset, metric) for dataset in datasets]


def compare(
    scores: pd.DataFrame, row: str, reference: str, datasets: Sequence[str], metric: str, *, factor: float = 1.0
) -> Difference:
    """The paired difference of `row` minus `factor` times `reference`, on one data set or averaged over several."""
    pairs = zip(*(value_matrices(scores, name, datasets, metric) for name in (row, reference)), strict=True)
    return judged_difference([paired(values, factor * others) for values, others in pairs])


def table_statistics(
    scores: pd.DataFrame,
    better: Mapping[str, str],
    *,
    columns: Mapping[str, Sequence[str]] | None = None,
    references: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """One line per row, column and metric, in the order in which the rows first appear in `scores`.

    better: metric -> "lower" or "higher"; the best row of a column and metric is chosen by it, the others are compared with it.
    columns: name -> the data sets it averages; by default one column per data set.
    references: row -> the row it is compared with; a row may have none.

    Columns: row, dataset (the column's name), metric, mean, ci_low, ci_high, n (images), seeds, difference_to_best, diff_low,
    diff_high, p_holm, effect, and the same for the reference: reference (its row), ref_difference, ref_low, ref_high, ref_p_holm,
    ref_effect. Both p are adjusted over the rows of one column and metric. The best row is chosen from the same scores that it is
    compared on, which favours it a little; its own difference is 0, without an interval.
    """
    if scores.empty:
        return pd.DataFrame(columns=["row", "dataset", "metric"])
    rows = list(dict.fromkeys(scores["row"]))
    columns = columns or {name: (name,) for name in dict.fromkeys(scores["dataset"])}
    lines = []
    for (name, datasets), (metric, direction) in itertools.product(columns.items(), better.items()):
        parts = {row: value_matrices(scores, row, datasets, metric) for row in rows}
        lines += _column_lines(name, metric, direction, parts, references or {})
    order = {name: index for index, name in enumerate(rows)}
    return pd.DataFrame(lines).sort_values("row", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def _column_lines(
    name: str, metric: str, direction: str, parts: dict[str, list[Values]], references: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The lines of one column and metric, a row each."""
    intervals = {row: average_of(values).interval() for row, values in parts.items()}
    finite = [row for row in parts if np.isfinite(intervals[row].mean)]
    sign = 1 if direction == "lower" else -1
    best = min(finite, key=lambda row: sign * intervals[row].mean, default=None)
    to_best = _differences(parts, {row: best for row in parts if best not in (None, row)})
    to_reference = _differences(parts, {row: other for row, other in references.items() if row in parts and other in parts})
    lines = []
    for row, values in parts.items():
        line: dict[str, Any] = {"row": row, "dataset": name, "metric": metric}
        line |= dict(zip(("mean", "ci_low", "ci_high"), _ends(intervals[row]), strict=True))
        line |= {"n": sum(one.shape[1] for one in values), "seeds": len(values[0])}
        difference, p = to_best.get(row, (None, np.nan))
        if difference is None:
            line |= {"difference_to_best": 0.0 if row == best else np.nan, "diff_low": np.nan, "diff_high": np.nan}
        else:
            line |= dict(zip(("difference_to_best", "diff_low", "diff_high"), _ends(difference.interval), strict=True))
        line |= {"p_holm": p, "effect": difference.effect if difference else np.nan}
        difference, p = to_reference.get(row, (None, np.nan))
        ends = _ends(difference.interval) if difference else (np.nan,) * 3
        line |= {"reference": references[row] if difference else ""}
        line |= dict(zip(("ref_difference", "ref_low", "ref_high"), ends, strict=True))
        line |= {"ref_p_holm": p, "ref_effect": difference.effect if difference else np.nan}
        lines.append(line)
    return lines


def _differences(parts: dict[str, list[Values]], others: Mapping[str, str]) -> dict[str, tuple[Difference, float]]:
    """Row -> its difference to the other row and p after Holm's correction over all of them."""
    found = {
        row: judged_difference([paired(*pair) for pair in zip(parts[row], parts[other], strict=True)])
        for row, other in others.items()
    }
    adjusted = holm([difference.p for difference in found.values()])
    return {row: (difference, float(p)) for (row, difference), p in zip(found.items(), adjusted, strict=True)}


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.mean, interval.low, interval.high
