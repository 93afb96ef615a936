"""A teacher's labels of patches against its label of the whole square: which is nearer the truth, and their frames."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dad.data.crops import CropPlan
from dad.distill.losses import crop_patches
from dad.evaluation.detail import DepthEdges, detail_fitted
from dad.evaluation.fitting import fit_image
from dad.evaluation.score import score_fitted
from dad.premises.sources import Picture

LEAST = 0.25
"""Share of a patch's pixels that must have a truth for it to be scored."""


def patch_rows(estimator: Any, pictures: Iterable[Picture], plan: CropPlan, draws: int) -> list[dict[str, Any]]:
    """One row per patch of `draws` crops of every picture.

    photo, draw, patch: which it is; ratio: the patch's side over the square's; scale, shift: the frame (`frame`) of the
    patch's own label against its cut-out of the square's; and, with a truth, for each of the two labels aligned to it
    by itself (`marigold` protocol): local_ and cut_ abs_rel, edge_abs_rel (beside depth edges) and boundary_f1; NaN
    where there is nothing to measure.
    """
    rows = []
    for picture in pictures:
        height, width = picture.rgb.shape[:2]
        for draw in range(draws):
            crop = plan.draw(picture.id, draw, width, height)
            views = plan.views(picture.rgb, crop)
            square = estimator(torch.from_numpy(views.square)[None]).float().cpu()
            local = estimator(torch.from_numpy(views.patches)).float().cpu()
            side = crop.patch_side
            cut = crop_patches(square, torch.from_numpy(views.boxes)[None], square=float(crop.side), size=side)[0]
            if local.shape[-1] != side:  # a square smaller than the network's input: its patches were enlarged
                local = functional.interpolate(local, size=(side, side), mode="bilinear", align_corners=False)
            truth = _truth(picture.depth, crop.x, crop.y, crop.side, crop.flip)
            for number, (x0, y0, x1, y1) in enumerate(views.boxes.astype(int)):
                row: dict[str, Any] = {"photo": picture.id, "draw": draw, "patch": number, "ratio": side / crop.side}
                row["scale"], row["shift"] = frame(local[number], cut[number], square[0])
                if truth is not None:
                    depth = truth[y0:y1, x0:x1]
                    row |= scores("local", local[number], depth, estimator.kind) | scores(
                        "cut", cut[number], depth, estimator.kind
                    )
                rows.append(row)
    return rows


def _truth(depth: np.ndarray | None, x: int, y: int, side: int, flip: bool) -> np.ndarray | None:
    """The square of a depth map as the student sees it."""
    if depth is None:
        return None
    square = depth[y : y + side, x : x + side]
    return square[:, ::-1] if flip else square


def frame(local: Tensor, cut: Tensor, square: Tensor) -> tuple[float, float]:
    """Scale and shift that take the cut-out to the patch's own label, by least squares: local = scale x cut + shift.

    All maps (1,h,w), first normalised by the median and mean absolute deviation of the square's label, so that the
    shift is in units of the whole map's spread and (1, 0) is the same frame. NaN for a cut-out without any spread.
    """
    median = square.median()
    spread = (square - median).abs().mean().clamp(min=1e-12)
    x, y = ((of.flatten().double() - median) / spread for of in (cut, local))
    centred = x - x.mean()
    if centred.square().mean() < 1e-12:
        return float("nan"), float("nan")
    scale = ((centred * (y - y.mean())).sum() / centred.square().sum()).item()
    return scale, (y.mean() - scale * x.mean()).item()


def scores(name: str, label: Tensor, depth: np.ndarray, kind: str) -> dict[str, float]:
    """AbsRel, AbsRel beside depth edges, and boundary F1 of one label (1,h,w) aligned to depth (h,w; 0: none)."""
    mask = np.ascontiguousarray(depth > 0)
    measured = {metric: float("nan") for metric in ("abs_rel", "edge_abs_rel", "boundary_f1")}
    if mask.mean() >= LEAST:
        fitted = fit_image(label[0].numpy(), np.ascontiguousarray(depth), mask, kind=kind, protocol="marigold")
        detail = detail_fitted(fitted, DepthEdges(fitted.depth, fitted.labels))
        found = score_fitted(fitted) | detail
        measured = {metric: float(found[metric]) for metric in measured}
    return {f"{name}_{metric}": value for metric, value in measured.items()}
