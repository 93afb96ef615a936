"""The ten metrics of zero-shot depth evaluation, in one blocked pass over the scored pixels."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dad.evaluation.alignment import BLOCK

METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "delta1", "delta2", "delta3", "i_rmse", "silog")

THRESHOLDS = tuple(np.float32(1.25**power) for power in (1, 2, 3))


Vector = NDArray[np.float32]


def measure(
    prediction: Vector,
    truth: Vector,
    transform: Callable[[Vector], Vector] | None = None,
    *,
    abs_rel_offset: float = 0.0,
) -> dict[str, float]:
    """The metrics of `METRICS`, see `measure_with_bias`."""
    found = measure_with_bias(prediction, truth, transform, abs_rel_offset=abs_rel_offset)
    return {name: found[name] for name in METRICS}


def measure_with_bias(
    prediction: Vector,
    truth: Vector,
    transform: Callable[[Vector], Vector] | None = None,
    *,
    abs_rel_offset: float = 0.0,
) -> dict[str, float]:
    """All metrics of `METRICS` and `log_bias` for a prediction p and a truth g, both (n,) float32, over all n pixels.

    `transform` is applied to the prediction block by block (the alignment; it must not keep or change its argument).

        abs_rel   mean |p - g| / (g + abs_rel_offset)     rmse      sqrt mean (p - g)^2
        sq_rel    mean (p - g)^2 / g                      rmse_log  sqrt mean e^2, e = ln p - ln g
        log10     mean |e| / ln 10                        silog     100 sqrt(mean e^2 - (mean e)^2)
        i_rmse    sqrt mean (1/p - 1/g)^2                 delta k   share with max(p/g, g/p) < 1.25^k, strictly
        log_bias  mean e: positive where the prediction is too far

    Source: prs-eth/Marigold `src/util/metric.py`. Arithmetic is float32 as there, sums are float64 over blocks. A
    zero in the truth gives inf, no pixel gives NaN.
    """
    count = truth.size
    if count == 0:
        return dict.fromkeys((*METRICS, "log_bias"), math.nan)
    relative = squared_relative = squared = inverse_squared = 0.0
    log_absolute = log_squared = centred_log = centred_log_squared = 0.0
    log_origin: np.float32 | None = None
    within = [0, 0, 0]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start in range(0, count, BLOCK):
            g = truth[start : start + BLOCK]
            p = prediction[start : start + BLOCK]
            if transform is not None:
                p = transform(p)
            difference = p - g
            quotient = difference / g
            squared += float(difference @ difference)
            squared_relative += float(difference @ quotient)
            if abs_rel_offset:
                quotient = difference / (g + np.float32(abs_rel_offset))
            # |p - g| / g: the truth's sign counts, as in upstream's formula, should a mask let a negative one through
            relative += float(np.copysign(quotient, g, out=quotient).sum())
            difference /= p
            difference /= g
            inverse_squared += float(difference @ difference)
            ratio = p / g
            larger = np.maximum(ratio, g / p)
            for index, threshold in enumerate(THRESHOLDS):
                within[index] += int(np.count_nonzero(larger < threshold))
            e = np.log(ratio, out=ratio)
            log_absolute += float(np.abs(e).sum())
            log_squared += float(e @ e)
            if log_origin is None:
                # a constant factor makes e large without variance: sum differences to one pixel, or it cancels
                log_origin = e[0] if np.isfinite(e[0]) else np.float32(0.0)
            e -= log_origin
            centred_log += float(e.sum())
            centred_log_squared += float(e @ e)
    variance = centred_log_squared / count - (centred_log / count) ** 2
    return {
        "abs_rel": relative / count,
        "sq_rel": squared_relative / count,
        "rmse": math.sqrt(squared / count),
        "rmse_log": math.sqrt(log_squared / count),
        "log10": log_absolute / count / math.log(10.0),
        "delta1": within[0] / count,
        "delta2": within[1] / count,
        "delta3": within[2] / count,
        "i_rmse": math.sqrt(inverse_squared / count),
        # rounding can push a variance of zero just below it; NaN must stay NaN
        "silog": 100.0 * math.sqrt(0.0 if variance < 0.0 else variance),
        "log_bias": float(log_origin or 0.0) + centred_log / count,
    }
