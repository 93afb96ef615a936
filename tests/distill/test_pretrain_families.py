"""Pretraining of the other families: MiDaS's two, and the diffusion network's stages, their losses and resumption."""

import itertools
import json

import pytest
import torch
from accelerate.state import AcceleratorState

from dad.cli import main
from dad.distill import pretrain as module
from dad.distill.pretrain import LabelledScenes, batches, pretrain, stages, start, to_unit_spread
from dad.distill.pretrain_diffusion import autoencoder_loss, bounded_map, one_step_loss
from dad.errors import UserError
from dad.models import load
from dad.models.checkpoints import load_network
from dad.study.base import parse_model
from dad.study.zoo import ZooRecipe

OPTIM = {"steps": 8, "batch": 4, "encoder_rate": 3e-3, "head_rate": 3e-3, "warmup": 2, "checkpoint_every": 3}
BEIT = {"family": "midas-dpt", "encoder": "beit", "width": 32, "depth": 4, "heads": 2, "taps": [0, 1, 2, 3], "grid": 3}
BEIT |= {"reassemble": [8, 8, 8, 16], "fusion": 8, "classes": 0}
EFFICIENT = {"family": "midas-small", "channel_multiplier": 0.1, "depth_multiplier": 0.2, "fusion": 4}
DIFFUSION = {
    "family": "genpercept",
    "vae": {
        "block_out_channels": [8, 8],
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
        "layers_per_block": 1,
        "norm_num_groups": 2,
        "scaling_factor": 0.5,
    },
    "unet": {
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": [8, 16],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "layers_per_block": 1,
        "norm_num_groups": 2,
        "cross_attention_dim": 8,
        "attention_head_dim": 2,
    },
    "text_encoder": {},
}


@pytest.fixture
def roots(scene_folders):
    return [scene_folders["indoor"], scene_folders["outdoor"]]


def values(network, **more):
    scenes = {"kinds": ["indoor", "outdoor"], "count": 5, "seed": 40, "height": 72, "width": 96}
    return {"name": "tiny", "network": network, "scenes": scenes, "size": 48, "min_crop": 56, "optim": OPTIM} | more


def diffusion(**more):
    refine = OPTIM | {"steps": 3, "checkpoint_every": 1}
    given = {"autoencoder": {"optim": OPTIM | {"steps": 6}}, "refine": refine} | more
    return parse_model(ZooRecipe, values(DIFFUSION, **given), source="test")


@pytest.mark.parametrize(
    ("network", "more", "steps"),
    [(BEIT, {}, 8), (EFFICIENT, {"size": 64}, 8), (DIFFUSION, {"autoencoder": {"optim": OPTIM}, "refine": OPTIM}, 24)],
    ids=["beit", "efficientnet", "diffusion"],
)
def test_every_family_through_the_verb(network, more, steps, roots, tmp_path):
    (tmp_path / "tiny.yaml").write_text(json.dumps(values(network, **more)))
    places = ["--out", str(tmp_path), "--work", str(tmp_path / "work")]
    main(["pretrain", "--recipe", str(tmp_path / "tiny.yaml"), "--scenes", *map(str, roots), *places])
    estimator = load(tmp_path / "tiny.safetensors")
    assert estimator.policy.size == more.get("size", 48)
    assert estimator.kind == "disparity"
    for height, width in ((48, 48), (72, 96), (45, 61)):
        prediction = estimator(torch.rand(1, 3, height, width))
        assert prediction.shape == (1, 1, height, width)
        assert prediction.isfinite().all()
    rows = (tmp_path / "tiny.csv").read_text().splitlines()
    assert int(rows[-1].split(",")[0]) == steps - 1


def test_running_statistics_of_batch_norm_are_learnt_and_kept(roots, tmp_path):
    """A prediction (running statistics) and a training step (the batch's own) must roughly agree on the same images."""
    recipe = parse_model(ZooRecipe, values(EFFICIENT, size=64, optim=OPTIM | {"steps": 60}), source="test")
    pretrain(recipe, roots, tmp_path, tmp_path / "work")
    network, _ = load_network(tmp_path / "tiny.safetensors")
    norms = {key: value for key, value in network.state_dict().items() if key.endswith("running_var")}
    assert norms
    assert not any((value == 1).all() for value in norms.values())
    pixels = network.normalise(next(batches(LabelledScenes(roots), recipe, 0))["rgb"])
    with torch.no_grad():
        trained, predicted = network.train()(pixels).flatten(), network.eval()(pixels).flatten()
    assert torch.corrcoef(torch.stack([trained, predicted]))[0, 1] > 0.5


def test_bounded_maps_lie_between_two_quantiles():
    disparity = (
        torch.rand(3, 1, 20, 20, generator=torch.Generator().manual_seed(0))
        * torch.tensor([1.0, 50.0, 0.0])[:, None, None, None]
    )
    bounded = bounded_map(disparity)
    assert bounded.amin() == -1
    assert bounded.amax() == 1
    assert (bounded[:2] == 1).flatten(1).float().mean(1).tolist() == pytest.approx([0.02, 0.02], abs=0.004)
    assert (bounded[:2] == -1).flatten(1).float().mean(1).tolist() == pytest.approx([0.02, 0.02], abs=0.004)
    assert (bounded[2] == -1).all(), "a map without any disparity is far everywhere"
    order = disparity[0].flatten().argsort()
    assert (bounded[0].flatten()[order].diff() >= 0).all(), "larger stays nearer"


def test_each_diffusion_stage_moves_its_own_parts(roots, monkeypatch, tmp_path):
    recipe = diffusion()
    assert [(stage.recipe.seed, stage.recipe.optim.steps) for stage in stages(recipe)] == [(0, 6), (1, 8), (2, 3)]
    states = [start(recipe, LabelledScenes(roots)).state_dict()]
    fit = module.fit

    def watched(network, *arguments, **named):
        fitted = fit(network, *arguments, **named)
        states.append({key: value.clone() for key, value in fitted.network.state_dict().items()})
        return fitted

    monkeypatch.setattr(module, "fit", watched)
    pretrain(recipe, roots, tmp_path, tmp_path / "work")
    moved = [
        {".".join(key.split(".")[:2]) for key in before if not torch.equal(before[key], after[key])}
        for before, after in itertools.pairwise(states)
    ]
    assert all(name.startswith("vae.") for name in moved[0])
    assert {"vae.encoder", "vae.decoder"} <= moved[0]
    assert all(name.startswith("unet.") for name in moved[1])
    assert moved[1]
    assert {name for name in moved[2] if name.startswith("vae.")} == {"vae.decoder", "vae.post_quant_conv"}
    assert "prompt" not in set().union(*moved)
    assert states[0]["prompt"].std() > 0.5


@pytest.fixture
def another_precision():
    """accelerate keeps one precision per process; other tests use another."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.usefixtures("another_precision")
def test_the_diffusion_losses_fall_in_half_precision(roots, tmp_path):
    """Half precision, because there weights that are cast once and kept would learn nothing."""
    optim = OPTIM | {"precision": "bf16", "steps": 25}
    recipe = diffusion(autoencoder={"optim": optim}, optim=optim, refine=None)
    scenes = LabelledScenes(roots)
    before = start(recipe, scenes)
    pretrain(recipe, roots, tmp_path, tmp_path / "work")
    after = load_network(tmp_path / "tiny.safetensors")[0]
    batch = next(batches(scenes, recipe, 0))
    with torch.no_grad():
        for loss, setting in ((autoencoder_loss, {"kl": 1e-3}), (one_step_loss, {"gradient": 0.5})):
            assert loss(after, batch, **setting).loss < 0.95 * loss(before, batch, **setting).loss


@pytest.mark.parametrize("calls", [4, 11], ids=["autoencoder", "unet"])
def test_a_killed_diffusion_training_goes_on_as_if_it_had_not_been(calls, roots, monkeypatch, tmp_path):
    """Killed within either stage; the first one draws random latents, so the random state must come back too."""
    recipe, whole, parts = diffusion(refine=None), tmp_path / "whole", tmp_path / "parts"
    pretrain(recipe, roots, whole, tmp_path / "work")
    count = 0

    def killed(function):
        def counted(*arguments, **named):
            nonlocal count
            count += 1
            if count > calls:
                raise KeyboardInterrupt
            return function(*arguments, **named)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(module, "autoencoder_loss", killed(module.autoencoder_loss))
        patch.setattr(module, "one_step_loss", killed(module.one_step_loss))
        with pytest.raises(KeyboardInterrupt):
            pretrain(recipe, roots, parts, tmp_path / "work")
    torch.manual_seed(99)
    pretrain(recipe, roots, parts, tmp_path / "work")
    assert (parts / "tiny.safetensors").read_bytes() == (whole / "tiny.safetensors").read_bytes()
    assert (parts / "tiny.csv").read_bytes() == (whole / "tiny.csv").read_bytes()


def test_recipes_that_do_not_fit_together_are_refused():
    with pytest.raises(UserError, match="autoencoder belongs to the family genpercept"):
        parse_model(ZooRecipe, values(DIFFUSION), source="test")
    with pytest.raises(UserError, match="autoencoder belongs to the family genpercept"):
        parse_model(ZooRecipe, values(BEIT, autoencoder={"optim": OPTIM}), source="test")
    with pytest.raises(UserError, match="one precision, got bf16, no"):
        parse_model(ZooRecipe, values(BEIT, refine=OPTIM | {"precision": "bf16"}), source="test")


@pytest.mark.parametrize("name", ["zoo/vit-small", "zoo/midas-small", "zoo/midas-large"])
def test_the_unit_of_the_output_is_set_without_another_change(name):
    network, _ = load_network(name)
    network.last_bias.data.add_(0.3)  # not homogeneous by chance
    rgb = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network.eval()(network.normalise(rgb))
        spread = to_unit_spread(network, rgb)
        after = network(network.normalise(rgb))
    torch.testing.assert_close(after * spread, before, rtol=1e-4, atol=1e-5 * spread)
    assert (after - after.median()).abs().mean().item() == pytest.approx(1, rel=1e-4)


def test_a_member_goes_on_from_another_of_the_same_network(roots, tmp_path):
    first = parse_model(ZooRecipe, values(BEIT), source="test")
    other = parse_model(ZooRecipe, values(BEIT, init="zoo/vit-small"), source="test")
    start(first, LabelledScenes(roots))
    with pytest.raises(UserError, match="init zoo/vit-small is another network"):
        start(other, LabelledScenes(roots))
    source, header = load_network("zoo/vit-small")
    warm = parse_model(
        ZooRecipe, values(header.network.model_dump(mode="json"), size=48, init="zoo/vit-small"), source="test"
    )
    network = start(warm, LabelledScenes(roots))
    torch.testing.assert_close(network.state_dict(), source.state_dict(), rtol=0, atol=0)
