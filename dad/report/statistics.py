"""Means, intervals and paired differences of per-image scores.

Scores come as a tidy DataFrame with the columns `row` (a table's row), `seed`, `dataset`, `image` and one column per metric: one
line per image and scored model. Everything here is a pure function of it and of a fixed seed.

What an interval covers. One seed: the images are resampled, so the interval says how the value would change on other images of
the same kind, and nothing about another training. Several seeds: seeds and images are resampled, independently of each other,
because all seeds are scored on the same images (Owen 2007, "The pigeonhole bootstrap"; resampling images anew for every seed would
average an image's difficulty away). With few seeds that is a rough interval: three values say little about a spread. A model that
is scored as it is has no seeds; it counts as one, and its interval covers images only.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
RESAMPLES = 4999

Values = NDArray[np.float64]
"""(seeds, images): one metric of one row on one data set; images in the same order for all rows."""


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its interval; the ends are NaN where there is no spread to learn from (one image)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """A paired difference of two rows: its interval, Wilcoxon's p and the matched-pairs rank-biserial correlation in [-1, 1]."""

    interval: Interval
    p: float
    effect: float


def bootstrap_mean(values: Values, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Interval:
    """The mean of (seeds, images) values, each image and seed weighing the same, and its bootstrap interval.

    One seed: bias-corrected and accelerated (BCa) over images. Several: percentile over seeds and images (see the module). All rows
    that are given the same `seed` and have equally many images are resampled alike. NaN anywhere gives NaN everywhere.
    """
    return bootstrap_average([values], seed=seed, resamples=resamples, level=level)


def bootstrap_average(parts: Sequence[Values], *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Interval:
    """The mean over data sets of their means, each data set weighing the same, and its bootstrap interval.

    parts: (seeds, images) per data set, the same seeds in all. Images are resampled within each data set, seeds (of which a drawn
    one brings its scores on every data set) as in `bootstrap_mean`.
    """
    parts = [np.asarray(values, dtype=np.float64) for values in parts]
    seeds = len(parts[0])
    if any(len(values) != seeds for values in parts):
        raise ValueError(f"data sets have different numbers of seeds: {', '.join(str(len(values)) for values in parts)}")
    mean = float(np.mean([values.mean() for values in parts]))
    if not all(np.isfinite(values).all() for values in parts) or min(values.shape[1] for values in parts) < 2:
        return Interval(mean, np.nan, np.nan)
    if all(np.ptp(values) == 0 for values in parts):
        return Interval(mean, mean, mean)
    options = {"n_resamples": resamples, "confidence_level": level, "rng": np.random.default_rng(seed), "vectorized": True}
    if seeds == 1:

        def average_mean(*drawn: Values, axis: int = -1) -> Values:
            return sum(values.mean(axis=axis) for values in drawn) / len(drawn)

        result = stats.bootstrap([values[0] for values in parts], average_mean, method="BCa", **options)
    else:

        def crossed_mean(drawn_seeds: NDArray[np.intp], *drawn_images: NDArray[np.intp], axis: int = -1) -> Values:
            means = [
                values[drawn_seeds[..., :, None], images[..., None, :]].mean(axis=(-2, -1))
                for values, images in zip(parts, drawn_images, strict=True)
            ]
            return sum(means) / len(means)

        places = [np.arange(seeds), *(np.arange(values.shape[1]) for values in parts)]
        result = stats.bootstrap(places, crossed_mean, method="percentile", batch=500, **options)
    return Interval(mean, float(result.confidence_interval.low), float(result.confidence_interval.high))


def paired(values: Values, reference: Values) -> Values:
    """`values` minus `reference`, image by image and seed by seed; an estimator, which has no seeds, is paired with every seed."""
    if values.shape[1] != reference.shape[1] or (values.shape[0] != reference.shape[0] and 1 not in (len(values), len(reference))):
        raise ValueError(f"paired values have different shapes, {values.shape} and {reference.shape}")
    return values - reference


def paired_difference(values: Values, reference: Values, *, seed: int = 0, resamples: int = RESAMPLES) -> Difference:
    """`values` minus `reference`, both (seeds, images), as `paired` pairs them."""
    return judged_difference([paired(values, reference)], seed=seed, resamples=resamples)


def judged_difference(parts: Sequence[Values], *, seed: int = 0, resamples: int = RESAMPLES) -> Difference:
    """The interval, p and effect of paired differences, (seeds, images) per data set.

    The interval is that of `bootstrap_average`. p is Wilcoxon's signed-rank test, two-sided, over the images of all data sets (of
    the mean over seeds); images without a difference are left out, and without any difference p is 1. The effect is
    (W+ - W-) / (W+ + W-): 1 where every image is larger than in the reference.
    """
    interval = bootstrap_average(parts, seed=seed, resamples=resamples)
    per_image = np.concatenate([values.mean(axis=0) for values in parts])
    if not np.isfinite(per_image).all():
        return Difference(interval, np.nan, np.nan)
    per_image = per_image[per_image != 0]
    if per_image.size == 0:
        return Difference(interval, 1.0, 0.0)
    ranks = stats.rankdata(np.abs(per_image))
    effect = float((ranks * np.sign(per_image)).sum() / ranks.sum())
    return Difference(interval, float(stats.wilcoxon(per_image).pvalue), effect)


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
    scores: pd.DataFrame, row: str, reference: str, datasets: Sequence[str], metric: str, *, factor: float = 1.0, seed: int = 0
) -> Difference:
    """The paired difference of `row` minus `factor` times `reference`, on one data set or averaged over several."""
    pairs = zip(*(value_matrices(scores, name, datasets, metric) for name in (row, reference)), strict=True)
    return judged_difference([paired(values, factor * others) for values, others in pairs], seed=seed)


def table_statistics(
    scores: pd.DataFrame,
    better: Mapping[str, str],
    *,
    columns: Mapping[str, Sequence[str]] | None = None,
    references: Mapping[str, str] | None = None,
    seed: int = 0,
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
        lines += _column_lines(name, metric, direction, parts, references or {}, seed)
    order = {name: index for index, name in enumerate(rows)}
    return pd.DataFrame(lines).sort_values("row", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def _column_lines(
    name: str, metric: str, direction: str, parts: dict[str, list[Values]], references: Mapping[str, str], seed: int
) -> list[dict[str, Any]]:
    """The lines of one column and metric, a row each."""
    intervals = {row: bootstrap_average(values, seed=seed) for row, values in parts.items()}
    finite = [row for row in parts if np.isfinite(intervals[row].mean)]
    sign = 1 if direction == "lower" else -1
    best = min(finite, key=lambda row: sign * intervals[row].mean, default=None)
    to_best = _differences(parts, {row: best for row in parts if best not in (None, row)}, seed)
    to_reference = _differences(parts, {row: other for row, other in references.items() if row in parts and other in parts}, seed)
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


def _differences(parts: dict[str, list[Values]], others: Mapping[str, str], seed: int) -> dict[str, tuple[Difference, float]]:
    """Row -> its difference to the other row and p after Holm's correction over all of them."""
    found = {
        row: judged_difference([paired(*pair) for pair in zip(parts[row], parts[other], strict=True)], seed=seed)
        for row, other in others.items()
    }
    adjusted = holm([difference.p for difference in found.values()])
    return {row: (difference, float(p)) for (row, difference), p in zip(found.items(), adjusted, strict=True)}


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.mean, interval.low, interval.high
