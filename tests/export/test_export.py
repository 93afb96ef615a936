"""Exports: they load elsewhere, give the source's numbers, and appear whole or not at all."""

import numpy as np
import pytest
import torch
from PIL import Image

from dad.errors import UserError
from dad.export import bundle, export
from dad.export.parity import Parity, compare, drawn, pictures, require, sample_image
from dad.models import load
from dad.models.registry import build

KINDS = ("patch", "hybrid", "da3", "beit", "vit", "swin", "cnn", "resnext", "genpercept", "genpercept-dpt")


@pytest.mark.parametrize("size", [56, 70])
def test_transformers_gives_our_numbers(runs, tmp_path, size):
    """At the stored grid and at another one, whose position embedding is resampled before it is written."""
    from transformers import pipeline

    run = runs("patch", size)
    parities = export(run, tmp_path / "out", form="hf")
    assert parities[0].difference < 1e-5
    rgb = sample_image(1, size, size)
    image = Image.fromarray((rgb[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    pipe = pipeline("depth-estimation", model=str(tmp_path / "out"), device="cpu", trust_remote_code=False)
    found = pipe(image)["predicted_depth"].reshape(size, size)
    expected = load(run)(rgb)[0, 0]
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    again = load(tmp_path / "out")
    assert again.network.config.taps == (0, 1, 2, 3)
    torch.testing.assert_close(again(rgb)[0, 0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_agrees_with_the_estimator_on_pictures_of_five_shapes(runs, sizes, tmp_path, kind):
    """Measured here once more, by a pipeline as a user makes it, on other pictures than the export itself compares."""
    from transformers import pipeline

    run = runs(kind, sizes[kind])
    parities = export(run, tmp_path / "out", form="hf")
    assert parities[0].input == (1, 3, sizes[kind], sizes[kind])
    exact = [parity for parity in parities if "without" not in parity.what]
    assert len(exact) == 6
    assert all(parity.difference < 1e-5 for parity in exact)
    pipe = pipeline("depth-estimation", model=str(tmp_path / "out"), device="cpu", trust_remote_code=True)
    estimator, again = load(run), load(tmp_path / "out")
    for seed, (height, width) in enumerate(((100, 150), (150, 90), (77, 77), (61, 200), (240, 320))):
        picture = drawn(height, width, 100 + seed)
        expected = estimator(picture)
        found = pipe(Image.fromarray(picture))["predicted_depth"].numpy()
        assert found.shape == (height, width)
        assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
        np.testing.assert_array_equal(again(picture), expected), "read back here, it is the source"
    assert again.kind == estimator.kind


@pytest.mark.parametrize(
    ("kind", "size", "name", "exact"),
    [
        ("patch", 70, "DepthAnythingForDepthEstimation", True),
        ("beit", 64, "DPTForDepthEstimation", True),
        ("beit", 80, "DPTForDepthEstimation", False),
        ("vit", 96, "DPTForDepthEstimation", True),
        ("swin", 64, "DPTForDepthEstimation", True),
    ],
)
def test_transformers_own_class_loads_without_foreign_code(runs, tmp_path, kind, size, name, exact):
    """It is not exact for every image, and the folder says by how much; nothing of the file is missing or left over."""
    import transformers

    parities = export(runs(kind, size), tmp_path / "out", form="hf")
    stock = [parity for parity in parities if "without trust_remote_code" in parity.what]
    assert len(stock) == 6
    assert (stock[0].difference < 1e-5) == exact, "a square image of the network's own size"
    pipe = transformers.pipeline("depth-estimation", model=str(tmp_path / "out"), device="cpu", trust_remote_code=False)
    assert type(pipe.model) is getattr(transformers, name)
    _, loading = type(pipe.model).from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not loading["missing_keys"]
    # the table as it was trained is for the class with the source's rules
    assert set(loading["unexpected_keys"]) <= {"position_table"}
    assert pipe(Image.fromarray(drawn(60, 80, 1)))["predicted_depth"].shape[-2:] == (60, 80)
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"by up to {max(parity.difference for parity in stock):.1e}" in card
    assert "`dad` has to be installed" not in card


def test_the_table_of_positions_is_read_back_as_it_was_trained(runs, tmp_path):
    run = runs("patch", 70)
    export(run, tmp_path / "out", form="hf")
    again = load(tmp_path / "out")
    assert (again.network.config.grid, again.policy.size) == (4, 70)
    assert torch.equal(again.network.pretrained.pos_embed, load(run).network.pretrained.pos_embed)


def test_a_user_s_photographs_are_compared_instead(runs, tmp_path):
    (tmp_path / "photos").mkdir()
    for number, (height, width) in enumerate(((60, 80), (60, 80), (90, 60), (50, 50))):
        Image.fromarray(drawn(height, width, number)).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"x")
    found = pictures(tmp_path / "photos")
    assert list(found) == ["0.png", "2.png", "3.png", "1.png"], "other shapes first"
    parities = export(runs("hybrid", 64), tmp_path / "out", form="hf", photos=tmp_path / "photos")
    assert [parity.input[2:] for parity in parities[1:]] == [(60, 80), (90, 60), (50, 50), (60, 80)]
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="holds no photographs"):
        export(runs("beit", 64), tmp_path / "out2", form="hf", photos=tmp_path / "none")
    assert not (tmp_path / "out2").exists()


@pytest.mark.parametrize("form", ["hf", "safetensors"])
def test_damage_of_an_export_is_noticed(runs, tmp_path, form):
    export(runs("hybrid", 64), tmp_path / "out", form=form)
    path = tmp_path / "out" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        load(tmp_path / "out")


def test_elongated_images_are_refused_by_the_pipeline_as_they_are_here(runs, tmp_path):
    from transformers import pipeline

    run = runs("hybrid", 64)
    export(run, tmp_path / "out", form="hf")
    pipe = pipeline("depth-estimation", model=str(tmp_path / "out"), device="cpu", trust_remote_code=True)
    picture = np.zeros((2, 900, 3), np.uint8)
    with pytest.raises(UserError, match="too elongated"):
        load(run)(picture)
    with pytest.raises(ValueError, match="too elongated"):
        pipe(Image.fromarray(picture))


def test_the_check_leaves_nothing_in_the_user_s_cache(runs, tmp_path, monkeypatch):
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    export(runs("hybrid", 64), tmp_path / "out", form="hf")
    assert not (tmp_path / "modules").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_safetensors_are_read_again_bit_by_bit(runs, sizes, tmp_path, kind):
    run = runs(kind, sizes[kind] if kind != "patch" else 70)
    assert export(run, tmp_path / "out", form="safetensors")[0].difference == 0
    rgb = torch.rand(1, 3, 50, 60)
    assert torch.equal(load(tmp_path / "out")(rgb), load(run)(rgb))


def test_a_bad_export_leaves_nothing(runs, tmp_path, monkeypatch):
    run = runs("patch", 56)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        export(run, tmp_path / "full", form="hf")
    with pytest.raises(UserError, match="unknown format 'gguf'; choose one of safetensors, hf, onnx, onnx-int8"):
        export(run, tmp_path / "out", form="gguf")
    with pytest.raises(UserError, match="55 pixels is not a positive multiple"):
        export(run, tmp_path / "out", form="hf", short_side=55)
    monkeypatch.setattr(bundle, "compare", lambda *_: Parity("x", (1,), 1e-3))
    with pytest.raises(UserError, match=r"does not agree with its source \(x, input 1: largest difference 1.0e-03"):
        export(run, tmp_path / "out", form="safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "runs"]


def test_parity_is_relative_and_refuses_nan():
    expected = torch.tensor([100.0, 1.0])
    assert compare("x", (1,), expected, expected + torch.tensor([0.0, 0.5])).difference == pytest.approx(0.005)
    with pytest.raises(UserError):
        require(compare("x", (1,), expected, torch.tensor([torch.nan, 1.0])))
    with pytest.raises(UserError, match=r"gives \(1,\) where its source gives \(2,\)"):
        compare("x", (1,), expected, torch.ones(1))


@pytest.mark.large
@pytest.mark.parametrize("form", ["hf", "onnx"])
def test_depth_anything_v2_small(form, tmp_path):
    torch.manual_seed(0)
    network = build("depth-anything-v2-small")
    with torch.no_grad():
        network.last_bias.fill_(1.0)
        network.pretrained.pos_embed.normal_(0, 0.2)
    torch.save(network.state_dict(), tmp_path / "depth_anything_v2_vits.pth")
    parities = export(tmp_path / "depth_anything_v2_vits.pth", tmp_path / "out", form=form)
    assert parities[0].difference < 1e-4
