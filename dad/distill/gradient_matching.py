"""Gradient matching: L_grad of paper equation 9, on raw, normalised or logarithmic maps."""

import torch
from torch import Tensor

from dad.distill.normalization import check_choices, check_maps, group_index, normalise
from dad.distill.reduction import reduce
from dad.distill.silog import logarithms
from dad.errors import UserError
from dad.study.normalizations import NORMALIZATIONS

_ACROSS = ((..., slice(None, -1)), (..., slice(1, None)))
_DOWN = ((..., slice(None, -1), slice(None)), (..., slice(1, None), slice(None)))


def gradient_loss(prediction: Tensor, target: Tensor, mask: Tensor | None, *, scales: int = 4) -> Tensor:
    """Gradient matching between two maps (MiDaS; aim-uofa/GenPercept `genpercept/losses/gradient_loss.py`,
    batch-based).

    With d = prediction - target: at every stride 2^k, k = 0..scales-1, the sum of |d differences| between horizontal
    and between vertical neighbours that are both valid, over the number of valid pixels of the batch at that stride;
    summed over the strides.
    prediction, target: (B,1,H,W) float; mask: (B,1,H,W) bool or None. Returns a scalar. It compares the maps as they
        are: see `normalised_gradient_loss` for the term of the distillation total. Raises UserError on shapes that do
        not fit and on scales < 1.
    """
    sums, counts = _image_gradients(prediction, target, mask, scales)
    return reduce(sums, counts, "hdn").sum()


def normalised_gradient_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    normalization: str,
    groups: str = "range",
    variant: str = "hdn",
    scales: int = 4,
    own: bool = False,
    weight: Tensor | None = None,
) -> Tensor:
    """L_grad of paper equation 9: gradient matching of the globally normalised maps, of the raw maps where
    normalization is `none`, of their logarithms where it is `silog` (as MegaDepth's).

    The paper does not say on which maps; MiDaS and Depth Anything V2 align both globally first, so `global`, `hybrid`
    and `local` all do that here. With `own` each is matched as its own loss normalises: at every level, between
    neighbours that share a context (across contexts the frames differ by construction), and the mean over the levels.
    variant: `hdn` divides by the batch's valid pixels (as `gradient_loss`), `paper` by each image's, then averages the
        images. weight: as in `distillation_loss`, of a pair of neighbours the smaller of the two. Arguments and errors
        otherwise as in `distillation_loss`.
    """
    check_choices(normalization, groups, variant)
    known = NORMALIZATIONS[normalization]
    if known.logarithms:
        with torch.autocast(prediction.device.type, enabled=False):
            prediction, target, mask = logarithms(prediction, target, mask)
    if not known.segments:
        return reduce(*_image_gradients(prediction, target, mask, scales, weight), variant).sum()
    used = normalization if own else "global"
    how = {"normalization": used, "groups": groups, "variant": variant}
    student = normalise(prediction, target, mask, **how)
    teacher = normalise(target.detach(), None, mask, **how)
    if used == "global":
        return reduce(*_image_gradients(student, teacher, mask, scales, weight), variant).sum()
    contexts = group_index(target, mask, **how)
    levels = zip(student.split(1, 1), teacher.split(1, 1), contexts.split(1, 1), strict=True)
    losses = [
        reduce(*_image_gradients(of_student, of_teacher, mask, scales, weight, context), variant).sum()
        for of_student, of_teacher, context in levels
    ]
    return torch.stack(losses).mean()


def _image_gradients(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None,
    scales: int,
    weight: Tensor | None = None,
    contexts: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Per image and scale (B,scales): the sum of absolute differences of neighbours, and the number of valid pixels.

    contexts: (B,1,H,W) integers; neighbours of different contexts are not compared, those of context -1 neither.
    """
    if scales < 1:
        raise UserError(f"scales {scales} is not possible; it must be at least 1")
    everywhere = mask is None and contexts is None
    prediction, target, mask = check_maps(prediction, target, mask)
    with torch.autocast(prediction.device.type, enabled=False):
        difference, mask = (prediction - target)[:, 0], mask[:, 0]
        share = mask if weight is None else torch.where(mask, weight[:, 0].detach().to(torch.float32), 0.0)
        group = None if contexts is None else contexts[:, 0]
        sums, counts = [], []
        for step in (2**scale for scale in range(scales)):
            d, m, w = (of[:, ::step, ::step] for of in (difference, mask, share))
            g = None if group is None else group[:, ::step, ::step]
            total = d.new_zeros(len(d))
            for low, high in (_ACROSS, _DOWN):
                change = (d[high] - d[low]).abs()
                if weight is not None:
                    change = change * torch.minimum(w[high], w[low])
                if not everywhere:
                    pair = m[high] & m[low]
                    if g is not None:
                        pair = pair & (g[high] == g[low]) & (g[low] >= 0)
                    change = torch.where(pair, change, 0.0)
                total = total + change.sum((1, 2))
            sums.append(total)
            counts.append(w.sum((1, 2)))
        return torch.stack(sums, 1), torch.stack(counts, 1)
