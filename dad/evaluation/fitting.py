"""One prediction brought to its ground truth as a protocol says: checks, fit, and the transform to what is scored."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dad.errors import UserError
from dad.evaluation import alignment, sampling
from dad.evaluation.alignment import Affine
from dad.evaluation.datasets import DatasetRules, dataset_rules
from dad.evaluation.protocol import Alignment, Protocol, load_protocol

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Fitted:
    """A prediction with its ground truth under a protocol, and the fit between them.

    prediction, depth: (H,W) float32. labels: (H,W) bool, the mask as given. mask: (H,W) bool, without the truth that the
    protocol does not trust. pixels: (n,) the prediction inside `mask`. truth: (n,) what it is compared with, in the
    protocol's score domain. transform: aligns, inverts and clips a block of the prediction; it keeps its argument.
    """

    prediction: Vector
    depth: Vector
    labels: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    pixels: Vector
    truth: Vector
    fit: Affine
    transform: Callable[[Vector], Vector]
    rules: Protocol
    limits: DatasetRules
    kind: str
    strict: bool


def fit_image(
    prediction: ArrayLike,
    depth: ArrayLike,
    mask: ArrayLike,
    *,
    kind: str,
    protocol: str | Path | Protocol = "marigold",
    dataset: Any = None,
    strict: bool = False,
    image: str = "",
) -> Fitted:
    """Check one prediction and fit it to its ground truth. Arguments and errors as `dad.evaluation.score.score`."""
    rules = protocol if isinstance(protocol, Protocol) else _loaded(str(protocol))
    aligning = rules.alignment(kind)
    limits = dataset_rules(dataset)
    where = f"image {image}: " if image else ""
    prediction, depth, labels = _checked(prediction, depth, mask, where)
    mask = _filtered(depth, labels, rules, limits)
    pixels, truth = _inside(mask, prediction, depth)
    if not strict:
        _require_finite(pixels, "prediction", where)
        _require_finite(truth, "ground truth", where)
    fit = _fit(prediction, depth, mask, pixels, truth, aligning, rules, limits)
    if np.isnan(fit.scale) and rules.strict.nonfinite_fit == "error":
        raise np.linalg.LinAlgError(f"{where}the fit meets NaN or infinite values; the upstream evaluator stops here")
    transform = _transform(fit, truth, aligning, rules, limits)
    if rules.score_domain == "disparity":
        truth = _reciprocal(truth)
    return Fitted(prediction, depth, labels, mask, pixels, truth, fit, transform, rules, limits, kind, strict)


_loaded = functools.lru_cache(maxsize=32)(load_protocol)


def _checked(prediction: ArrayLike, depth: ArrayLike, mask: ArrayLike, where: str) -> tuple[Vector, Vector, NDArray]:
    """The three maps as (H,W) float32, float32 and bool; refuses what can not be meant."""
    prediction, depth, mask = np.asarray(prediction), np.asarray(depth), np.asarray(mask)
    if depth.ndim != 2 or mask.shape != depth.shape:
        raise UserError(f"{where}ground truth {depth.shape} and mask {mask.shape} must be (H,W) of one size")
    if prediction.shape != depth.shape:
        raise UserError(
            f"{where}the prediction is {prediction.shape}, the ground truth {depth.shape}; "
            "predictions are scored at the ground truth's resolution"
        )
    if mask.dtype != np.bool_:
        raise UserError(f"{where}the mask is {mask.dtype}, not bool")
    for name, values in (("prediction", prediction), ("ground truth", depth)):
        if values.dtype.kind not in "fiu":
            raise UserError(f"{where}the {name} is {values.dtype}, not a real number type")
    return prediction.astype(np.float32, copy=False), depth.astype(np.float32, copy=False), mask


def _inside(mask: NDArray[np.bool_], *maps: Vector) -> list[Vector]:
    """The values (n,) of maps where the mask is true, in reading order; to be read only."""
    if mask.all():
        return [values.ravel() for values in maps]
    # several times faster than indexing by the mask, and one search serves all maps
    places = np.flatnonzero(mask)
    return [values.ravel().take(places) for values in maps]


def _require_finite(values: Vector, name: str, where: str) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        # one sum is several times cheaper than a test per pixel, and finite only if all values are
        if np.isfinite(values.sum()):
            return
    if bad := values.size - int(np.count_nonzero(np.isfinite(values))):
        raise UserError(f"{where}{bad} of {values.size} valid pixels of the {name} are NaN or infinite")


def _filtered(depth: Vector, mask: NDArray, rules: Protocol, limits: DatasetRules) -> NDArray:
    """The mask without the truth that the protocol does not trust."""
    outliers, edges = rules.outlier_drop, rules.edge_filter
    if outliers is not None:
        mask = sampling.without_outliers(depth, mask, quantile=outliers.quantile, factor=outliers.factor)
    if edges is not None and limits.name in edges.datasets:
        found = sampling.occlusion_edges(depth, mask, thickness=edges.thickness, tolerance=edges.tolerance)
        mask = mask & ~found
    return mask


def _fit(
    prediction: Vector,
    depth: Vector,
    mask: NDArray,
    pixels: Vector,
    truth: Vector,
    aligning: Alignment,
    rules: Protocol,
    limits: DatasetRules,
) -> Affine:
    """Scale and shift. `pixels` and `truth` are the masked maps, used as they are where the fit sees all of them."""
    if aligning.solver == "none":
        return Affine(1.0, 0.0)
    factor = min(limits.align_max_res / size for size in mask.shape) if limits.align_max_res else 1.0
    x, g = pixels, truth
    if rules.decimation != "none" and factor < 1.0:
        # upstream hands (1,H,W) to torch's Upsample, which takes it for one-dimensional data and thins columns only
        columns = sampling.decimated(mask.shape[1], factor)
        rows = sampling.decimated(mask.shape[0], factor) if rules.decimation == "grid" else np.arange(mask.shape[0])
        picked = np.ix_(rows, columns)
        kept = mask[picked]
        x, g = prediction[picked][kept], depth[picked][kept]
    if aligning.fit_samples == "grid-64":
        picked_flat = sampling.nearest_to_grid(mask, 64)
        x, g = prediction.ravel()[picked_flat], depth.ravel()[picked_flat]
    # a fit against 1/truth or with weights 1/truth has no use for truth that is not positive
    usable = (g > 0) if aligning.domain == "disparity" or aligning.solver == "weighted-l1" else None
    if aligning.fit_pixels == "positive":
        usable = (x > 0) & (g > 0)
    if usable is not None and not usable.all():
        x, g = x[usable], g[usable]
    target = _reciprocal(g) if aligning.domain == "disparity" else g
    if aligning.solver == "weighted-l1":
        return alignment.weighted_l1(x, target, 1.0 / g.astype(np.float64))
    return alignment.least_squares(x, target)


def _transform(
    fit: Affine, truth: Vector, aligning: Alignment, rules: Protocol, limits: DatasetRules
) -> Callable[[Vector], Vector]:
    """The function that brings raw predictions to what is scored, for one block of pixels."""
    scale, shift = np.float32(fit.scale), np.float32(fit.shift)
    floor: float | None
    if aligning.floor == "far-truth":
        floor = 1.0 / float(truth.max()) if truth.size else None
    elif aligning.floor == "cap":
        floor = 1.0 / rules.cap(limits.name)
    else:
        floor = aligning.floor
    low = limits.min_depth if rules.clip == "dataset" else -np.inf
    high = limits.max_depth if rules.clip == "dataset" else np.inf
    if rules.minimum is not None:
        low = max(low, rules.minimum)
    invert = aligning.domain == "disparity" and rules.score_domain == "depth"

    def transform(block: Vector) -> Vector:
        aligned = block * scale
        aligned += shift
        if floor is not None:
            np.maximum(aligned, np.float32(floor), out=aligned)
        if invert:
            if aligning.inversion_offset:
                aligned += np.float32(aligning.inversion_offset)
            np.reciprocal(aligned, out=aligned)
        if high < np.inf:
            np.minimum(aligned, np.float32(high), out=aligned)
        if low > -np.inf:
            # fmax turns NaN into the smallest depth, as Marigold's `disparity2depth` followed by its clip does; without an
            # inversion upstream keeps NaN
            (np.fmax if invert else np.maximum)(aligned, np.float32(low), out=aligned)
        return aligned

    return transform


def _reciprocal(values: Vector) -> Vector:
    with np.errstate(divide="ignore"):
        return np.reciprocal(values)
