"""Bringing an affine-invariant prediction to metres: closed-form least squares and exact weighted L1, in float64."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

# Blocks stay in the second-level cache. Above 10,000 elements OpenBLAS would split every dot product over threads, and
# waking them costs many times what the product does
BLOCK = 1 << 13


class Affine(NamedTuple):
    """`aligned = scale * prediction + shift`."""

    scale: float
    shift: float


def least_squares(prediction: Floats, target: Floats) -> Affine:
    """The (scale, shift) that minimises sum (scale * prediction + shift - target)^2, both arguments (n,).

    Sums are centred and in float64, in one pass. A rank-deficient system (a constant prediction, fewer than two
    pixels) gets the minimum-norm solution by the rank rule of `numpy.linalg.lstsq(rcond=None)`, which Marigold's
    `align_depth_least_square` calls; no pixel at all gives (0, 0), non-finite values give (nan, nan).
    """
    count = prediction.size
    if count == 0:
        return Affine(0.0, 0.0)
    # Differences to the first pixel are exactly zero for a constant prediction, and keep cancellation out of the sums
    origin_x, origin_y = float(prediction[0]), float(target[0])
    sum_x = sum_y = sum_xx = sum_xy = 0.0
    with np.errstate(invalid="ignore"):
        for start in range(0, count, BLOCK):
            x = prediction[start : start + BLOCK].astype(np.float64)
            y = target[start : start + BLOCK].astype(np.float64)
            x -= origin_x
            y -= origin_y
            sum_x += float(x.sum())
            sum_y += float(y.sum())
            sum_xx += float(x @ x)
            sum_xy += float(x @ y)
    if not np.isfinite(sum_x + sum_y):
        return Affine(float("nan"), float("nan"))
    mean_x, mean_y = origin_x + sum_x / count, origin_y + sum_y / count
    centred_xx = max(sum_xx - sum_x * sum_x / count, 0.0)
    centred_xy = sum_xy - sum_x * sum_y / count
    if _rank_deficient(count, mean_x, centred_xx):
        # The leading right singular vector is (mean_x, 1) / sqrt(mean_x^2 + 1)
        shift = mean_y / (mean_x * mean_x + 1.0)
        return Affine(mean_x * shift, shift)
    scale = centred_xy / centred_xx
    return Affine(scale, mean_y - scale * mean_x)


def _rank_deficient(count: int, mean_x: float, centred_xx: float) -> bool:
    """Whether the singular values of the (count, 2) matrix [x, 1] are further apart than LAPACK's cut-off."""
    trace = centred_xx + count * (mean_x * mean_x + 1.0)
    determinant = count * centred_xx
    largest_squared = 0.5 * (trace + max(trace * trace - 4.0 * determinant, 0.0) ** 0.5)
    cut_off = np.finfo(np.float64).eps * max(count, 2)
    return bool(determinant <= (cut_off * largest_squared) ** 2)


def median_ratio(prediction: Floats, target: Floats) -> Affine:
    """The scale median(target) / median(prediction), both arguments (n,), and no shift.

    Medians are the lower ones (the smaller of the two in the middle), as torch's are. No pixel at all gives (0, 0), a
    median prediction of zero an infinite scale.
    """
    if prediction.size == 0:
        return Affine(0.0, 0.0)
    middle = (prediction.size - 1) // 2
    x, y = (float(np.partition(values, middle)[middle]) for values in (prediction, target))
    return Affine(float(np.divide(y, x)), 0.0)


def weighted_l1(prediction: Floats, target: Floats, weights: Floats) -> Affine:
    """An exact minimiser of sum weights * |scale * prediction + shift - target|, all arguments (n,), weights > 0.

    The objective is convex and linear between the lines (scale, shift) on which one pixel has no error; a minimum
    lies where two of them cross. From a crossing, the best point of every line through it is a weighted median: the
    search moves while one of them is better, and stops at the minimum. It replaces the search over all anchor pixels
    of microsoft/MoGe `moge/utils/alignment.py` `align_depth_affine` (O(n log n) per step). Both agree unless
    predictions repeat: upstream's comparison of anchors leaves out the pixels that share the anchor's prediction and
    can miss the minimum then. A constant prediction gets scale 0 and the weighted median, no pixel gives (0, 0),
    non-finite values give (nan, nan).
    """
    x, y, w = (np.asarray(values, np.float64) for values in (prediction, target, weights))
    if x.size == 0:
        return Affine(0.0, 0.0)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return Affine(float("nan"), float("nan"))
    if x.min() == x.max():
        return Affine(0.0, float(y[_weighted_median(y, w)]))
    size = float(np.sum(w * np.abs(y))) or 1.0
    best, loss = _best_through(int(np.argsort(x)[x.size // 2]), x, y, w)
    while loss > 1e-14 * size:
        residuals = np.abs(best.scale * x + best.shift - y)
        exact = np.flatnonzero(residuals <= 1e-10 * (abs(best.shift) + np.abs(y)))
        # pixels with equal predictions are parallel lines: only one of them can pass through the crossing
        _, first = np.unique(x[exact], return_index=True)
        candidates = (_best_through(int(anchor), x, y, w) for anchor in exact[first])
        better = next((found for found in candidates if found[1] < loss * (1 - 1e-12)), None)
        if better is None:
            break
        best, loss = better
    return best


def _best_through(anchor: int, x: Floats, y: Floats, w: Floats) -> tuple[Affine, float]:
    """The best alignment among those that are exact at one pixel, and its loss."""
    dx, dy = x - x[anchor], y - y[anchor]
    others = np.flatnonzero(dx)
    slopes = dy[others] / dx[others]
    scale = float(slopes[_weighted_median(slopes, w[others] * np.abs(dx[others]))])
    loss = float(np.sum(w * np.abs(scale * dx - dy)))
    return Affine(scale, float(y[anchor] - scale * x[anchor])), loss


def _weighted_median(values: Floats, weights: Floats) -> int:
    """Index of the lower weighted median."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return int(order[min(np.searchsorted(cumulative, 0.5 * cumulative[-1]), order.size - 1)])
