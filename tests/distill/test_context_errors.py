"""One context after the other gives what look-ups per pixel and autograd give: errors and gradients."""

import math

import pytest
import torch

from dad.distill.context_errors import by_level, context_errors
from dad.distill.normalization import contexts_of

GROUPS = ["range", "percentile", "spatial"]
VARIANTS = ["hdn", "paper"]


def maps(seed, dtype, step):
    """Prediction and target (3,1,17,22) and a mask that leaves the last image nothing; rounded to `step`, so that there
    are ties, flat contexts, and several pixels that hold a median.
    """
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(3, 1, 17, 22, dtype=torch.float64, generator=generator) * 8
    prediction = target * 0.5 + torch.rand(target.shape, dtype=torch.float64, generator=generator) * 4
    mask = torch.rand(target.shape, generator=generator) < 0.8
    mask[2] = False
    weight = torch.rand(target.shape, generator=generator).flatten(1)
    if step:
        prediction, target = ((of / step).round() * step for of in (prediction, target))
    return prediction.to(dtype), target.to(dtype), mask, weight


def both(prediction, target, mask, weight, normalization, groups, variant):
    """Errors and gradients of both ways; images count differently, so that a wrong image's gradient would be seen."""
    contexts = contexts_of(target, mask, normalization, groups, variant)
    for way in (context_errors, by_level):
        leaf = prediction.flatten(1).clone().requires_grad_()
        errors = way(leaf, target.flatten(1), contexts, weight, variant)
        (errors * torch.tensor([1.0, 3.0, 5.0], dtype=errors.dtype)).sum().backward()
        yield errors.detach(), leaf.grad


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("normalization", ["global", "hybrid", "local"])
@pytest.mark.parametrize("step", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_both_ways_are_one(variant, groups, normalization, step, weighted, dtype):
    prediction, target, mask, weight = maps(5, dtype, step)
    weight = weight if weighted else None
    (errors, gradient), (expected, of_expected) = both(prediction, target, mask, weight, normalization, groups, variant)
    assert errors[2] == 0 and (gradient[2] == 0).all() and (gradient[:2] != 0).any()
    torch.testing.assert_close(errors, expected)
    if (
        dtype == torch.float64 or not step
    ):  # where maps coincide, the sign of a difference is that of float32's rounding
        torch.testing.assert_close(gradient, of_expected)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("which", ["prediction", "target", "both"])
def test_flat_maps_are_one_both_ways(variant, which):
    prediction, target, mask, _ = maps(2, torch.float64, 0.0)
    flat = torch.full_like(target, 3.0)
    prediction, target = (
        flat if which in (name, "both") else of for name, of in (("prediction", prediction), ("target", target))
    )
    for groups in GROUPS:
        (errors, gradient), (expected, of_expected) = both(prediction, target, mask, None, "hybrid", groups, variant)
        torch.testing.assert_close(errors, expected)
        torch.testing.assert_close(gradient, of_expected)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("share", [0.01, 0.9])
def test_values_that_are_not_finite_are_seen(value, share):
    prediction, target, mask, _ = maps(3, torch.float32, 0.0)
    broken = torch.rand(prediction.shape, generator=torch.Generator().manual_seed(0)) < share
    prediction = torch.where(broken, value, prediction)
    for groups in GROUPS:
        contexts = contexts_of(target, mask, "hybrid", groups, "hdn")
        errors = context_errors(prediction.flatten(1), target.flatten(1), contexts, None, "hdn")
        assert not errors[:2].isfinite().any() and errors[2] == 0
