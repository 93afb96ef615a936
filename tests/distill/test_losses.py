"""The losses against upstream's goldens (values and gradients), numpy re-derivations, closed forms and properties."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dad.distill.losses import (
    crop_patches,
    distillation_loss,
    feature_alignment_loss,
    gradient_loss,
    local_global_loss,
    normalised_gradient_loss,
    total_loss,
)
from dad.distill.normalization import group_index, normalise
from dad.errors import UserError
from dad.study.config import LossConfig
from dad.study.modes import weights

GOLDENS = Path(__file__).parents[1] / "goldens" / "losses"
KINDS = {
    "global": ("global", "range"),
    "dr": ("hybrid", "range"),
    "dr_local4": ("local", "range"),
    "dp": ("hybrid", "percentile"),
    "dp_local4": ("local", "percentile"),
    "ds": ("hybrid", "spatial"),
}
NORMALISED = ["global", "hybrid", "local"]
ALL = [*NORMALISED, "none"]
GROUPS = ["range", "percentile", "spatial"]
VARIANTS = ["hdn", "paper"]


def pair(seed, batch=2, height=11, width=14, valid=0.8):
    """A target and a prediction that resembles it, on a grid of 1/64: affine maps by powers of two are exact."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 512, (batch, 1, height, width)) / 64
    prediction = target * 0.5 + rng.integers(0, 200, target.shape) / 64
    mask = rng.random(target.shape) < valid
    return (torch.from_numpy(a.astype(np.float32)) for a in (prediction, target)), torch.from_numpy(mask)


def loss_and_gradient(prediction, target, mask, **options):
    leaf = prediction.clone().requires_grad_()
    loss = distillation_loss(leaf, target, mask, **options)
    loss.backward()
    return loss.detach(), leaf.grad


def numpy_loss(prediction, target, mask, normalization, groups, variant):
    """The definition, one image and one context at a time, in float64; contexts from `group_index`, tested alone."""
    errors, counts = [], []
    for image in range(len(target)):
        p, t, m = (np.asarray(of[image, 0], np.float64 if of is not mask else bool) for of in (prediction, target, mask))
        counts.append(m.sum())
        if normalization == "none":
            errors.append(np.abs(p - t)[m].sum())
            continue
        options = {"normalization": normalization, "groups": groups, "variant": variant}
        index = group_index(target[image : image + 1], mask[image : image + 1], **options)[0].numpy()
        error, contexts_of_pixel = np.zeros_like(p), np.zeros_like(p)
        for level in index:
            for context in set(level[level >= 0].tolist()):
                inside = level == context
                normal = []
                for values in (p[inside], t[inside]):
                    centred = values - np.sort(values)[(len(values) - 1) // 2]
                    if variant == "hdn":
                        normal.append(centred / (np.abs(centred).sum() / (len(values) + 1) + 1e-6))
                    else:
                        scale = np.abs(centred).mean()
                        normal.append(centred / (scale if scale > 1e-6 else 1.0))
                error[inside] += np.abs(normal[0] - normal[1])
                contexts_of_pixel[inside] += 1
        errors.append((error / np.maximum(contexts_of_pixel, 1)).sum())
    errors, counts = np.array(errors), np.array(counts)
    if variant == "hdn":
        return errors.sum() / counts.sum()
    return (errors[counts > 0] / counts[counts > 0]).mean()


@pytest.mark.parametrize("path", sorted(GOLDENS.glob("hdn_*.npz")), ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", KINDS)
def test_hdn_equals_upstream(path, kind):
    case = np.load(path)
    prediction, target, mask = (torch.from_numpy(case[name]) for name in ("pred", "gt", "mask"))
    normalization, groups = KINDS[kind]
    loss, gradient = loss_and_gradient(prediction, target, mask, normalization=normalization, groups=groups)
    expected = float(json.loads(str(case["meta"]))["results"][kind]["loss"])
    if "all_invalid" in path.stem and "one_image" not in path.stem:
        # upstream's 0/0, of no use to a training step: here 0, as are its gradients
        assert np.isnan(expected) and loss == 0 and (gradient == 0).all()
        return
    assert loss.item() == pytest.approx(expected, rel=2e-5, abs=2e-6)
    assert gradient.isfinite().all()
    # not compared where upstream's gradient is 1e6 times amplified, or the sign of rounding noise
    if not any(name in path.stem for name in ("constant_pred", "affine_equivalent")):
        np.testing.assert_allclose(gradient.numpy(), case[f"grad_{kind}"], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("normalization", ALL)
@pytest.mark.parametrize("groups", GROUPS)
def test_equals_the_definition_in_numpy(normalization, groups, variant):
    (prediction, target), mask = pair(4, batch=3)
    mask[2] = False
    mask[1, :, :6] = False  # unequal counts: the two reductions differ
    options = {"normalization": normalization, "groups": groups, "variant": variant}
    expected = numpy_loss(prediction, target, mask, **options)
    assert distillation_loss(prediction, target, mask, **options).item() == pytest.approx(expected, rel=1e-5)


def test_large_maps_keep_their_digits():
    generator = torch.Generator().manual_seed(1)
    target = 5 + torch.rand(1, 1, 560, 560, generator=generator)
    prediction = target + 0.1 * torch.randn(target.shape, generator=generator)
    single = distillation_loss(prediction, target, normalization="global")
    double = distillation_loss(prediction.double(), target, normalization="global")
    assert double.dtype == torch.float64 and single.dtype == torch.float32
    # one running float32 sum over these 3e5 pixels is off by 1.5e-5, the partial sums by 1e-7
    assert single.item() == pytest.approx(double.item(), rel=2e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    normalization=st.sampled_from(NORMALISED),
    groups=st.sampled_from(GROUPS),
    variant=st.sampled_from(VARIANTS),
    scale=st.sampled_from([0.25, 0.5, 2.0, 4.0]),
    shift=st.integers(-8, 8),
    of=st.sampled_from(["prediction", "target"]),
)
def test_positive_affine_maps_do_not_matter(seed, normalization, groups, variant, scale, shift, of):
    (prediction, target), mask = pair(seed)
    options = {"normalization": normalization, "groups": groups, "variant": variant}
    before = distillation_loss(prediction, target, mask, **options)
    if of == "prediction":
        prediction = prediction * scale + shift
    else:
        target = target * scale + shift
    after = distillation_loss(prediction, target, mask, **options)
    # hdn's 1e-6 beside the scale is the only thing that sees the units
    assert after.item() == pytest.approx(before.item(), rel=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_affine_maps_matter_without_normalisation_and_reflections_with_it(variant):
    (prediction, target), mask = pair(0)
    options = {"variant": variant, "normalization": "none"}
    plain = distillation_loss(prediction, target, mask, **options)
    assert distillation_loss(prediction * 2, target, mask, **options) > plain * 1.1
    assert distillation_loss(prediction + 20, target, mask, **options) > plain * 1.1
    for normalization in NORMALISED:
        options["normalization"] = normalization
        plain = distillation_loss(prediction, target, mask, **options)
        assert distillation_loss(-prediction, target, mask, **options) > plain * 1.1


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    normalization=st.sampled_from(ALL),
    groups=st.sampled_from(GROUPS),
    variant=st.sampled_from(VARIANTS),
    rubbish=st.sampled_from([1e30, float("nan"), float("inf"), -7.0]),
)
def test_masked_values_and_batch_order_do_not_matter(seed, normalization, groups, variant, rubbish):
    (prediction, target), mask = pair(seed, batch=3)
    options = {"normalization": normalization, "groups": groups, "variant": variant}
    loss, gradient = loss_and_gradient(prediction, target, mask, **options)
    assert (gradient[~mask] == 0).all() and gradient.isfinite().all()
    dirty = [torch.where(mask, of, rubbish) for of in (prediction, target)]
    of_dirty, gradient_of_dirty = loss_and_gradient(*dirty, mask, **options)
    assert loss == of_dirty and torch.equal(gradient, gradient_of_dirty)
    order = torch.tensor([2, 0, 1])
    permuted, gradient_of_permuted = loss_and_gradient(prediction[order], target[order], mask[order], **options)
    assert permuted.item() == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(gradient_of_permuted, gradient[order])


@pytest.mark.parametrize("normalization", ALL)
@pytest.mark.parametrize("groups", GROUPS)
def test_gradcheck(normalization, groups):
    generator = torch.Generator().manual_seed(7)
    target = torch.randn(2, 1, 5, 6, dtype=torch.float64, generator=generator)
    prediction = torch.randn(2, 1, 5, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    mask = torch.rand(2, 1, 5, 6, generator=generator) < 0.8
    options = {"normalization": normalization, "groups": groups}
    for variant in VARIANTS:
        # steps small enough not to pass a kink of |.| or a change of the median
        assert torch.autograd.gradcheck(
            lambda p, v=variant: distillation_loss(p, target, mask, variant=v, **options),
            prediction,
            eps=1e-7,
            atol=1e-5,
            fast_mode=True,
        )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("normalization", ALL)
def test_flat_and_empty_inputs_have_finite_gradients(normalization, groups, variant):
    (prediction, target), mask = pair(3)
    options = {"normalization": normalization, "groups": groups, "variant": variant}
    flat = torch.full_like(target, 2.0)
    one = torch.zeros_like(mask)
    one[:, :, 4, 5] = True
    for p, t, m in (
        (flat, target, mask),
        (prediction, flat, mask),
        (flat, flat, mask),
        (torch.zeros_like(flat), target, mask),
        (prediction, target, one),
        (prediction, target, torch.zeros_like(mask)),
    ):
        loss, gradient = loss_and_gradient(p, t, m, **options)
        assert loss.isfinite() and gradient.isfinite().all()
        if not m.any():
            assert loss == 0 and (gradient == 0).all()
        elif variant == "paper" and normalization != "none" and p is not prediction:
            assert gradient.abs().max() <= 10  # a flat context is not amplified by 1e6 as in hdn


@pytest.mark.parametrize("normalization", ALL)
def test_autocast_does_not_reach_inside(normalization):
    (prediction, target), mask = pair(9)
    prediction, target = prediction.bfloat16(), target.bfloat16()
    expected, gradient = loss_and_gradient(prediction.float(), target.float(), mask, normalization=normalization)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, of_half = loss_and_gradient(prediction, target, mask, normalization=normalization)
        matching = normalised_gradient_loss(prediction, target, mask, normalization=normalization)
    assert loss.dtype == matching.dtype == torch.float32 and loss == expected
    assert torch.equal(of_half, gradient.bfloat16())
    assert matching == normalised_gradient_loss(prediction.float(), target.float(), mask, normalization=normalization)


@pytest.mark.parametrize("normalization", ALL)
def test_paper_adds_up_over_processes_and_hdn_over_pixels(normalization):
    (prediction, target), mask = pair(2, batch=4)
    mask[:2, :, :7] = False
    halves = [slice(0, 2), slice(2, 4)]
    for function in (distillation_loss, normalised_gradient_loss):

        def both(variant, function=function):
            options = {"normalization": normalization, "variant": variant}
            whole = function(prediction, target, mask, **options).item()
            return whole, [function(prediction[h], target[h], mask[h], **options).item() for h in halves]

        whole, parts = both("paper")
        assert np.mean(parts) == pytest.approx(whole, rel=1e-5)
        if function is distillation_loss:
            whole, parts = both("hdn")
            pixels = [int(mask[h].sum()) for h in halves]
            assert np.average(parts, weights=pixels) == pytest.approx(whole, rel=1e-5)
            assert np.mean(parts) != pytest.approx(whole, rel=1e-4)


def test_mistakes_are_named():
    (prediction, target), mask = pair(0)
    with pytest.raises(UserError, match="normalization 'ssi'.*global, hybrid, local, none"):
        distillation_loss(prediction, target, mask, normalization="ssi")
    with pytest.raises(UserError, match="variant 'exact'.*hdn, paper"):
        distillation_loss(prediction, target, mask, normalization="none", variant="exact")
    with pytest.raises(UserError, match="one shape"):
        distillation_loss(prediction, target[:1], mask, normalization="none")
    with pytest.raises(UserError, match="scales 0"):
        gradient_loss(prediction, target, mask, scales=0)


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


@pytest.mark.parametrize("variant", VARIANTS)
def test_normalised_gradient_loss(variant):
    (prediction, target), mask = pair(6)
    for normalization in NORMALISED:
        options = {"normalization": normalization, "variant": variant}
        loss = normalised_gradient_loss(prediction, target, mask, **options)
        assert normalised_gradient_loss(prediction * 4 - 3, target * 2 + 1, mask, **options).item() == pytest.approx(
            loss.item(), rel=1e-4
        )
        if variant == "hdn":
            both = [normalise(of, None, mask, normalization="global", variant=variant) for of in (prediction, target)]
            assert loss == gradient_loss(*both, mask)
    raw = normalised_gradient_loss(prediction, target, mask, normalization="none", variant="hdn")
    assert raw == gradient_loss(prediction, target, mask)


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
    doubled = crop_patches(plane, boxes * torch.tensor([1.0, 2.0])[:, None, None], square=torch.tensor([100.0, 200.0]), size=size)
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
