"""Gradient matching as the row's own loss normalises, and with weights, against numpy."""

import numpy as np
import pytest
import torch

from dad.distill.losses import distillation_loss, normalised_gradient_loss
from dad.distill.normalization import group_index, normalise


def maps(seed, side=12):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(2, 1, side, side, generator=generator, dtype=torch.float64) for _ in range(2))


def numpy_matching(difference, group, weight, scales):
    """From the definition: neighbours of one group, every stride, over the pixels of all images at that stride."""
    total = 0.0
    for step in (2**k for k in range(scales)):
        d, g, w = (of[:, ::step, ::step] for of in (difference, group, weight))
        changes = 0.0
        for image in range(len(d)):
            for i in range(d.shape[1]):
                for j in range(d.shape[2]):
                    for k, m in ((i + 1, j), (i, j + 1)):
                        if k < d.shape[1] and m < d.shape[2] and g[image, i, j] == g[image, k, m] >= 0:
                            change = abs(d[image, k, m] - d[image, i, j])
                            changes += change * min(w[image, i, j], w[image, k, m])
        total += changes / w.sum()
    return total


@pytest.mark.parametrize("normalization", ["hybrid", "local"])
@pytest.mark.parametrize("groups", ["range", "spatial"])
@pytest.mark.parametrize("variant", ["hdn", "paper"])
def test_own_normalization_against_numpy(normalization, groups, variant):
    prediction, target = maps(0)
    how = {"normalization": normalization, "groups": groups, "variant": variant}
    student, teacher = normalise(prediction, target, **how), normalise(target, None, **how)
    index = group_index(target, **how).numpy()
    difference = (student - teacher).numpy()
    ones = np.ones((2, 12, 12))
    levels = [numpy_matching(difference[:, level], index[:, level], ones, 3) for level in range(index.shape[1])]
    # `paper` takes the mean of the images' means: they are of one size here, so it is the same number
    loss = normalised_gradient_loss(prediction, target, **how, scales=3, own=True)
    assert loss.item() == pytest.approx(np.mean(levels), rel=1e-9)


def test_an_affine_copy_in_every_context_has_no_gradient_error_of_its_own():
    _, target = maps(1)
    tiles = group_index(target, normalization="local", groups="spatial")
    scale = torch.rand(16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)[tiles] + 0.5
    prediction = target * scale + scale.cos()
    how = {"normalization": "local", "groups": "spatial", "variant": "paper"}
    assert distillation_loss(prediction, target, **how) == pytest.approx(0, abs=1e-9)
    assert normalised_gradient_loss(prediction, target, **how, own=True) == pytest.approx(0, abs=1e-9)
    assert (
        normalised_gradient_loss(prediction, target, **how) > 0.1
    )  # globally normalised, the contexts' frames are errors


def test_global_and_none_are_their_own_anyway():
    prediction, target = maps(3)
    for name in ("global", "none", "silog"):
        losses = [normalised_gradient_loss(prediction, target, normalization=name, own=own) for own in (False, True)]
        assert losses[0] == losses[1]


def test_weights_against_numpy():
    prediction, target = maps(4)
    weight = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(5))
    zeros = np.zeros((2, 12, 12))
    expected = numpy_matching((prediction - target)[:, 0].numpy(), zeros, weight[:, 0].numpy().astype(float), 2)
    loss = normalised_gradient_loss(prediction, target, normalization="none", scales=2, weight=weight)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("normalization", ["global", "hybrid", "none", "silog"])
def test_equal_weights_are_no_weights(normalization):
    prediction, target = maps(6)
    for loss in (distillation_loss, normalised_gradient_loss):
        plain = loss(prediction, target, normalization=normalization)
        weighed = loss(prediction, target, normalization=normalization, weight=torch.full((2, 1, 12, 12), 0.25))
        assert weighed.item() == pytest.approx(plain.item(), rel=1e-6)
