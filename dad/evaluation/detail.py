"""What AbsRel over all pixels hides: sharpness at depth edges, errors beside them, and how much a local fit would gain.

The extra metrics are measured on the same aligned, inverted and clipped prediction as the main ones, over the
benchmark's own mask: a protocol that takes boundaries out of the mask would leave nothing to measure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dad.evaluation import metrics
from dad.evaluation.alignment import BLOCK
from dad.evaluation.fitting import Fitted, fit_image, fit_maps
from dad.evaluation.pairs import Pairs, Transform, bands, unchanged
from dad.evaluation.protocol import Protocol

BOUNDARIES = ("boundary_f1", "boundary_f1_depth_pro", "boundary_f1_moge")
"""One question, counted in three ways; see `DepthEdges.boundaries`."""

DETAIL = (*BOUNDARIES, "edge_abs_rel", "edge_n")
CENTRE = ("centre_global_abs_rel", "centre_local_abs_rel", "centre_global_delta1", "centre_local_delta1")

LEVELS = np.linspace(1.05, 1.25, 10)
"""Ratios of neighbouring depths from which on there is an edge; a level's weight is its distance to 1."""

NEAREST = np.float32(1e-6)
"""Metres of a prediction that is not positive, where it is looked at for edges."""

EDGE = 1.1
"""The ratio of the edges that the edge band follows."""

BAND = 0.005
"""Half the width of the edge band, as a share of the longer side; at least two pixels."""


class DepthEdges:
    """Where the ground truth of one image has edges; made once, used for every protocol.

    depth: (H,W) metres. mask: (H,W) bool, valid pixels. Pairs are horizontal and vertical neighbours that are both
    valid.
    """

    def __init__(self, depth: NDArray[np.floating], mask: NDArray[np.bool_]) -> None:
        self._mask, self._pairs = mask, Pairs(mask)
        self._near, self._far, self._ratios = self._pairs.steps(depth, LEVELS[0])
        strong = self._ratios > EDGE
        edges = np.zeros(depth.shape, np.bool_)
        for side in (self._near, self._far):
            edges.ravel()[side[strong]] = True
        self.beside = _places_within(edges, max(2, round(BAND * max(depth.shape))), mask)
        """(n,) flat indices of the valid pixels beside an edge, in reading order."""

    @property
    def band(self) -> NDArray[np.bool_]:
        """(H,W) bool: the valid pixels beside an edge."""
        band = np.zeros(self._mask.shape, np.bool_)
        band.ravel()[self.beside] = True
        return band

    def boundary_f1(self, prediction: NDArray[np.float32], transform: Transform = unchanged) -> float:
        """Agreement of the edges of a prediction with those of the truth, see `boundaries`."""
        return self.boundaries(prediction, transform)["boundary_f1"]

    def boundaries(self, prediction: NDArray[np.float32], transform: Transform = unchanged) -> dict[str, float]:
        """How far the edges of a prediction are those of the truth, as `BOUNDARIES` count it: 0 to 1; NaN if the truth
        has none.

        prediction: (H,W), aligned by `transform`.

        A pair of neighbours is an edge of level t if the farther is more than t times as far as the nearer; ten levels
        from 1.05 to 1.25. They differ in what they do with the pairs:

        boundary_f1              F1 over all directed pairs together, levels weighted by t - 1; a prediction that is not
                                 positive has no edges
        boundary_f1_moge         the same without the pairs whose nearer pixel is at the image's border: microsoft/MoGe
                                 `moge/test/metrics.py` `boundary_f1` (radius 1)
        boundary_f1_depth_pro    precision and recall are means over those of the four directions, levels weighted by t,
        a
                                 prediction that is not positive is taken for 1e-6 m: apple/ml-depth-pro
                                 `src/depth_pro/eval/boundary_metrics.py` `SI_boundary_F1`
        """
        if not np.any(self._ratios > LEVELS[0]):
            return dict.fromkeys(BOUNDARIES, math.nan)

        def clipped(block: NDArray[np.floating]) -> NDArray[np.floating]:
            return np.maximum(transform(block), NEAREST)

        nearer, farther, ratios = self._pairs.steps(prediction, LEVELS[0], clipped)
        flat = prediction.ravel()
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            near, far = (clipped(flat.take(side)) for side in (self._near, self._far))
            same = np.minimum(far / near, self._ratios)
        made = _Pairs(nearer, farther, ratios, clipped(flat.take(nearer)) > NEAREST)
        true = _Pairs(self._near, self._far, self._ratios, np.ones(self._near.shape, np.bool_))
        both = _Pairs(self._near, self._far, same, near > NEAREST)
        sides = (made, true, both)
        found = {
            "boundary_f1": _f1([pairs.together() for pairs in sides], LEVELS - 1),
            "boundary_f1_depth_pro": _f1([pairs.by_direction() for pairs in sides], LEVELS),
            "boundary_f1_moge": _f1([pairs.together(self._mask.shape) for pairs in sides], LEVELS - 1),
        }
        return {name: found[name] for name in BOUNDARIES}


@dataclass(frozen=True)
class _Pairs:
    """Edges: their nearer and farther pixel (n,), their ratios (n,), and whether both sides are positive (n,)."""

    nearer: NDArray[np.intp]
    farther: NDArray[np.intp]
    ratios: NDArray[np.floating]
    positive: NDArray[np.bool_]

    def together(self, inside: tuple[int, ...] | None = None) -> NDArray[np.intp]:
        """Counts above each level, (levels, 1); with the image's shape those whose nearer pixel is off its border."""
        kept = self.positive
        if inside is not None:
            height, width = inside
            row, column = np.divmod(self.nearer, width)
            kept = kept & (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
        return _above(self.ratios[kept])[:, None]

    def by_direction(self) -> NDArray[np.intp]:
        """How many are above each level in each direction, (levels, 4)."""
        step, across = self.farther - self.nearer, np.abs(self.farther - self.nearer) > 1
        directions = ((across == down) & ((step > 0) == onward) for down in (False, True) for onward in (False, True))
        return np.stack([_above(self.ratios[direction]) for direction in directions], 1)


def _f1(counts: Sequence[NDArray[np.intp]], weights: NDArray[np.float64]) -> float:
    """F1 over the levels, from counts (levels, groups) of edges made, true and both; NaN without true edges.

    Precision and recall are means over the groups; the F1 of the levels are averaged with the weights.
    """
    made, true, both = counts
    if not true[0].any():
        return math.nan
    precision, recall = ((both / np.maximum(all_of_them, 1)).mean(1) for all_of_them in (made, true))
    f1 = 2 * precision * recall / np.where(precision + recall > 0, precision + recall, 1)
    return float(np.average(f1, weights=weights))


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

    boundary_f1...  see `DepthEdges.boundaries`
    edge_abs_rel    AbsRel over the valid pixels within BAND of a depth edge (neighbours whose depths differ by the
    factor
                    EDGE), NaN where there is none; this band is ours
    edge_n          how many pixels that are
    """
    fitted = fit_image(
        prediction, depth, mask, kind=kind, protocol=protocol, dataset=dataset, strict=strict, image=image
    )
    return detail_fitted(fitted, DepthEdges(fitted.depth, fitted.labels))


def detail_fitted(fitted: Fitted, edges: DepthEdges) -> dict[str, float]:
    """What `score_detail` returns, for a prediction that was fitted already."""
    disparity = fitted.rules.score_domain == "disparity"
    to_depth = (lambda block: np.reciprocal(fitted.transform(block))) if disparity else fitted.transform
    errors = _relative_errors(fitted, edges.beside)
    return {
        **edges.boundaries(fitted.prediction, to_depth),
        "edge_abs_rel": float(np.mean(errors, dtype=np.float64)) if errors.size else math.nan,
        "edge_n": float(errors.size),
    }


def _relative_errors(fitted: Fitted, places: NDArray[np.intp]) -> NDArray[np.float32]:
    """|p - g| / g (n,) in the score domain, of pixels by their flat indices (n,)."""
    prediction, depth = fitted.prediction.ravel(), fitted.depth.ravel()
    errors = np.empty(places.shape, np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start in range(0, places.size, BLOCK):
            block = slice(start, start + BLOCK)
            p, g = fitted.transform(prediction.take(places[block])), depth.take(places[block])
            if fitted.rules.score_domain == "disparity":
                g = np.reciprocal(g)
            np.divide(np.abs(p - g), g, out=errors[block])
    return errors


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

    centre_global_*: the fit is over the whole image, then the region is cut out. centre_local_*: the region is cut out,
    then the fit is over the region. Arguments and errors as `dad.evaluation.score`; NaN where the region has no valid
    pixel.
    """
    fitted = fit_image(
        prediction, depth, mask, kind=kind, protocol=protocol, dataset=dataset, strict=strict, image=image
    )
    return local_global_fitted(fitted)


def local_global_fitted(fitted: Fitted) -> dict[str, float]:
    """What `score_local_global` returns, for a prediction that was fitted already."""
    options: dict[str, Any] = {
        "kind": fitted.kind,
        "protocol": fitted.rules,
        "dataset": fitted.limits,
        "strict": fitted.strict,
    }
    local = fit_maps(fitted.maps.centre, **options)
    both: dict[str, float] = {}
    for name, transform in (("global", fitted.transform), ("local", local.transform)):
        measured = metrics.measure(local.pixels, local.truth, transform, abs_rel_offset=fitted.rules.abs_rel_offset)
        both |= {f"centre_{name}_{metric}": measured[metric] for metric in ("abs_rel", "delta1")}
    return {name: both[name] for name in CENTRE}


def _above(ratios: NDArray[np.floating]) -> NDArray[np.intp]:
    """How many ratios exceed each of LEVELS; NaN exceeds none."""
    return np.array([np.count_nonzero(ratios > level) for level in LEVELS])


def _places_within(edges: NDArray[np.bool_], radius: int, mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Flat indices of pixels in the mask within `radius` pixels, along both axes, of an edge; all maps (H,W)."""
    width = edges.shape[1]
    # down the rows eight pixels at a time, as bits of one byte; along them in bands of rows that fit the cache
    bits = np.packbits(edges, axis=1)
    _spread(bits, radius)
    found = [np.empty(0, np.intp)]
    for start, rows in bands(edges.shape):
        near = np.unpackbits(bits[start : start + rows], axis=1, count=width).view(np.bool_)
        _spread(near.T, radius)
        near &= mask[start : start + rows]
        places = np.flatnonzero(near)
        places += start * width
        found.append(places)
    return np.concatenate(found)


def _spread(image: NDArray[np.uint8] | NDArray[np.bool_], radius: int) -> None:
    """Or every row into the rows within `radius`, in place. The reach triples with every pass."""
    reached = 0
    while reached < radius:
        step = min(2 * reached + 1, radius - reached)
        before = image.copy(order="K")
        image[step:] |= before[:-step]
        image[:-step] |= before[step:]
        reached += step
