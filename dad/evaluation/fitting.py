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
from dad.evaluation.maps import Maps
from dad.evaluation.protocol import Alignment, Protocol, load_protocol

Vector = NDArray[np.float32]

UNKNOWNS = {"least-squares": 2, "weighted-l1": 2, "median": 1, "none": 0}
"""What a fit finds: scale and shift. With fewer pixels there is no fit, and nothing to score."""

SMALLEST = float(np.finfo(np.float32).tiny)
"""What stands for a prediction that is not positive where its logarithm is taken."""


@dataclass(frozen=True)
class Fitted:
    """A prediction with its ground truth under a protocol, and the fit between them.

    maps: prediction, truth and mask as given. mask: (H,W) bool, without the truth that the protocol does not trust.
    pixels: (n,) the prediction inside `mask`. truth: (n,) what it is compared with, in the protocol's score domain.
    transform: aligns, inverts and clips a block of the prediction; it keeps its argument.
    """

    maps: Maps
    mask: NDArray[np.bool_]
    pixels: Vector
    truth: Vector
    fit: Affine
    transform: Callable[[Vector], Vector]
    rules: Protocol
    limits: DatasetRules
    kind: str
    strict: bool

    @property
    def prediction(self) -> Vector:
        """(H,W), as given."""
        return self.maps.prediction

    @property
    def depth(self) -> Vector:
        """(H,W) metres."""
        return self.maps.depth

    @property
    def labels(self) -> NDArray[np.bool_]:
        """(H,W), the mask as given."""
        return self.maps.labels


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
    maps = Maps(prediction, depth, mask, image)
    return fit_maps(maps, kind=kind, protocol=protocol, dataset=dataset, strict=strict)


def fit_maps(
    maps: Maps, *, kind: str, protocol: str | Path | Protocol = "marigold", dataset: Any = None, strict: bool = False
) -> Fitted:
    """What `fit_image` does, for maps that are shared by several protocols."""
    rules = protocol if isinstance(protocol, Protocol) else _loaded(str(protocol))
    aligning = rules.alignment(kind)
    limits = dataset_rules(dataset)
    mask = _filtered(maps, rules, limits)
    if strict and rules.strict.nonfinite_fit == "drop":
        mask = mask & np.isfinite(maps.prediction)
    pixels, truth = maps.inside(mask)
    # with fewer pixels than unknowns any fit would do, and its error of zero say nothing; nor does that of one pixel
    needed = max(UNKNOWNS[aligning.solver], 2) if UNKNOWNS[aligning.solver] and not strict else 0
    if 0 < truth.size < max(rules.least_pixels, needed):
        mask = np.zeros_like(mask)
        pixels, truth = maps.inside(mask)
    if not strict:
        _require_finite(pixels, "prediction", maps.where)
        _require_finite(truth, "ground truth", maps.where)
        _require_positive(truth, maps.where)
    fit = _fit(maps, mask, pixels, truth, aligning, rules, limits)
    if np.isnan(fit.scale) and rules.strict.nonfinite_fit == "error":
        raise np.linalg.LinAlgError(
            f"{maps.where}the fit meets NaN or infinite values; the upstream evaluator stops here"
        )
    transform = _transform(fit, truth, aligning, rules, limits)
    if rules.score_domain == "disparity":
        truth = _reciprocal(truth)
    return Fitted(maps, mask, pixels, truth, fit, transform, rules, limits, kind, strict)


_loaded = functools.lru_cache(maxsize=32)(load_protocol)


def _require_finite(values: Vector, name: str, where: str) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        # one sum is several times cheaper than a test per pixel, and finite only if all values are
        if np.isfinite(values.sum()):
            return
    if bad := values.size - int(np.count_nonzero(np.isfinite(values))):
        raise UserError(f"{where}{bad} of {values.size} valid pixels of the {name} are NaN or infinite")


def _require_positive(truth: Vector, where: str) -> None:
    """No distance is zero or negative, and a ratio to one means nothing."""
    if truth.size and truth.min() <= 0:
        bad = int(np.count_nonzero(truth <= 0))
        raise UserError(
            f"{where}{bad} of {truth.size} valid pixels of the ground truth are not positive: take them out of the mask"
        )


def _filtered(maps: Maps, rules: Protocol, limits: DatasetRules) -> NDArray[np.bool_]:
    """The mask without the truth that the protocol does not trust; the mask as given where there is none."""
    mask, outliers, edges = maps.labels, rules.outlier_drop, rules.edge_filter
    if rules.clip == "caps":
        _, truth = maps.inside(mask)
        low, high = rules.minimum or 0.0, rules.cap(limits.kind)
        if truth.size and not (truth.min() > low and truth.max() < high):
            mask = mask & ~(maps.depth <= low) & ~(maps.depth >= high)  # NaN stays in, to be refused
    if outliers is not None:
        _, truth = maps.inside(mask)
        mask = sampling.without_outliers(
            maps.depth, mask, quantile=outliers.quantile, factor=outliers.factor, truth=truth
        )
    if edges is not None and limits.kind in edges.datasets:
        found = sampling.occlusion_edges(maps.depth, mask, thickness=edges.thickness, tolerance=edges.tolerance)
        mask = mask & ~found
    return mask


def _fit(
    maps: Maps,
    mask: NDArray[np.bool_],
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
        axes = (0, 1) if rules.decimation == "grid" else (1,)
        x, g = sampling.inside(
            *(sampling.thinned(values, factor, axes) for values in (mask, maps.prediction, maps.depth))
        )
    if aligning.fit_samples == "grid-64":
        picked = sampling.nearest_to_grid(mask, 64)
        x, g = maps.prediction.ravel().take(picked), maps.depth.ravel().take(picked)
    # a fit against 1/truth or with weights 1/truth has no use for truth that is not positive
    usable = (g > 0) if aligning.domain == "disparity" or aligning.solver == "weighted-l1" else None
    if aligning.fit_pixels == "positive":
        usable = (x > 0) & (g > 0)
    if rules.strict.nonfinite_fit == "far":
        usable = np.isfinite(x) if usable is None else usable & np.isfinite(x)
    if usable is not None and not usable.all():
        x, g = x[usable], g[usable]
    target = _reciprocal(g) if aligning.domain == "disparity" else g
    if aligning.domain == "log-depth":
        x, target = np.log(x, dtype=np.float64), np.log(target, dtype=np.float64)
    if aligning.solver == "median":
        floor = rules.minimum if aligning.domain == "depth" and rules.minimum is not None else -np.inf
        return alignment.median_ratio(np.maximum(x, np.float32(floor)), target)
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
        floor = 1.0 / rules.cap(limits.kind)
    else:
        floor = aligning.floor
    low = limits.min_depth if rules.clip == "dataset" else -np.inf
    high = {"dataset": limits.max_depth, "caps": rules.cap(limits.kind), "none": np.inf}[rules.clip]
    if rules.minimum is not None:
        low = max(low, rules.minimum)
    invert = aligning.domain == "disparity" and rules.score_domain == "depth"
    logarithmic, far = aligning.domain == "log-depth", rules.strict.nonfinite_fit == "far"

    def transform(block: Vector) -> Vector:
        aligned = (np.log(np.maximum(block, np.float32(SMALLEST))) if logarithmic else block) * scale
        aligned += shift
        if logarithmic:
            with np.errstate(over="ignore"):
                np.exp(aligned, out=aligned)
        if floor is not None:
            np.maximum(aligned, np.float32(floor), out=aligned)
        if invert:
            if aligning.inversion_offset:
                aligned += np.float32(aligning.inversion_offset)
            np.reciprocal(aligned, out=aligned)
        if far:
            aligned[np.isnan(aligned)] = high
        if high < np.inf:
            np.minimum(aligned, np.float32(high), out=aligned)
        if low > -np.inf:
            # fmax turns NaN into the smallest depth, as Marigold's `disparity2depth` followed by its clip does; without
            # an inversion upstream keeps NaN
            (np.fmax if invert else np.maximum)(aligned, np.float32(low), out=aligned)
        return aligned

    return transform


def _reciprocal(values: Vector) -> Vector:
    with np.errstate(divide="ignore"):
        return np.reciprocal(values)
