"""Estimators without skill, and what the protocols make of them."""

import numpy as np
import pytest
import torch

from dad.evaluation import score
from dad.models import load
from dad.models.locate import locate
from dad.models.plugins import NO_SKILL


@pytest.mark.parametrize("name", NO_SKILL)
def test_they_are_models_like_any_other_and_see_no_pixel(name):
    estimator, found = load(name), locate(name)
    assert (estimator.name, estimator.kind, found.how, found.problem) == (name, "disparity", "plugin", "")
    assert found.path is not None and found.path.name == "no_skill.py"
    rgb = torch.rand(2, 3, 6, 5)
    maps = estimator(rgb)
    assert maps.shape == (2, 1, 6, 5) and maps.dtype == torch.float32 and (maps > 0).all()
    assert torch.equal(maps, estimator(1 - rgb))
    assert estimator(np.zeros((6, 5, 3), np.uint8)).shape == (6, 5)


def test_the_gradient_is_nearer_the_lower_a_pixel_is():
    column = load("no-skill:gradient")(torch.rand(1, 3, 4, 3))[0, 0]
    assert column[:, 0].tolist() == [0.125, 0.375, 0.625, 0.875]
    assert (column == column[:, :1]).all()


@pytest.mark.parametrize("protocol", ["marigold", "moge", "midas", "native"])
def test_the_best_constant_is_the_harmonic_mean_of_the_true_depth(protocol):
    depth = np.random.default_rng(0).uniform(1, 9, (12, 16)).astype(np.float32)
    mask = np.random.default_rng(1).uniform(size=depth.shape) < 0.8
    flat = load("no-skill:constant")(torch.zeros(1, 3, 12, 16))[0, 0].numpy()
    constant = 1 / np.mean(1 / depth[mask].astype(np.float64))
    expected = np.mean(np.abs(constant - depth[mask]) / depth[mask])
    assert score(flat, depth, mask, kind="disparity", protocol=protocol)["abs_rel"] == pytest.approx(expected, rel=1e-5)
