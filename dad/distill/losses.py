"""The distillation losses: paper equations 2-9, with upstream's arithmetic (icoz69/HDN `demo.py`) or the equations' as
a variant.

Every loss computes in float32 whatever the surrounding autocast says (in float64 if an input is float64), never lets a
masked-out value matter, and has finite gradients. A batch without a single valid pixel gives 0 with zero gradients;
upstream gives NaN there (0/0).

Reductions. `hdn`: sum over the batch / valid pixels of the batch, as upstream. `paper`: mean over an image's valid
pixels, then mean over the images that have any; so the mean of the losses of several processes is the loss of one, if
they hold equal numbers of such images.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from dad.distill.context_errors import context_errors
from dad.distill.gradient_matching import gradient_loss, normalised_gradient_loss
from dad.distill.normalization import check_choices, check_maps, contexts_of
from dad.distill.reduction import reduce, weighted_pixels
from dad.distill.silog import log_sums, reduce_silog, silog_loss
from dad.errors import UserError
from dad.study.normalizations import NORMALIZATIONS

__all__ = [
    "crop_patches",
    "distillation_loss",
    "feature_alignment_loss",
    "gradient_loss",
    "local_global_loss",
    "normalised_gradient_loss",
    "scale_anchor_loss",
    "silog_loss",
    "total_loss",
]


def distillation_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    normalization: str,
    groups: str = "range",
    variant: str = "hdn",
    weight: Tensor | None = None,
) -> Tensor:
    """L_Dis: mean absolute difference of the normalised maps (paper equations 2, 4, 5, 6; the arithmetic is in
    `dad.distill.normalization`).

    prediction, target: (B,1,H,W) float, the student's map and the pseudo-label (no gradient); mask: (B,1,H,W) bool,
        all valid if not given; weight: (B,1,H,W) float >= 0, how much each pixel's difference counts (a weighted mean;
        normalization knows no weights), all 1 if not given.
    normalization: `global` (equation 1), `hybrid` (3: levels S = 1, 2, 4, a pixel's loss is the mean over its
        contexts), `local` (5: S = 4), `none` (6: the raw maps) or `silog` (see `silog_loss`). groups: `range`,
        `percentile` or `spatial`, used where there are levels. variant: `hdn` or `paper`; under `hdn` a pixel in no
        context adds nothing but is counted, as upstream. Returns a scalar. Raises UserError on unknown names and on
        shapes that do not fit.
    """
    check_choices(normalization, groups, variant)
    if NORMALIZATIONS[normalization].logarithms:
        return silog_loss(prediction, target, mask, variant=variant, weight=weight)
    sums, counts = _image_errors(prediction, target, mask, normalization, groups, variant, weight)
    return reduce(sums, counts, variant)


def _image_errors(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None,
    normalization: str,
    groups: str,
    variant: str,
    weight: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Per image (B,): the sum of its pixels' losses, and its number of valid pixels (both weighted)."""
    check_choices(normalization, groups, variant)
    prediction, target, mask = check_maps(prediction, target, mask)
    weighted, counts = weighted_pixels(mask, weight)
    with torch.autocast(prediction.device.type, enabled=False):
        if not NORMALIZATIONS[normalization].segments:
            return ((prediction - target).abs().flatten(1) * weighted).sum(1), counts
        contexts = contexts_of(target, mask, normalization, groups, variant)
        weights = None if weight is None else weighted
        return context_errors(prediction.flatten(1), target.flatten(1), contexts, weights, variant), counts


def feature_alignment_loss(student_features: Tensor, frozen_features: Tensor, *, margin: float = 0.85) -> Tensor:
    """L_feat: 1 - mean cosine over the tokens whose cosine is at most `margin` (Depth Anything V1); 0 if there is
    none.

    student_features, frozen_features: (B,N,C) patch tokens of the student's encoder and of the frozen one (no
        gradient). Tokens already closer than the margin are left alone.

    Returns a scalar in [1 - margin, 2], or 0. Raises UserError if the shapes differ: there is no projector between
    the two encoders.
    """
    if student_features.ndim != 3 or student_features.shape != frozen_features.shape:
        raise UserError(
            f"student features {tuple(student_features.shape)} and frozen features {tuple(frozen_features.shape)} "
            "must have one shape (B,N,C); take a frozen encoder of the student's width and patch grid, "
            "or leave feature alignment out"
        )
    with torch.autocast(student_features.device.type, enabled=False):
        dtype = torch.float64 if student_features.dtype == torch.float64 else torch.float32
        cosine = functional.cosine_similarity(student_features.to(dtype), frozen_features.detach().to(dtype), dim=-1)
        far = cosine <= margin
        return torch.where(far, 1 - cosine, 0.0).sum() / far.sum().clamp(min=1)


def scale_anchor_loss(prediction: Tensor) -> Tensor:
    """Squared logarithm of the batch's mean absolute deviation from its median: 0 at a spread of 1. Not in the paper.

    Affine-invariant losses leave the output's scale free: their gradient is orthogonal to it, so under AdamW it drifts,
    in practice upwards by orders of magnitude. A small weight of this term holds it. prediction: (B,1,H,W); returns a
    scalar; a spread below 1e-6 counts as 1e-6.
    """
    with torch.autocast(prediction.device.type, enabled=False):
        values = prediction if prediction.dtype == torch.float64 else prediction.float()
        spread = (values - values.detach().median()).abs().mean()
        return spread.clamp(min=1e-6).log().square()


def crop_patches(global_map: Tensor, boxes: Tensor, *, square: float | Tensor, size: int) -> Tensor:
    """Crop(.) of paper equation 8: the boxes of a map of the whole square, resampled to size x size,
    (B,N,1,size,size), differentiable.

    global_map: (B,1,S,S), any resolution; boxes: (B,N,4) left, top, right, bottom in pixels of the original square,
        fractions allowed; square: that square's side in the same pixels, a number or one per image (B,).

    Coordinates are continuous, 0 and `square` are the outer edges of the square, pixel i of a grid of n covers [i/n,
    (i+1)/n] of it and is sampled
    at its centre: the same convention as `interpolate(align_corners=False)`. Bilinear; beyond the outermost centres
        the edge value holds. There is no low-pass filter: a box is expected to have no more pixels in the map than in
        the patch, which holds when both have one input size. Raises UserError on shapes that do not fit.
    """
    batch = len(global_map)
    if (
        global_map.ndim != 4
        or global_map.shape[1] != 1
        or boxes.ndim != 3
        or boxes.shape[0] != batch
        or boxes.shape[2] != 4
    ):
        raise UserError(
            f"global map {tuple(global_map.shape)} and boxes {tuple(boxes.shape)} must be (B,1,S,S) and (B,N,4) with "
            "one B"
        )
    with torch.autocast(global_map.device.type, enabled=False):
        dtype = torch.float64 if global_map.dtype == torch.float64 else torch.float32
        side = torch.as_tensor(square, dtype=dtype, device=global_map.device).expand(batch)[:, None, None]
        relative = boxes.to(global_map.device, dtype) / side
        centres = (torch.arange(size, dtype=dtype, device=global_map.device) + 0.5) / size
        x, y = (
            2 * (relative[..., low, None] + (relative[..., high, None] - relative[..., low, None]) * centres) - 1
            for low, high in ((0, 2), (1, 3))
        )  # (B,N,size) each, in [-1,1] over the square
        shape = (*x.shape, size)
        grid = torch.stack((x[:, :, None].expand(shape), y[..., None].expand(shape)), -1).flatten(1, 2)
        patches = functional.grid_sample(
            global_map.to(dtype), grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        return patches.unflatten(2, (-1, size)).transpose(1, 2)


def local_global_loss(
    global_prediction: Tensor,
    patch_boxes: Tensor,
    patch_labels: Tensor,
    patch_masks: Tensor | None = None,
    *,
    square: float | Tensor,
    normalization: str,
    groups: str = "range",
    variant: str = "hdn",
    patch_weights: Tensor | None = None,
    crops: Tensor | None = None,
) -> Tensor:
    """L_lg, paper equation 8: the student's map of the whole square, cropped at each patch, against the teacher's map
    of that patch.

    global_prediction: (B,1,S,S); patch_boxes: (B,N,4) and square: see `crop_patches`; patch_labels: (B,N,1,s,s) the
        teacher's maps (no gradient);
    patch_masks: (B,N,1,s,s) bool, all valid if not given; patch_weights: (B,N,1,s,s), see
        `distillation_loss`; crops: what `crop_patches` gives for these boxes, where it has been asked already. The
        batch of every n is one call of `distillation_loss`; the N losses are averaged. Returns a scalar. Raises
        UserError on unknown names and on shapes that do not fit.
    """
    batch, patches = patch_boxes.shape[:2]
    if patch_labels.ndim != 5 or patch_labels.shape[:2] != (batch, patches) or patches == 0:
        raise UserError(
            f"patch labels {tuple(patch_labels.shape)} must be (B,N,1,s,s) with the boxes' B and N {(batch, patches)}, "
            "N at least 1"
        )
    if crops is None:
        crops = crop_patches(global_prediction, patch_boxes, square=square, size=patch_labels.shape[-1])
    masks = None if patch_masks is None else patch_masks.flatten(0, 1)
    weights = None if patch_weights is None else patch_weights.flatten(0, 1)
    check_choices(normalization, groups, variant)
    maps = crops.flatten(0, 1), patch_labels.flatten(0, 1), masks
    if NORMALIZATIONS[normalization].logarithms:
        sums, counts = (of.unflatten(0, (batch, patches)) for of in log_sums(*maps, weights))
        return reduce_silog(sums, counts, variant).mean()
    errors = _image_errors(*maps, normalization, groups, variant, weights)
    sums, counts = (of.unflatten(0, (batch, patches)) for of in errors)
    return reduce(sums, counts, variant).mean()


def total_loss(weights: Mapping[str, float], terms: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """L_total, paper equation 9: the weighted sum of its terms (`dad.study.modes.TERMS` says which there are).

    weights: term -> weight, at least one; terms: the same terms as scalars. Returns the total and, for the log, a dict
    of the terms before weighting and of `total`, detached.
    """
    total = torch.stack([weight * terms[name] for name, weight in weights.items()]).sum()
    return total, {name: terms[name].detach() for name in weights} | {"total": total.detach()}
