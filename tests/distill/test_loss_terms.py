"""The other terms of eq. 9 (gradient matching, feature alignment, local against global) and their sum."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dad.distill.losses import (
    crop_patches,
    distillation_loss,
    feature_alignment_loss,
    gradient_loss,
    local_global_loss,
    total_loss,
)
from dad.errors import UserError
from dad.study.config import LossConfig
from dad.study.modes import weights

GOLDENS = Path(__file__).parents[1] / "goldens" / "losses"
ALL = ["global", "hybrid", "local", "none"]
VARIANTS = ["hdn", "paper"]


@pytest.mark.parametrize("name", ["grad_01_3d_scales4", "grad_02_3d_scales1"])
def test_gradient_loss_equals_upstream(name):
    case = np.load(GOLDENS / f"{name}.npz")
    meta = json.loads(str(case["meta"]))
    prediction = torch.from_numpy(case["pred"])[:, None].requires_grad_()
    target, mask = torch.from_numpy(case["target"])[:, None], torch.from_numpy(case["mask"])[:, None] > 0
    loss = gradient_loss(prediction, target, mask, scales=meta["scales"])
    loss.backward()
    assert loss.item() == pytest.approx(meta["loss"], rel=1e-6)
    np.testing.assert_allclose(prediction.grad[:, 0].numpy(), case["grad"], rtol=1e-4, atol=1e-8)


def test_gradient_loss_counts_both_directions_unlike_upstreams_4d_call():
    case = np.load(GOLDENS / "grad_03_4d_scales1_as_in_genpercept_trainer.npz")
    prediction, target = torch.from_numpy(case["pred"]), torch.from_numpy(case["target"])
    mask = torch.from_numpy(case["mask"]) > 0
    ours = gradient_loss(prediction, target, mask, scales=1).item()
    d = (prediction - target)[:, 0]
    m = mask[:, 0]
    across = ((d[:, :, 1:] - d[:, :, :-1]).abs() * m[:, :, 1:] * m[:, :, :-1]).sum() / m.sum()
    assert ours == pytest.approx(json.loads(str(case["meta"]))["loss"] + across.item(), rel=1e-5)


def test_gradient_loss_of_a_ramp():
    height, width, a, b = 17, 25, 0.5, -0.25
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    ramp = (a * rows + b * columns + 3).expand(2, 1, -1, -1)
    expected = 0.0
    for step in (1, 2, 4, 8):
        h, w = -(-height // step), -(-width // step)
        expected += step * (abs(a) * (h - 1) * w + abs(b) * h * (w - 1)) / (h * w)
    assert gradient_loss(ramp, torch.zeros_like(ramp), None).item() == pytest.approx(expected, rel=1e-6)
    assert gradient_loss(ramp + 5, ramp, None) == 0  # a constant difference has no gradient
    assert gradient_loss(ramp, ramp * 0, torch.zeros_like(ramp, dtype=torch.bool)) == 0


def test_feature_alignment_leaves_near_tokens_alone():
    axis, other = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    near = axis + 0.1 * other
    frozen = axis.expand(1, 4, 3)
    student = torch.stack([near, other, axis + other, -axis])[None].requires_grad_()
    loss = feature_alignment_loss(student, frozen)
    assert loss.item() == pytest.approx(1 - np.mean([0, np.sqrt(0.5), -1]), rel=1e-6)
    loss.backward()
    assert (student.grad[0, 0] == 0).all() and (student.grad[0, 1] != 0).any()
    assert feature_alignment_loss(5 * student, frozen).item() == pytest.approx(loss.item(), rel=1e-6)
    everything = feature_alignment_loss(student, frozen, margin=1.0)
    assert everything.item() == pytest.approx(1 - np.mean([1 / np.sqrt(1.01), 0, np.sqrt(0.5), -1]), rel=1e-6)
    assert feature_alignment_loss(near.expand(1, 4, 3), frozen) == 0
    with pytest.raises(UserError, match="one shape"):
        feature_alignment_loss(student, torch.zeros(1, 4, 5))


def test_crops_follow_continuous_coordinates():
    # a plane is reproduced by bilinear sampling: its value at a patch pixel's centre is known in closed form
    side, grid, size = 100.0, 20, 8
    centres = (torch.arange(grid) + 0.5) / grid * side
    plane = (2 * centres[None, :] + 3 * centres[:, None]).expand(2, 1, -1, -1)
    boxes = torch.tensor([[[10.0, 20.0, 50.0, 60.0], [33.3, 7.7, 71.1, 45.5]]]).repeat(2, 1, 1)
    crops = crop_patches(plane, boxes, square=side, size=size)
    assert crops.shape == (2, 2, 1, size, size)
    share = (torch.arange(size) + 0.5) / size
    for n, (left, top, right, bottom) in enumerate(boxes[0].tolist()):
        x, y = left + (right - left) * share, top + (bottom - top) * share
        torch.testing.assert_close(crops[1, n, 0], 2 * x[None, :] + 3 * y[:, None], rtol=1e-5, atol=1e-3)
    # a square per image: the same shares of a square twice as large
    doubled = crop_patches(
        plane, boxes * torch.tensor([1.0, 2.0])[:, None, None], square=torch.tensor([100.0, 200.0]), size=size
    )
    torch.testing.assert_close(doubled, crops)
    whole = crop_patches(plane, torch.tensor([[[0.0, 0.0, side, side]]]).repeat(2, 1, 1), square=side, size=grid)
    torch.testing.assert_close(whole[:, 0], plane, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("normalization", ALL)
def test_local_global(normalization, variant):
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(2, 1, 8, 8, generator=generator)
    student = torch.nn.functional.interpolate(coarse, size=32, mode="bicubic").requires_grad_()
    boxes = torch.tensor([[[0.0, 0, 80, 80], [37.5, 60, 117.5, 140], [80, 80, 160, 160]]]).repeat(2, 1, 1)
    boxes[1] += torch.tensor([0.0, 4.0, 0.0, 4.0]) * torch.tensor([[1.0], [1.0], [-1.0]])
    options = {"square": 160, "normalization": normalization, "variant": variant}
    labels = crop_patches(student.detach(), boxes, square=160, size=24)
    # each teacher map in a frame of its own, as patches are in practice; without normalisation they must share one
    if normalization != "none":
        labels = labels * torch.tensor([2.0, 0.5, 4.0])[:, None, None, None] + 1
    loss = local_global_loss(student, boxes, labels, **options)
    assert 0 <= loss < 2e-4
    shifted = local_global_loss(student, boxes + torch.tensor([6.0, 0, 6, 0]), labels, **options)
    assert shifted > 0.01 and shifted > 50 * loss
    shifted.backward()
    assert student.grad.isfinite().all() and (student.grad != 0).any()
    # equation 8: the mean over n of one batch each, masks included
    masks = torch.rand(labels.shape, generator=generator) < torch.tensor([0.9, 0.5])[:, None, None, None, None]
    noisy = labels + 0.3 * torch.randn(labels.shape, generator=generator)
    crops = crop_patches(student.detach(), boxes, square=160, size=24)
    one_by_one = [
        distillation_loss(crops[:, n], noisy[:, n], masks[:, n], normalization=normalization, variant=variant).item()
        for n in range(3)
    ]
    together = local_global_loss(student, boxes, noisy, masks, **options)
    assert together.item() == pytest.approx(np.mean(one_by_one), rel=1e-5)


def test_local_global_mistakes_are_named():
    student, boxes, labels = torch.rand(2, 1, 8, 8), torch.zeros(2, 3, 4), torch.rand(2, 3, 1, 8, 8)
    with pytest.raises(UserError, match="N at least 1"):
        local_global_loss(student, boxes, labels[:, :2], square=8, normalization="global")
    with pytest.raises(UserError, match=r"\(B,N,4\)"):
        crop_patches(student, torch.zeros(3, 2, 4), square=8, size=4)


def test_total_is_equation_9():
    shared = torch.tensor(1.0, requires_grad=True)
    terms = {"shared": shared} | {
        name: torch.tensor(value) for name, value in (("local_global", 10.0), ("feature", 100.0), ("gradient", 1000.0))
    }
    total, log = total_loss(weights("cross", LossConfig()), terms)
    assert total == 1 + 0.5 * 10 + 1.0 * 100 + 2.0 * 1000
    assert {name: value.item() for name, value in log.items()} == {
        "shared": 1.0, "local_global": 10.0, "feature": 100.0, "gradient": 1000.0, "total": 2106.0,
    }  # fmt: skip
    assert total.requires_grad and not any(value.requires_grad for value in log.values())
    only = weights("local-global", LossConfig(local_global=3.0, feature=0, gradient=0))
    total, log = total_loss(only, {"local_global": torch.tensor(10.0)})
    assert total == 30 and set(log) == {"local_global", "total"}
