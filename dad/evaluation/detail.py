"""What AbsRel over all pixels hides: sharpness at depth edges, errors beside them, and how much a local fit would gain.

The extra metrics are measured on the same aligned, inverted and clipped prediction as the main ones, over the benchmark's own
mask: a protocol that takes boundaries out of the mask would leave nothing to measure.
"""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dad.evaluation import metrics
from dad.evaluation.alignment import BLOCK
from dad.evaluation.fitting import Fitted, fit_image
from dad.evaluation.protocol import Protocol

DETAIL = ("boundary_f1", "edge_abs_rel", "edge_n")
CENTRE = ("centre_global_abs_rel", "centre_local_abs_rel", "centre_global_delta1", "centre_local_delta1")

LEVELS = np.linspace(1.05, 1.25, 10)
"""Ratios of neighbouring depths from which on there is an edge; a level's weight is its distance to 1."""

EDGE = 1.1
"""The ratio of the edges that the edge band follows."""

BAND = 0.005
"""Half the width of the edge band, as a share of the longer side; at least two pixels."""


class DepthEdges:
    """Where the ground truth of one image has edges; made once, used for every protocol.

    depth: (H,W) metres. mask: (H,W) bool, valid pixels. Pairs are horizontal and vertical neighbours that are both valid.
    """

    def __init__(self, depth: NDArray[np.floating], mask: NDArray[np.bool_]) -> None:
        self._both = [np.logical_and(*_neighbours(mask, axis)) for axis in (0, 1)]
        self._near, self._far, self._ratios = self._steps(depth)
        edges = np.zeros(depth.shape, np.bool_)
        strong = self._ratios > EDGE
        for side in (self._near, self._far):
            edges.ravel()[side[strong]] = True
        self.band = _dilated(edges, max(2, round(BAND * max(depth.shape)))) & mask
        """(H,W) bool: the valid pixels beside an edge."""

    def _steps(self, image: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.floating]]:
        """Flat indices of the nearer and the farther pixel of all pairs whose ratio can exceed LEVELS, and the ratios."""
        near, far = [], []
        height, width = image.shape
        # rows are taken in bands that fit the cache: on 24 megapixels the memory of whole temporary maps costs more than the work
        rows = max(1, 4 * BLOCK // max(width, 1))
        # a little below the lowest level, so that rounding of the product decides nothing
        threshold = np.float32(LEVELS[0] - 1e-3)
        with np.errstate(invalid="ignore", over="ignore"):
            for start, (axis, both) in itertools.product(range(0, height, rows), enumerate(self._both)):
                first, second = _neighbours(image[start : start + rows + (axis == 0)], axis)
                valid = both[start : start + rows]
                for rising, (low, high) in ((True, (first, second)), (False, (second, first))):
                    found = np.flatnonzero((high > low * threshold) & valid)
                    begins = (found if axis == 0 else found + found // max(width - 1, 1)) + start * width
                    ends = begins + (width if axis == 0 else 1)
                    near.append(begins if rising else ends)
                    far.append(ends if rising else begins)
        nearer, farther = np.concatenate(near), np.concatenate(far)
        values = image.ravel()
        positive = values[nearer] > 0
        if not positive.all():
            nearer, farther = nearer[positive], farther[positive]
        return nearer, farther, values[farther] / values[nearer]

    def boundary_f1(self, prediction: NDArray[np.float32]) -> float:
        """Agreement of the edges of an aligned prediction (H,W) with those of the truth, 0 to 1; NaN if the truth has none.

        A pair of neighbours is an edge of level t if the farther is more than t times as far as the nearer. F1 over the
        directed pairs, averaged over ten levels from 1.05 to 1.25 with weights t - 1: microsoft/MoGe `moge/test/metrics.py`
        `boundary_f1` (radius 1), after apple/ml-depth-pro `src/depth_pro/eval/boundary_metrics.py` `SI_boundary_F1`. MoGe
        leaves the pairs out that start at the outermost pixels; here all count. A prediction that is not positive has no
        edges.
        """
        true = _above(self._ratios)
        if not true[0]:
            return math.nan
        predicted = _above(self._steps(prediction)[2])
        values = prediction.ravel()
        near, far = values[self._near], values[self._far]
        with np.errstate(divide="ignore", invalid="ignore"):
            same = np.where(near > 0, far / near, 0)
        common = _above(np.minimum(same, self._ratios))
        f1 = 2 * common / np.maximum(predicted + true, 1)
        return float(np.average(f1, weights=LEVELS - 1))


def score_detail(
    prediction: ArrayLike,
    depth: ArrayLike,
    mask: ArrayLike,
    *,
    kind: str,
    protocol: str | Path | Protocol = "marigold",
    dataset: Any = None,
    strict: bool = False,
    image: str = "",
) -> dict[str, float]:
    """The metrics of `DETAIL` for one prediction; arguments and errors as `dad.evaluation.score`.

    boundary_f1     see `DepthEdges.boundary_f1`
    edge_abs_rel    AbsRel over the valid pixels within BAND of a depth edge (neighbours whose depths differ by the factor
                    EDGE), NaN where there is none; this band is ours
    edge_n          how many pixels that are
    """
    fitted = fit_image(prediction, depth, mask, kind=kind, protocol=protocol, dataset=dataset, strict=strict, image=image)
    return detail_fitted(fitted, DepthEdges(fitted.depth, fitted.labels))


def detail_fitted(fitted: Fitted, edges: DepthEdges) -> dict[str, float]:
    """What `score_detail` returns, for a prediction that was fitted already."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        aligned = _aligned(fitted)
        p, g = aligned[edges.band], fitted.depth[edges.band]
        if fitted.rules.score_domain == "disparity":
            g, aligned = np.reciprocal(g), np.reciprocal(aligned)
        beside = float(np.mean(np.abs(p - g) / g, dtype=np.float64)) if g.size else math.nan
    return {"boundary_f1": edges.boundary_f1(aligned), "edge_abs_rel": beside, "edge_n": float(g.size)}


def _aligned(fitted: Fitted) -> NDArray[np.float32]:
    """The whole prediction (H,W) as it is scored."""
    flat = fitted.prediction.ravel()
    aligned = np.empty(flat.shape, np.float32)
    for start in range(0, flat.size, BLOCK):
        block = slice(start, start + BLOCK)
        aligned[block] = fitted.transform(flat[block])
    return aligned.reshape(fitted.prediction.shape)


def score_local_global(
    prediction: ArrayLike,
    depth: ArrayLike,
    mask: ArrayLike,
    *,
    kind: str,
    protocol: str | Path | Protocol = "marigold",
    dataset: Any = None,
    strict: bool = False,
    image: str = "",
) -> dict[str, float]:
    """Figure 2 of the Distill Any Depth paper: AbsRel and delta1 of the central h/2 x w/2 region under two alignments.

    centre_global_*: the fit is over the whole image, then the region is cut out. centre_local_*: the region is cut out, then
    the fit is over the region. Arguments and errors as `dad.evaluation.score`; NaN where the region has no valid pixel.
    """
    fitted = fit_image(prediction, depth, mask, kind=kind, protocol=protocol, dataset=dataset, strict=strict, image=image)
    return local_global_fitted(fitted)


def local_global_fitted(fitted: Fitted) -> dict[str, float]:
    """What `score_local_global` returns, for a prediction that was fitted already."""
    centre = tuple(slice(size // 4, size // 4 + size // 2) for size in fitted.mask.shape)
    local = fit_image(
        fitted.prediction[centre],
        fitted.depth[centre],
        fitted.labels[centre],
        kind=fitted.kind,
        protocol=fitted.rules,
        dataset=fitted.limits,
        strict=fitted.strict,
    )
    both: dict[str, float] = {}
    for name, transform in (("global", fitted.transform), ("local", local.transform)):
        measured = metrics.measure(local.pixels, local.truth, transform, abs_rel_offset=fitted.rules.abs_rel_offset)
        both |= {f"centre_{name}_{metric}": measured[metric] for metric in ("abs_rel", "delta1")}
    return {name: both[name] for name in CENTRE}


def _neighbours(image: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Views of the first and the second of all neighbours along an axis."""
    return (image[:-1], image[1:]) if axis == 0 else (image[:, :-1], image[:, 1:])


def _above(ratios: NDArray[np.floating]) -> NDArray[np.intp]:
    """How many ratios exceed each of LEVELS; NaN exceeds none."""
    return np.array([np.count_nonzero(ratios > level) for level in LEVELS])


def _dilated(image: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """True within `radius` pixels, along both axes, of a true pixel. The reach triples with every pass."""
    image = image.copy()
    for axis in (0, 1):
        reached = 0
        while reached < radius:
            step = min(2 * reached + 1, radius - reached)
            before = image.copy()
            ahead, behind = (slice(step, None), slice(None, -step))
            if axis == 0:
                image[ahead] |= before[behind]
                image[behind] |= before[ahead]
            else:
                image[:, ahead] |= before[:, behind]
                image[:, behind] |= before[:, ahead]
            reached += step
    return image
