"""Noise on labels: pure functions of the crop, of the stated amount, the same for all normalizations."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from dad.distill.noise import BLUR, FACTOR, KINDS, blur, frame, region, spoil
from dad.errors import UserError
from dad.study.base import parse_model
from dad.study.cells import cell_id
from dad.study.config import Cell, NoiseConfig


def label(seed=0, side=40):
    return torch.rand(1, side, side, generator=torch.Generator().manual_seed(seed)) + 0.5


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("strength", [0.05, 0.2, 0.4, 1.0])
def test_a_region_has_its_share_and_its_factor(strength):
    shares, factors = [], set()
    for seed in range(40):
        clean = label(seed)
        ratio = region(clean, strength, rng(seed)) / clean
        changed = ratio != 1
        shares.append(changed.float().mean().item())
        factors |= {round(value, 3) for value in ratio[changed].tolist()}
        rows, columns = changed[0].any(1), changed[0].any(0)
        assert changed[0].sum() == rows.sum() * columns.sum()  # one rectangle
    assert np.mean(shares) == pytest.approx(strength, rel=0.06)
    assert factors == {FACTOR, 1 / FACTOR}


def test_blur_is_a_gaussian():
    clean = label(1)
    expected = gaussian_filter(clean[0].double().numpy(), BLUR * 0.4 * 40, mode="nearest", truncate=3.0)
    assert blur(clean.double(), 0.4, rng())[0].numpy() == pytest.approx(expected, abs=2e-3)
    assert blur(torch.full((1, 20, 20), 3.0), 0.2, rng()).numpy() == pytest.approx(np.full((1, 20, 20), 3.0), abs=1e-5)


def test_frames_are_affine_and_spread_as_stated():
    clean, scales, shifts = label(2), [], []
    deviation = (clean - clean.median()).abs().mean()
    for seed in range(400):
        spoiled = frame(clean, 0.3, rng(seed))
        scale, shift = np.polyfit(clean.flatten().numpy(), spoiled.flatten().numpy(), 1)
        assert spoiled.numpy() == pytest.approx(scale * clean.numpy() + shift, abs=1e-4)
        scales.append(np.log(scale))
        shifts.append(shift / deviation.item())
    assert np.std(scales) == pytest.approx(0.3, rel=0.12)
    assert np.std(shifts) == pytest.approx(0.3, rel=0.12)
    assert abs(np.mean(scales)) < 0.06


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_a_function_of_the_crop(kind):
    noise = NoiseConfig(kind=kind, strength=0.3)
    labels = torch.stack([torch.stack([label(n) for n in range(2)]) for _ in range(3)])  # (3,2,1,40,40), equal crops
    how = {"draws": [0, 0, 5], "seed": 1, "view": "patches"}
    spoiled = spoil(labels, noise, photo_ids=["a", "b", "a"], **how)
    assert spoiled.shape == labels.shape
    alone = spoil(labels[2:], noise, photo_ids=["a"], **(how | {"draws": [5]}))
    assert torch.equal(spoiled[2:], alone)  # whatever the batch
    if kind != "blur":
        changes = [spoiled[0, 0] / labels[0, 0], spoiled[1, 0] / labels[1, 0], spoiled[2, 0] / labels[2, 0]]
        assert not torch.equal(changes[0], changes[1])  # another photo
        assert not torch.equal(changes[0], changes[2])  # another draw
        again = spoil(labels, noise, photo_ids=["a", "b", "a"], **(how | {"seed": 2}))
        assert not torch.equal(again, spoiled)
    squares = spoil(labels[:, 0], noise, photo_ids=["a", "b", "a"], draws=[0, 0, 5], seed=1, view="square")
    assert squares.shape == (3, 1, 40, 40)


def test_a_cell_without_noise_keeps_its_id(cell):
    plain = parse_model(Cell, cell.model_dump(mode="json"), source="test")
    assert cell_id(plain) == cell_id(cell)
    noisy = cell.model_copy(
        update={"labels": cell.labels.model_copy(update={"noise": NoiseConfig(kind="blur", strength=0.1)})}
    )
    assert cell_id(noisy) != cell_id(cell)
    assert noisy.label_plans == cell.label_plans  # one cache for all
    with pytest.raises(UserError, match=r"labels\.noise\.strength"):
        parse_model(
            Cell, noisy.model_dump(mode="json") | {"labels": {"noise": {"kind": "blur", "strength": 2}}}, source="test"
        )
