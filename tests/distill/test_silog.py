"""SILog against a numpy re-derivation, its closed forms, and what it leaves free."""

import numpy as np
import pytest
import torch

from dad.distill.losses import distillation_loss, local_global_loss, normalised_gradient_loss, silog_loss
from dad.distill.silog import SILOG_FLOOR
from dad.errors import UserError


def maps(seed, shape=(3, 1, 9, 11)):
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.rand(shape, generator=generator, dtype=torch.float64) * 3 - 0.3
    target = torch.rand(shape, generator=generator, dtype=torch.float64) * 2
    target[:, :, :2] = 0  # sky
    return prediction, target, torch.rand(shape, generator=generator) > 0.2


def log_differences(prediction, target, mask):
    """One array of log p - log t per image, from the definition."""
    found = []
    for p, t, m in zip(prediction.numpy(), target.numpy(), mask.numpy(), strict=True):
        floor = SILOG_FLOOR * t[m].mean()
        found.append(np.log(np.maximum(p[m], 0) + floor) - np.log(t[m] + floor))
    return found


def root(d):
    return np.sqrt((d**2).mean() - 0.5 * d.mean() ** 2)


def test_both_variants_against_numpy():
    prediction, target, mask = maps(0)
    found = log_differences(prediction, target, mask)
    batch = silog_loss(prediction, target, mask, variant="hdn")
    assert batch.item() == pytest.approx(root(np.concatenate(found)), rel=1e-9)
    images = silog_loss(prediction, target, mask, variant="paper")
    assert images.item() == pytest.approx(np.mean([root(d) for d in found]), rel=1e-9)
    for variant in ("hdn", "paper"):
        same = distillation_loss(prediction, target, mask, normalization="silog", variant=variant)
        assert same == silog_loss(prediction, target, mask, variant=variant)


def test_depth_and_its_inverse_have_one_loss():
    """log(1/x) = -log x: it does not matter whether depth or disparity is compared (far above the floor)."""
    generators = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    prediction, target = (torch.rand(2, 1, 8, 8, generator=one, dtype=torch.float64) + 0.5 for one in generators)
    assert silog_loss(1 / prediction, 1 / target).item() == pytest.approx(
        silog_loss(prediction, target).item(), rel=1e-2
    )


@pytest.mark.parametrize("factor", [0.25, 2.0, 10.0])
def test_a_wrong_scale_costs_half_of_its_square(factor):
    target = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 0.5
    loss = silog_loss(target * factor, target).item()
    assert loss == pytest.approx(np.sqrt(0.5) * abs(np.log(factor)), rel=1e-2)


def test_gradients_are_finite_everywhere():
    prediction, target, mask = maps(4)
    for start in (prediction, target, torch.zeros_like(target)):
        student = start.clone().requires_grad_()
        silog_loss(student, target, mask).backward()
        assert torch.isfinite(student.grad).all()
    empty = target.clone().requires_grad_()
    loss = silog_loss(empty, target, torch.zeros_like(mask))
    loss.backward()
    assert loss == 0
    assert not empty.grad.any()
    assert silog_loss(target, target) == 0


def test_masked_values_do_not_matter():
    prediction, target, mask = maps(5)
    spoiled = prediction.where(mask, torch.nan), target.where(mask, torch.inf)
    assert silog_loss(*spoiled, mask) == silog_loss(prediction, target, mask)


def test_weights_weigh():
    prediction, target, _ = maps(6, (1, 1, 6, 6))
    prediction, target = prediction.abs() + 0.5, target + 0.5
    weight = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(7))
    floor = SILOG_FLOOR * target.mean()
    d = ((prediction + floor).log() - (target + floor).log()).numpy()
    w = weight.numpy().astype(float)
    mean, square = (w * d).sum() / w.sum(), (w * d**2).sum() / w.sum()
    assert silog_loss(prediction, target, weight=weight).item() == pytest.approx(
        np.sqrt(square - 0.5 * mean**2), rel=1e-6
    )


def test_patches_are_compared_one_number_at_a_time():
    generator = torch.Generator().manual_seed(8)
    whole = torch.rand(2, 1, 16, 16, generator=generator) + 0.5
    labels = torch.rand(2, 3, 1, 16, 16, generator=generator) + 0.5
    boxes = torch.tensor([[0.0, 0, 16, 16]] * 3).expand(2, 3, 4)  # every patch is the whole square
    loss = local_global_loss(whole, boxes, labels, square=16.0, normalization="silog")
    expected = torch.stack([silog_loss(whole, labels[:, n]) for n in range(3)]).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_gradients_are_matched_in_logarithms():
    """A scale error has no edges: in logarithms its gradients match, in raw maps they do not."""
    target = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(9), dtype=torch.float64) + 0.5
    assert normalised_gradient_loss(3 * target, target, normalization="silog") < 0.01
    assert normalised_gradient_loss(3 * target, target, normalization="none") > 1


def test_it_has_no_normalised_map():
    from dad.distill.normalization import normalise

    with pytest.raises(UserError, match="silog"):
        normalise(torch.rand(1, 1, 4, 4), normalization="silog")
