"""Other spellings of Depth Anything's names, and what strict loading says."""

import pytest
import torch
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

from dad.errors import UserError
from dad.models.config import VitDptConfig
from dad.models.huggingface import config_from_huggingface
from dad.models.names import depth_anything_names, to_huggingface
from dad.models.registry import build_network

CONFIG = VitDptConfig(
    width=32, depth=4, heads=2, taps=(0, 1, 2, 3), grid=4, reassemble=(8, 8, 16, 16), fusion=8, head_hidden=8
)


def _huggingface():
    torch.manual_seed(0)
    backbone = {
        "model_type": "dinov2", "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "mlp_ratio": 4,
        "image_size": 56, "patch_size": 14, "layer_norm_eps": 1e-6, "out_indices": [1, 2, 3, 4],
        "apply_layernorm": True, "reshape_hidden_states": False,
    }  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, patch_size=14, fusion_hidden_size=8,
        neck_hidden_sizes=[8, 8, 16, 16], head_hidden_size=8
    )  # fmt: skip
    model = DepthAnythingForDepthEstimation(config).eval()
    # random tokens and scales, so that a mix-up shows
    for name, parameter in model.named_parameters():
        if "lambda" in name or "embeddings" in name or "bias" in name:
            torch.nn.init.normal_(parameter, 0, 0.3)
    return model


def test_transformers_weights_give_transformers_output():
    model = _huggingface()
    network = build_network(CONFIG).eval()
    network.load_official(model.state_dict())
    # at the stored grid nobody resamples the position embedding
    x = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network(x)[:, 0], model(x).predicted_depth, atol=2e-6, rtol=1e-5)


def test_published_files_and_round_trip(tmp_path):
    model = _huggingface()
    network = build_network(CONFIG).eval()
    network.load_official(model.state_dict())
    published = to_huggingface(network.state_dict())
    other = build_network(CONFIG)
    other.load_official(published)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in network.state_dict().items())
    reread, info = DepthAnythingForDepthEstimation.from_pretrained(
        None, config=model.config, state_dict=published, output_loading_info=True
    )
    assert not info["missing_keys"], info
    x = torch.randn(1, 3, 56, 56)
    with torch.no_grad():
        assert torch.equal(reread.eval()(x).predicted_depth, model(x).predicted_depth)


def test_the_hub_config_describes_our_network():
    assert config_from_huggingface(_huggingface().config.to_dict(), "here") == CONFIG
    with pytest.raises(UserError, match=r"here/config\.json does not describe"):
        config_from_huggingface({"model_type": "depth_anything"}, "here")
    with pytest.raises(UserError, match="metric"):
        config_from_huggingface(_huggingface().config.to_dict() | {"depth_estimation_type": "metric"}, "here")


def test_names_of_distill_any_depth_large(golden):
    keys = golden("keys.json")["dad_vitl"]["keys"]
    renamed = depth_anything_names({key: torch.zeros(0) for key in keys})
    assert renamed.keys() == golden("keys.json")["dav2_vitl"]["keys"].keys()
    assert depth_anything_names({"backbone.blocks.0.7.norm1.bias": 1, "backbone.blocks.0.0.x": 2}).keys() == {
        "pretrained.blocks.7.norm1.bias",
        "pretrained.blocks.0.x",
    }


def test_every_misfit_is_in_one_line():
    network = build_network(CONFIG)
    state = network.state_dict()
    before = {key: value.clone() for key, value in state.items()}
    broken = {key: torch.ones_like(value) for key, value in state.items() if not key.startswith("pretrained.norm")}
    broken["depth_head.extra"] = torch.zeros(1)
    broken["pretrained.cls_token"] = torch.zeros(1, 1, 7)
    with pytest.raises(UserError) as caught:
        network.load_official(broken)
    message = str(caught.value)
    assert "\n" not in message
    assert "2 missing: pretrained.norm.bias, pretrained.norm.weight" in message
    assert "1 unexpected: depth_head.extra" in message
    assert "pretrained.cls_token [1, 1, 7] instead of [1, 1, 32]" in message
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items()), (
        "a refused file must change nothing"
    )


def test_many_misfits_are_counted():
    with pytest.raises(UserError, match=r"and \d+ more"):
        build_network(CONFIG).load_official({"depth_head.a": torch.zeros(1)})


def test_half_of_an_attention_triple_is_missing():
    state = _huggingface().state_dict()
    state.pop(next(key for key in state if "q_proj.weight" in key or "query.weight" in key))
    with pytest.raises(UserError, match=r"1 missing: pretrained\.blocks\.0\.attn\.qkv\.weight"):
        build_network(CONFIG).load_official(state)
