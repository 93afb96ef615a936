"""Pretraining on labelled scenes: batches as functions of the step, sky at disparity 0, resumption, a falling loss."""

import shutil

import numpy as np
import pytest
import torch

from dad.distill.losses import scale_anchor_loss
from dad.distill.pretrain import LabelledScenes, batches, pretrain, scene_loss, stages, thinned
from dad.errors import UserError
from dad.models.checkpoints import load_network
from dad.models.registry import build_network
from dad.study.base import parse_model
from dad.study.zoo import ZooRecipe


@pytest.fixture
def recipe():
    network = {"width": 32, "depth": 2, "heads": 2, "taps": [0, 0, 0, 1], "stem": "hybrid", "patch": 16, "grid": 3}
    network |= {"reassemble": [8, 8, 8, 16], "fusion": 8, "head_hidden": 4, "depth": 4, "taps": [0, 1, 2, 3]}
    values = {
        "name": "tiny",
        "network": network,
        "scenes": {"kinds": ["indoor", "outdoor"], "count": 5, "seed": 40, "height": 72, "width": 96},
        "size": 48,
        "anchor": 0.05,
        "min_crop": 56,
        "optim": {"steps": 12, "batch": 4, "encoder_rate": 2e-3, "head_rate": 2e-3, "warmup": 2, "checkpoint_every": 5},
    }
    return parse_model(ZooRecipe, values, source="test")


@pytest.fixture
def roots(scene_folders):
    return [scene_folders["indoor"], scene_folders["outdoor"]]


def test_batches_are_functions_of_their_step(recipe, roots):
    scenes = LabelledScenes(roots)
    assert scenes.count == 10
    whole = list(batches(scenes, recipe, 0))
    later = list(batches(scenes, recipe, 7))
    assert len(whole) == 12
    for one, two in zip(whole[7:], later, strict=True):
        assert all(torch.equal(one[key], two[key]) for key in one)
    assert whole[0]["rgb"].shape == (4, 3, 48, 48)
    assert 0 <= whole[0]["rgb"].min() <= whole[0]["rgb"].max() <= 1


def test_disparity_is_the_inverse_of_depth_and_zero_in_the_sky(roots):
    scenes = LabelledScenes(roots)
    skies = 0
    for index in range(scenes.count):
        _, disparity = scenes.read(index)
        depth = np.load(roots[index % 2] / "depth" / f"{index // 2:06d}.npy")
        values = np.asarray(disparity)
        assert np.allclose(values[depth > 0] * depth[depth > 0], 1)
        assert (values[depth == 0] == 0).all()
        skies += (depth == 0).any()
    assert skies > 0


def test_pretraining_learns_and_writes_a_model(recipe, roots, tmp_path):
    pretrain(recipe, roots, tmp_path / "out", tmp_path / "work")
    network, header = load_network(tmp_path / "out" / "tiny.safetensors")
    assert header.network == recipe.network
    assert not (tmp_path / "work").exists()
    batch = next(batches(LabelledScenes(roots), recipe, 0))
    torch.manual_seed(recipe.seed)
    start = build_network(recipe.network)
    with torch.no_grad():
        before, after = scene_loss(start, batch, recipe).loss, scene_loss(network, batch, recipe).loss
    assert after < before
    rows = (tmp_path / "out" / "tiny.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in rows[1:]] == [0, 11]


def test_thinning_keeps_the_header_and_each_stages_last_step():
    log = "step,loss\n" + "".join(f"{step},1.0\n" for step in range(45))
    assert [row.split(",")[0] for row in thinned([log], 20).splitlines()] == ["step", "0", "20", "40", "44"]
    both = [row.split(",")[0] for row in thinned([log, log], 20).splitlines()]
    assert both == ["step", "0", "20", "40", "44", "45", "65", "85", "89"]


def test_logs_of_stages_with_other_losses_share_one_table():
    assert thinned(["step,loss,a\n0,1.5,2\n", "step,loss,b\n0,0.5,3\n"]) == "step,loss,a,b\n0,1.5,2,\n1,0.5,,3\n"


def test_refining_goes_on_from_the_weights_with_other_crops(recipe, roots, tmp_path):
    short = recipe.model_copy(
        update={"name": "once", "refine": recipe.optim.model_copy(update={"steps": 4, "head_rate": 1e-9})}
    )
    short = short.model_copy(
        update={"refine": short.refine.model_copy(update={"encoder_rate": 1e-9, "weight_decay": 0.0})}
    )
    pretrain(recipe, roots, tmp_path, tmp_path / "work")
    pretrain(short, roots, tmp_path, tmp_path / "work")
    one, two = load_network(tmp_path / "tiny.safetensors")[0], load_network(tmp_path / "once.safetensors")[0]
    assert all(torch.allclose(value, two.state_dict()[key], atol=1e-3) for key, value in one.state_dict().items())
    assert (tmp_path / "once.csv").read_text().splitlines()[-1].startswith("15,")
    first, second = (next(batches(LabelledScenes(roots), stage.recipe, 0)) for stage in stages(short))
    assert not torch.equal(first["rgb"], second["rgb"])


def test_unfinished_or_uneven_folders_are_refused(roots, tmp_path):
    with pytest.raises(UserError, match=r"scenes.json is missing"):
        LabelledScenes([tmp_path])


def test_the_anchor_is_zero_at_unit_spread_and_pulls_towards_it():
    values = torch.tensor([[-1.0, 1.0], [-1.0, 1.0]])[None, None] + 5  # mean absolute deviation 1 around either median
    unit = values * 2 - 5
    assert scale_anchor_loss((unit - unit.median()) / (unit - unit.median()).abs().mean()).item() == pytest.approx(
        0, abs=1e-10
    )
    for factor in (10.0, 0.1):
        prediction = ((unit - unit.median()) / (unit - unit.median()).abs().mean() * factor).requires_grad_()
        loss = scale_anchor_loss(prediction)
        assert loss.item() == pytest.approx(np.log(10) ** 2, rel=1e-5)
        loss.backward()
        moved = (prediction - 0.01 * prediction.grad).detach()
        assert scale_anchor_loss(moved) < loss


def test_drift_without_and_with_the_anchor():
    """Affine-invariant training leaves scale free: from 100 it returns to 1 with the anchor, without it stays away."""
    from dad.distill.losses import distillation_loss

    target = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for weight, returns in ((0.0, False), (0.05, True)):
        scale = torch.tensor(100.0, requires_grad=True)
        optimizer = torch.optim.Adam([scale], lr=0.5)
        for _ in range(600):
            prediction = target * scale
            loss = distillation_loss(prediction, target, normalization="global") + weight * scale_anchor_loss(
                prediction
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        spread = (target * scale).detach()
        spread = (spread - spread.median()).abs().mean().item()
        assert (0.8 < spread < 1.25) == returns


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 60}, "its scenes have height 72, and recipe tiny asks for 60"),
        ({"seed": 41}, "its scenes have seed 40, and recipe tiny asks for 41"),
        ({"count": 4}, "its scenes have count 5, and recipe tiny asks for 4"),
        ({"style": "rich"}, "its scenes have style 'plain', and recipe tiny asks for 'rich'"),
        (
            {"kinds": ("outdoor", "indoor")},
            "the folders hold indoor, outdoor, and recipe tiny asks for outdoor, indoor, in this order",
        ),
    ],
)
def test_other_scenes_than_the_recipes_are_refused(recipe, roots, tmp_path, changes, message):
    asked = recipe.model_copy(update={"scenes": recipe.scenes.model_copy(update=changes)})
    with pytest.raises(UserError, match=message):
        pretrain(asked, roots, tmp_path / "out", tmp_path / "work")
    assert not (tmp_path / "out").exists()


def test_a_damaged_scene_is_named(roots, tmp_path):
    shutil.copytree(roots[0], tmp_path / "scenes")
    place = tmp_path / "scenes" / "depth" / "000002.npy"
    data = bytearray(place.read_bytes())
    data[-5] ^= 4
    place.write_bytes(data)
    scenes = LabelledScenes([tmp_path / "scenes"])
    scenes.read(1)
    with pytest.raises(UserError, match=r"scene 000002 of .*scenes cannot be read .*checksum"):
        scenes.read(2)
    (tmp_path / "scenes" / "scenes.json").write_text("[]")
    with pytest.raises(UserError, match=r"scenes\.json is damaged"):
        LabelledScenes([tmp_path / "scenes"])
