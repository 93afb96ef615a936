"""Contrasts of rows by their per-image scores, and the statistics of a whole table.

Scores come as a tidy DataFrame with the columns `row` (a table's row), `seed`, `dataset`, `image` and one column per
metric: one line per image and scored model. Whatever is asked of rows (a difference, a gap, a slope, a main effect) is
a weighted sum of their scores, image by image and seed by seed. Everything here is a pure function; what an interval
covers says `dad.analysis.estimates`.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from dad.analysis.estimates import Values, average_of

MEANS = ("mean", "ci_low", "ci_high", "n", "seeds")
TO_BEST = ("difference_to_best", "diff_low", "diff_high", "p_holm", "effect")
TO_REFERENCE = ("ref_difference", "ref_low", "ref_high", "ref_p_holm", "ref_effect")
"""What `table_statistics` finds, by name; of a difference its mean and interval, Holm-corrected p, and the effect."""

Term = tuple[str, str, float]
"""Row, metric and weight in a contrast."""
ValueTable = Mapping[tuple[str, str, str], Values]
"""(row, data set, metric) -> (seeds, images), both sorted."""


def value_table(scores: pd.DataFrame, metrics: Iterable[str]) -> ValueTable:
    """All scores as matrices. Every seed of a row must have every image of a data set once."""
    found, metrics = {}, list(metrics)
    for (row, dataset), lines in scores.groupby(["row", "dataset"], sort=False):
        wide = lines.pivot(index="seed", columns="image", values=metrics)
        found |= {(row, dataset, metric): wide[metric].to_numpy(dtype=np.float64) for metric in metrics}
    return found


def contrast(
    values: ValueTable, datasets: Sequence[str], terms: Sequence[Term], partial: Collection[str] = ()
) -> list[Values]:
    """The weighted sum of rows, (seeds, images) per data set; an estimator without seeds meets every one.

    partial: metrics that some images have no value of, as one without edges. Where a term is of one of these, an image
    that any term has no value of is left out.
    """
    parts = []
    for dataset in datasets:
        found = [values[row, dataset, metric] for row, metric, _ in terms]
        if any(metric in partial for _, metric, _ in terms):
            there = np.logical_and.reduce([np.isfinite(one).all(axis=0) for one in found])
            found = [one[:, there] if there.any() else np.full((len(one), 1), np.nan) for one in found]
        shapes = [one.shape for one in found]
        if len({images for _, images in shapes}) > 1 or len({seeds for seeds, _ in shapes} - {1}) > 1:
            raise ValueError(f"paired values have different shapes, {' and '.join(map(str, dict.fromkeys(shapes)))}")
        parts.append(np.asarray(sum(weight * one for one, (_, _, weight) in zip(found, terms, strict=True))))
    return parts


def rank_effect(parts: Sequence[Values]) -> float:
    """The matched-pairs rank-biserial correlation of paired differences, (seeds, images) per data set, in [-1, 1].

    (W+ - W-) / (W+ + W-) of the signed ranks over the images of all data sets (of the mean over seeds; images without a
    difference are left out): 1 where every image is larger than in the reference.
    """
    per_image = np.concatenate([values.mean(axis=0) for values in parts])
    if not np.isfinite(per_image).all():
        return np.nan
    per_image = per_image[per_image != 0]
    ranks = stats.rankdata(np.abs(per_image))
    return float((ranks * np.sign(per_image)).sum() / ranks.sum()) if per_image.size else 0.0


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Holm's (1979) step-down adjustment of a family of p values, in the given order; NaN stays and does not count."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    order = [index for index in np.argsort(p) if not np.isnan(p[index])]
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted


def table_statistics(
    scores: pd.DataFrame, better: Mapping[str, str], columns: Mapping[str, Sequence[str]], references: Mapping[str, str]
) -> pd.DataFrame:
    """One line per row, column and metric.

    better: metric -> "lower" or "higher"; the best row of a column and metric is chosen by it, the others are compared
    with it. columns: name -> the data sets it averages. references: row -> the row it is compared with; a row may have
    none.

    Columns: row, dataset (the column's name), metric, MEANS, TO_BEST, reference (the row compared with) and
    TO_REFERENCE. Both p are adjusted over the rows of one column and metric. The best row is chosen from the same
    scores that it is compared on, which favours it a little; its own difference is 0, without an interval.
    """
    rows, values, lines = list(dict.fromkeys(scores["row"])), value_table(scores, better), []
    others = {row: other for row, other in references.items() if row in rows and other in rows}
    for (name, datasets), (metric, direction) in itertools.product(columns.items(), better.items()):
        parts = {row: contrast(values, datasets, [(row, metric, 1.0)]) for row in rows}
        intervals = {row: average_of(one).interval() for row, one in parts.items()}
        finite = [row for row in rows if np.isfinite(intervals[row].mean)]
        choose = min if direction == "lower" else max
        best = choose(finite, key=lambda row: intervals[row].mean, default=None)
        to_best = _differences(parts, {row: best for row in rows if best not in (None, row)}, TO_BEST)
        to_reference = _differences(parts, others, TO_REFERENCE)
        for row in rows:
            found = (*intervals[row], sum(one.shape[1] for one in parts[row]), len(parts[row][0]))
            line = {"row": row, "dataset": name, "metric": metric} | dict(zip(MEANS, found, strict=True))
            line |= {TO_BEST[0]: 0.0} if row == best else to_best.get(row, {})
            lines.append(line | {"reference": others.get(row, "")} | to_reference.get(row, {}))
    return pd.DataFrame(lines, columns=["row", "dataset", "metric", *MEANS, *TO_BEST, "reference", *TO_REFERENCE])


def _differences(
    parts: Mapping[str, list[Values]], others: Mapping[str, str], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Row -> its difference to the other row, by `names`."""
    found = {
        row: [one - two for one, two in zip(parts[row], parts[other], strict=True)] for row, other in others.items()
    }
    estimates = {row: average_of(differences) for row, differences in found.items()}
    adjusted = holm([estimate.p for estimate in estimates.values()])
    return {
        row: dict(zip(names, (*estimate.interval(), float(p), rank_effect(found[row])), strict=True))
        for (row, estimate), p in zip(estimates.items(), adjusted, strict=True)
    }
