"""Depth Anything 3's monocular network gives what the official classes give on equal weights; sky has disparity 0."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dad.errors import UserError
from dad.models import build, load
from dad.models.catalogue import licence_of
from dad.models.config import NETWORKS, DepthAnything3Config
from dad.models.depth_anything_3 import SKY, disparity_of
from dad.models.policy import IMAGENET_MEAN, IMAGENET_STD
from dad.models.registry import build_network
from dad.models.resizing import network_size, resize_image

LARGE = "depth-anything-3-mono-large"
SMALL = DepthAnything3Config(
    width=32, depth=4, heads=2, taps=(0, 1, 2, 3), grid=4, reassemble=(8, 12, 16, 20), fusion=16
)


def _filled(config, fill):
    network = build_network(config).eval()
    network.load_official(fill(network.official_state()))
    return network


@pytest.mark.parametrize("case", ["small_56x84", "small_56x56", pytest.param("large_56x84", marks=pytest.mark.large)])
def test_depth_and_sky_equal_the_official_classes(case, golden, fill, normals):
    size, _, sides = case.partition("_")
    height, width = map(int, sides.split("x"))
    network = _filled(SMALL if size == "small" else NETWORKS[LARGE], fill)
    stream = normals(f"da3_{case}", (2 if size == "small" else 1, 3, height, width))
    arrays = golden("da3.npz")
    with torch.no_grad():
        depth, sky = network.depth_and_sky(torch.from_numpy(stream.astype(np.float32)))
    for name, found in (("depth", depth), ("sky", sky)):
        assert found.shape == (len(stream), 1, height, width)
        # depth is an exponential: its rounding grows with it
        np.testing.assert_allclose(found[:, 0, ::4, ::4].numpy(), arrays[f"da3_{case}:{name}"], rtol=1e-4, atol=1e-4)


def test_keys_shapes_and_parameter_count_are_the_official_ones(golden):
    found = golden("da3.json")
    with torch.device("meta"):
        network = build(LARGE)
    assert {key: list(value.shape) for key, value in network.official_state().items()} == {
        key: shape for key, (_, shape) in found["large"]["keys"].items()
    }
    for config, size in ((NETWORKS[LARGE], "large"), (SMALL, "small")):
        with torch.device("meta"):
            assert sum(one.numel() for one in build_network(config).parameters()) == found[size]["parameters"]


def test_images_are_resized_as_the_official_code_does(golden, normals):
    for (height, width), wanted in golden("da3.json")["sizes"]:
        assert list(network_size(height, width, 504, 14, "area")) == wanted
    arrays = golden("da3.npz")
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    for height, width, size in ((60, 90, 56), (601, 443, 504), (1200, 1777, 504)):
        stream = normals(f"da3_pixels_{height}x{width}", (height // 4 + 1, width // 4 + 1, 3))
        small = np.clip(stream * 60 + 128, 0, 255).astype(np.uint8)
        pixels = np.kron(small, np.ones((4, 4, 1), np.uint8))[:height, :width]
        image = torch.from_numpy(pixels.transpose(2, 0, 1)[None] / np.float32(255))
        resized = resize_image(image, network_size(height, width, size, 14, "area"), "area")[0]
        found = ((resized - mean) / std)[:, ::7, ::7].numpy()
        # by at most one step of 8 bits, where a mean lies between two of them
        steps = np.abs(found - arrays[f"pixels:{height}x{width}"]) * 255 * std.numpy()
        assert steps.max() < 1.01
        assert (steps > 0.5).mean() < 0.02


def test_sky_has_disparity_zero_and_everything_else_the_inverse_of_its_depth():
    depth = torch.tensor([1.0, 4.0, 0.5, 100.0])
    sky = torch.tensor([0.0, SKY - 1e-3, SKY, 5.0])
    assert disparity_of(depth.log(), sky).tolist() == pytest.approx([1.0, 0.25, 0.0, 0.0])


def test_it_is_an_estimator_of_disparity_and_can_be_trained(fill):
    network = _filled(SMALL, fill).train()
    with torch.no_grad():
        network.head.scratch.sky_output_conv2[2].bias.fill_(-100)  # no sky
    x = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    output, features = network(x, with_features=True)
    assert network.kind == "disparity"
    torch.testing.assert_close(output, 1 / network.depth_and_sky(x)[0], rtol=1e-5, atol=0)
    assert torch.equal(features, network.encode(x))
    output.mean().backward()
    assert network.last_bias.grad.abs().item() > 0
    assert network.encoder.blocks[0].attn.qkv.weight.grad.abs().sum() > 0


@pytest.mark.large
def test_a_published_folder_is_recognised_and_predicts(tmp_path, golden):
    folder = tmp_path / "DA3MONO-LARGE"
    folder.mkdir()
    keys = golden("da3.json")["large"]["keys"]
    save_file({key: torch.zeros(shape) for key, (_, shape) in keys.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_name": "da3mono-large"}))
    estimator = load(str(folder), short_side=56)
    found = estimator(np.zeros((60, 80, 3), np.uint8))
    assert found.shape == (60, 80)
    assert estimator.policy.network_size(1500, 2250) == (42, 56)
    assert (found == 1).all()  # exp(0), and no sky


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("DA3METRIC-LARGE/model.safetensors", ["backbone.pretrained.cls_token"], "metric model"),
        (
            "DA3-LARGE/model.safetensors",
            ["backbone.pretrained.cls_token", "backbone.pretrained.camera_token"],
            "only the monocular",
        ),
    ],
)
def test_its_other_networks_are_refused_in_one_line(tmp_path, name, keys, message):
    path = tmp_path / name
    path.parent.mkdir()
    save_file({f"model.{key}": torch.zeros(1, 1, 1024) for key in keys}, path)
    with pytest.raises(UserError, match=message):
        load(str(path))


def test_its_licence_is_free():
    assert licence_of(LARGE) == licence_of("depth-anything/DA3MONO-LARGE") == "apache-2.0"
