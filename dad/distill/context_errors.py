"""The distance of two maps that are normalised context by context, and its gradient.

On a GPU by look-ups per pixel, all contexts of a level at once. On a CPU one context after the other: with the pixels
in the right order each is one piece of both maps (`dad.distill.selection.runs`), small enough for a processor's cache,
and since the gradient has a closed form nothing has to be kept for it.

In a context with the median t and the divisor s, and with d* the target,

    N(d) = (d - t) / s                                            (paper equations 1, 3, 5)
    E = sum w |N(d) - N(d*)|                                      (paper equations 2, 4)
    g = w sign(N(d) - N(d*))
    dE/dd = g / s  -  (sum g N(d)) s'/s sign(d - t),   s' = ds / d(sum |d - t|)

where the first part takes t and s for constants and the second is what s adds. Through t the pixel that holds the
median gets minus the sum of all that: E does not see a shift of d.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from dad.distill.normalization import Contexts, divisor_of, levels_of, normalise_level
from dad.distill.selection import runs

Values = NDArray[Any]
"""A map's values in one context, (n,) float32 or float64."""


def context_errors(student: Tensor, teacher: Tensor, contexts: Contexts, weight: Tensor | None, variant: str) -> Tensor:
    """(R,) the sum of w |N(student) - N(teacher)| over an image's pixels, a pixel's being the mean over its contexts.

    student, teacher: (R,N) of one type; weight: (R,N) of the pixels, all 1 if None. Differentiable, once, by the
    student's map. Pixels in no context add nothing.
    """
    if student.device.type == "cpu":
        return _ByContext.apply(student, teacher, contexts, weight, variant)
    return by_level(student, teacher, contexts, weight, variant)


def by_level(student: Tensor, teacher: Tensor, contexts: Contexts, weight: Tensor | None, variant: str) -> Tensor:
    """`context_errors`, for any device."""
    levels = levels_of(contexts, student, teacher)
    errors = student.new_zeros(())
    for level in levels:
        of_student, of_teacher = level.medians
        label = normalise_level(teacher, level, of_teacher, variant)
        errors = errors + (normalise_level(student, level, of_student, variant) - label).abs()
    if weight is not None:
        errors = errors * weight
    # levels are nested: a pixel is in a context of every level or in none, so the mean over its contexts is the
    # mean over the levels
    return torch.where(contexts.inside(), errors / len(levels), 0.0).sum(1)


class _ByContext(torch.autograd.Function):
    """`context_errors` on a CPU."""

    @staticmethod
    def forward(
        ctx: Any, student: Tensor, teacher: Tensor, contexts: Contexts, weight: Tensor | None, variant: str
    ) -> Tensor:
        sums, gradient = student.new_zeros(len(student)), torch.zeros_like(student)
        parents = contexts.parents[:, :-1].tolist()  # without the group of the pixels in none
        with np.errstate(all="ignore"):  # of values that are not finite the loss is not, which the loop sees
            for image, group in enumerate(contexts.finest.numpy()):
                pixels, levels = runs(group, parents)
                d, label = (of[image].numpy().take(pixels) for of in (student, teacher))
                w = None if weight is None else weight[image].numpy().take(pixels)
                error, slope = 0.0, np.zeros_like(d)
                for run in (run for level in levels for run in level.values() if run.stop > run.start):
                    of_run, slope_of_run = _one_context(
                        d[run], label[run], None if w is None else w[run], pixels[run], variant
                    )
                    error += of_run
                    slope[run] += slope_of_run
                sums[image] = error / len(levels)
                gradient[image].numpy()[pixels] = slope / len(levels)
        ctx.save_for_backward(gradient)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_sums: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * of_sums[:, None], None, None, None, None


def _one_context(
    d: Values, label: Values, w: Values | None, pixels: NDArray[np.int64], variant: str
) -> tuple[float, Values]:
    """E and dE/dd; pixels: the values' numbers in the image, by which the first that holds the median is found."""
    normal, t, s, slope_of_s = _normalise(d, variant)
    difference = normal - _normalise(label, variant)[0]
    g, error = _sign(difference), np.abs(difference, out=difference)
    if w is not None:
        g, error = g * w, error * w
    slope = _sign(normal)
    slope *= -float(g @ normal) * slope_of_s / s
    slope += np.divide(g, s, out=g)
    holders = np.flatnonzero(d == t)
    if len(holders):  # NaN is equal to nothing
        slope[holders[pixels[holders].argmin()]] -= slope.sum()
    return float(error.sum()), slope


def _normalise(d: Values, variant: str) -> tuple[Values, Any, float, float]:
    """N(d), t, s and s'."""
    middle = (len(d) - 1) // 2
    t = np.partition(d, middle)[middle]
    centred = d - t
    s, slope = divisor_of(float(np.abs(centred).sum()), len(d), variant)
    return np.divide(centred, s, out=centred), t, s, slope


def _sign(values: Values) -> Values:
    """torch's sign: numpy's takes four times as long."""
    return torch.from_numpy(values).sign().numpy()
