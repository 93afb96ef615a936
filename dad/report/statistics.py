"""Means, intervals and paired differences of per-image scores.

Scores come as a tidy DataFrame with the columns `row` (a table's row), `seed`, `dataset`, `image` and one column per metric: one
line per image and trained student. Everything here is a pure function of it and of a fixed seed.

What an interval covers. One seed: the images are resampled, so the interval says how the value would change on other images of
the same kind, and nothing about another training. Several seeds: seeds and images are resampled, independently of each other,
because all seeds are scored on the same images (Owen 2007, "The pigeonhole bootstrap"; resampling images anew for every seed would
average an image's difficulty away). With few seeds that is a rough interval: three values say little about a spread.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

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
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if not np.isfinite(values).all():
        return Interval(mean, np.nan, np.nan)
    seeds, images = values.shape
    if images < 2:
        return Interval(mean, np.nan, np.nan)
    if np.ptp(values) == 0:
        return Interval(mean, mean, mean)
    options = {"n_resamples": resamples, "confidence_level": level, "rng": np.random.default_rng(seed), "vectorized": True}
    if seeds == 1:
        result = stats.bootstrap((values[0],), np.mean, method="BCa", **options)
    else:

        def crossed_mean(drawn_seeds: NDArray[np.intp], drawn_images: NDArray[np.intp], axis: int = -1) -> Values:
            return values[drawn_seeds[..., :, None], drawn_images[..., None, :]].mean(axis=(-2, -1))

        result = stats.bootstrap((np.arange(seeds), np.arange(images)), crossed_mean, method="percentile", batch=500, **options)
    return Interval(mean, float(result.confidence_interval.low), float(result.confidence_interval.high))


def paired_difference(values: Values, reference: Values, *, seed: int = 0, resamples: int = RESAMPLES) -> Difference:
    """`values` minus `reference`, both (seeds, images), image by image and seed by seed.

    p is Wilcoxon's signed-rank test, two-sided, over images (of the mean over seeds); images without a difference are left out, and
    without any difference p is 1. The effect is (W+ - W-) / (W+ + W-): 1 where every image is larger than in the reference.
    """
    if values.shape != reference.shape:
        raise ValueError(f"paired values have different shapes, {values.shape} and {reference.shape}")
    difference = values - reference
    interval = bootstrap_mean(difference, seed=seed, resamples=resamples)
    per_image = difference.mean(axis=0)
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


def compare(
    scores: pd.DataFrame, row: str, reference: str, dataset: str, metric: str, *, factor: float = 1.0, seed: int = 0
) -> Difference:
    """The paired difference of `row` minus `factor` times `reference`."""
    return paired_difference(
        value_matrix(scores, row, dataset, metric), factor * value_matrix(scores, reference, dataset, metric), seed=seed
    )


def table_statistics(scores: pd.DataFrame, better: dict[str, str], *, seed: int = 0) -> pd.DataFrame:
    """One line per row, data set and metric, in the order in which rows and data sets first appear in `scores`.

    better: metric -> "lower" or "higher"; the best row of a data set and metric is chosen by it, the others are compared with it.

    Columns: row, dataset, metric, mean, ci_low, ci_high, n (images), seeds, difference_to_best, diff_low, diff_high, p_holm,
    effect. `p_holm` is adjusted over the rows of one data set and metric. The best row is chosen from the same scores that it is
    compared on, which favours it a little; its own difference is 0, without an interval.
    """
    rows, datasets = (list(dict.fromkeys(scores[column])) for column in ("row", "dataset"))
    lines = []
    for dataset, (metric, direction) in itertools.product(datasets, better.items()):
        matrices = {row: value_matrix(scores, row, dataset, metric) for row in rows}
        means = {row: float(values.mean()) for row, values in matrices.items()}
        finite = [row for row in rows if np.isfinite(means[row])]
        best = min(finite, key=lambda row: means[row] if direction == "lower" else -means[row], default=None)
        differences = {row: paired_difference(matrices[row], matrices[best], seed=seed) for row in rows if best not in (None, row)}
        adjusted = dict(zip(differences, holm([difference.p for difference in differences.values()]), strict=True))
        for row in rows:
            interval = bootstrap_mean(matrices[row], seed=seed)
            difference = differences.get(row)
            lines.append(
                {
                    "row": row,
                    "dataset": dataset,
                    "metric": metric,
                    "mean": interval.mean,
                    "ci_low": interval.low,
                    "ci_high": interval.high,
                    "n": matrices[row].shape[1],
                    "seeds": matrices[row].shape[0],
                    "difference_to_best": difference.interval.mean if difference else 0.0 if row == best else np.nan,
                    "diff_low": difference.interval.low if difference else np.nan,
                    "diff_high": difference.interval.high if difference else np.nan,
                    "p_holm": adjusted.get(row, np.nan),
                    "effect": difference.effect if difference else np.nan,
                }
            )
    order = {name: index for index, name in enumerate(rows)}
    return pd.DataFrame(lines).sort_values("row", key=lambda names: names.map(order), kind="stable", ignore_index=True)
