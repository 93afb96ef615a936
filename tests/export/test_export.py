"""Exports: they load elsewhere, give the source's numbers, and appear whole or not at all."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from dad.errors import UserError
from dad.export import bundle, export
from dad.export.onnx import bicubic_matrix
from dad.export.parity import Parity, compare, require, sample_image
from dad.models import load
from dad.models.checkpoints import save_network
from dad.models.config import MidasDptConfig, VitDptConfig
from dad.models.registry import build, build_network

TOKENS = {"width": 32, "depth": 4, "heads": 2, "taps": (0, 1, 2, 3), "reassemble": (8, 8, 16, 16), "fusion": 8}
CONFIGS = {
    "patch": VitDptConfig(**TOKENS, grid=4, head_hidden=8),
    "hybrid": VitDptConfig(**TOKENS, grid=4, head_hidden=8, patch=8, stem="hybrid"),
    "beit": MidasDptConfig(encoder="beit", grid=4, classes=0, **TOKENS),
}


def _run(folder, config, size):
    torch.manual_seed(0)
    network = build_network(config)
    with torch.no_grad():
        network.last_bias.fill_(1.0)
        for name, parameter in network.named_parameters():
            if name.endswith(("pos_embed", "relative_position_bias_table")):
                parameter.normal_(0, 0.5)
    folder.mkdir()
    save_network(folder / "model.safetensors", network, input_size=size, origin="distilled from zoo/vit-large, cell tiny")
    cell = {
        "teacher": "depth-anything-v2-large:depth_anything_v2_vitl.pth",
        "student": {"model": "zoo/vit-small", "init": "encoder"},
        "seed": 0,
    }
    (folder / "config.json").write_text(json.dumps(cell))
    (folder / "provenance.json").write_text(json.dumps({"cell": "tiny", "photos_used": 3}))
    return folder


@pytest.fixture
def runs(tmp_path):
    """runs(kind, size): the folder of a run with a network of that kind."""

    def make(kind, size):
        (tmp_path / "runs").mkdir()
        return _run(tmp_path / "runs" / kind, CONFIGS[kind], size)

    return make


@pytest.mark.parametrize("size", [56, 70])
def test_transformers_gives_our_numbers(runs, tmp_path, size):
    """At the stored grid and at another one, whose position embedding is resampled before it is written."""
    from transformers import pipeline

    run = runs("patch", size)
    parities = export(run, tmp_path / "out", form="hf")
    assert parities[0].difference < 1e-5
    rgb = sample_image(1, size, size)
    image = Image.fromarray((rgb[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    found = pipeline("depth-estimation", model=str(tmp_path / "out"), device="cpu")(image)["predicted_depth"].reshape(size, size)
    expected = load(run)(rgb)[0, 0]
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    again = load(tmp_path / "out")
    assert again.network.config.taps == (0, 1, 2, 3)
    torch.testing.assert_close(again(rgb)[0, 0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["hybrid", "beit"])
def test_networks_of_our_own_bring_their_class_along(runs, tmp_path, kind):
    run = runs(kind, 64)
    parities = export(run, tmp_path / "out", form="hf")
    assert parities[0].input == (1, 3, 64, 64)
    assert all(parity.difference < 1e-5 for parity in parities), "exact at other aspects too"


@pytest.mark.parametrize("kind", CONFIGS)
def test_safetensors_are_read_again_bit_by_bit(runs, tmp_path, kind):
    run = runs(kind, 64 if kind != "patch" else 70)
    assert export(run, tmp_path / "out", form="safetensors")[0].difference == 0
    rgb = torch.rand(1, 3, 50, 60)
    assert torch.equal(load(tmp_path / "out")(rgb), load(run)(rgb))


def test_onnxruntime_gives_our_numbers(runs, tmp_path):
    parities = export(runs("patch", 70), tmp_path / "out", form="onnx")
    assert len({parity.input for parity in parities}) == 2
    assert all(parity.difference < 1e-5 for parity in parities)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "model.onnx"))
    network = load(tmp_path / "runs" / "patch").network
    # the stored grid is the one size at which the official code does not resample
    for shape in ((2, 3, 56, 56), (1, 3, 14, 140)):
        x = torch.randn(shape)
        with torch.no_grad():
            expected = network(x).numpy()
        np.testing.assert_allclose(session.run(None, {"image": x.numpy()})[0], expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_bicubic_matrix_is_pytorchs_interpolation():
    table = torch.randn(1, 1, 9, 1)
    for outputs in (3, 9, 14):
        step = torch.tensor(9 / (outputs + 0.1))
        factor = ((outputs + 0.1) / 9, 1.0)
        expected = torch.nn.functional.interpolate(table, scale_factor=factor, mode="bicubic")
        torch.testing.assert_close(bicubic_matrix(outputs, 9, step) @ table[0, 0], expected[0, 0], rtol=0, atol=1e-5)


def test_the_model_card_tells_origin_scores_and_licence(runs, tmp_path):
    run = runs("patch", 56)
    (tmp_path / "scores" / "ablation").mkdir(parents=True)
    result = {"dataset": "scenes-indoor", "protocol": "marigold@1", "images": 4, "mean": {"abs_rel": 0.125, "delta1": 0.5}}
    (tmp_path / "scores" / "ablation" / "tiny.json").write_text(json.dumps({"model": "tiny", "results": [result]}))
    export(run, tmp_path / "out", form="safetensors")
    card = (tmp_path / "out" / "README.md").read_text()
    for expected in (
        "# tiny",
        "| teacher | depth-anything-v2-large:",
        "| scenes-indoor | marigold@1 | 4 | 0.1250 | 0.5000 |",
        "CC-BY-NC-4.0",
        "0.0e+00",
    ):
        assert expected in card
    assert json.loads((tmp_path / "out" / "parity.json").read_text())[0]["difference"] == 0


@pytest.mark.parametrize(
    ("kind", "form", "said"),
    [
        ("patch", "hf", "transformers' own: nothing else has to be installed"),
        ("hybrid", "hf", "trust_remote_code=True"),
        ("hybrid", "onnx", "onnxruntime.InferenceSession"),
        ("hybrid", "safetensors", "from dad.models import load"),
    ],
)
def test_the_model_card_tells_how_to_load_it_and_files_can_be_shared(runs, tmp_path, kind, form, said):
    export(runs(kind, 56), tmp_path / "out", form=form)
    card = (tmp_path / "out" / "README.md").read_text()
    assert said in card
    assert ("trust_remote_code" in card) == (kind == "hybrid" and form == "hf")
    (tmp_path / "plain").touch()
    usual = (tmp_path / "plain").stat().st_mode
    assert {file.stat().st_mode for file in (tmp_path / "out").iterdir()} == {usual}


def test_a_bad_export_leaves_nothing(runs, tmp_path, monkeypatch):
    run = runs("patch", 56)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        export(run, tmp_path / "full", form="hf")
    with pytest.raises(UserError, match="unknown format 'gguf'; choose one of safetensors, hf, onnx"):
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
