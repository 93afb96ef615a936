"""MiDaS in transformers' spelling (DPTForDepthEstimation): names, configs, folders, and the same numbers."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import BeitConfig, DPTConfig, DPTForDepthEstimation, Swinv2Config

from dad.errors import UserError
from dad.models import load
from dad.models.checkpoints import load_network
from dad.models.config import NETWORKS, MidasDptConfig, MidasSwinConfig
from dad.models.huggingface import config_from_huggingface
from dad.models.midas_names import midas_names
from dad.models.official import load_official
from dad.models.registry import build_network

STAGES = ["stage1", "stage2", "stage3", "stage4"]
SMALL = {
    "width": 32,
    "depth": 4,
    "heads": 4,
    "taps": (0, 1, 2, 3),
    "grid": 4,
    "reassemble": (8, 16, 24, 32),
    "fusion": 16,
}
OURS = {
    "vit": MidasDptConfig(encoder="vit", **SMALL),
    "beit": MidasDptConfig(encoder="beit", **SMALL),
    "swin": MidasSwinConfig(width=12, depths=(1, 2, 2, 1), heads=(1, 2, 3, 6), window=4, size=64, fusion=16),
}
EPS = 1e-6
"""The official one, ours. transformers' conversion leaves its default of 1e-12, which moves outputs by under 1e-4."""


def _config(encoder):
    common = {"fusion_hidden_size": 16}
    tokens = {
        "hidden_size": 32,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": 64,
    }
    if encoder == "vit":
        return DPTConfig(
            **common, **tokens, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 16, 24, 32], layer_norm_eps=EPS
        )
    if encoder == "beit":
        backbone = BeitConfig(
            **tokens,
            use_relative_position_bias=True,
            reshape_hidden_states=False,
            out_features=STAGES,
            layer_norm_eps=EPS,
        )
        return DPTConfig(**common, backbone_config=backbone, neck_hidden_sizes=[8, 16, 24, 32])
    sizes = {"embed_dim": 12, "depths": (1, 2, 2, 1), "num_heads": (1, 2, 3, 6), "window_size": 4, "image_size": 64}
    backbone = Swinv2Config(**sizes, pretrained_window_sizes=(0, 0, 0, 0), out_features=STAGES)
    return DPTConfig(**common, backbone_config=backbone, neck_hidden_sizes=[12, 24, 48, 96])


@pytest.fixture(scope="module", params=["vit", "beit", "swin"])
def pair(request, tmp_path_factory):
    """(encoder, transformers' model with random weights everywhere, the folder that it was saved to)."""
    generator = torch.Generator().manual_seed(7)
    model = DPTForDepthEstimation(_config(request.param)).eval()
    for name, parameter in model.named_parameters():
        # tokens, tables, scales and biases are zero or constant at first, which hides mix-ups
        spread = 0.3 if "lambda" in name or "bias" in name or "embeddings" in name or "norm" in name else 0.15
        offset = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        torch.nn.init.normal_(parameter, offset, spread, generator=generator)
    torch.nn.init.constant_(model.head.head[4].bias, 1.0)
    folder = tmp_path_factory.mktemp("hub") / request.param
    model.save_pretrained(folder)
    return request.param, model, folder


def _image(seed=3, height=64, width=64):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_a_folder_gives_transformers_output(pair):
    encoder, model, folder = pair
    network, header = load_network(folder)
    assert network.config == OURS[encoder]
    assert header.input_size == 64
    x = _image()
    with torch.no_grad():
        expected, found = model(x).predicted_depth, network.eval()(x)[:, 0]
    assert expected.std() > 1e-2, "a flat map would compare nothing"
    torch.testing.assert_close(found, expected, atol=2e-5 * max(1.0, expected.std().item()), rtol=1e-4)


def test_wide_inputs_agree_where_transformers_takes_them(pair):
    encoder, model, folder = pair
    if encoder != "beit":
        pytest.skip("transformers' ViT takes square inputs, Swin one size")
    x = _image(height=64, width=96)
    with torch.no_grad():
        expected, found = model(x).predicted_depth, load_network(folder)[0].eval()(x)[:, 0]
    torch.testing.assert_close(found, expected, atol=2e-5 * max(1.0, expected.std().item()), rtol=1e-4)


def test_both_spellings_load_strictly_into_a_built_network(pair):
    encoder, model, folder = pair
    published, in_memory = build_network(OURS[encoder]), build_network(OURS[encoder])
    published.load_official(load_file(folder / "model.safetensors"))
    in_memory.load_official(model.state_dict())
    for key, value in published.state_dict().items():
        assert torch.equal(value, in_memory.state_dict()[key]), key
    again = build_network(OURS[encoder])
    again.load_official(published.official_state())
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in published.state_dict().items())


def test_misfits_are_named_by_official_names(pair):
    encoder, _, folder = pair
    state = load_file(folder / "model.safetensors")
    state.pop("neck.convs.2.weight")
    state["neck.extra"] = torch.zeros(1)
    with pytest.raises(UserError, match=r"1 missing: scratch\.layer3_rn\.weight; 1 unexpected: neck\.extra"):
        build_network(OURS[encoder]).load_official(state)


def test_an_estimator_predicts_at_the_image_size(pair):
    _, _, folder = pair
    estimator = load(folder)
    found = estimator(torch.rand(1, 3, 50, 70, generator=torch.Generator().manual_seed(0)))
    assert found.shape == (1, 1, 50, 70)
    assert estimator.kind == "disparity"


def test_published_configs_are_the_official_networks():
    """What the three conversion scripts write, as far as they set anything."""
    large = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    neck = {"model_type": "dpt", "neck_hidden_sizes": [256, 512, 1024, 1024], "fusion_hidden_size": 256}
    vit = {**neck, **large, "image_size": 384, "backbone_out_indices": [5, 11, 17, 23]}
    assert config_from_huggingface(vit, "Intel/dpt-large") == NETWORKS["midas-v3.0-dpt-large-384"]
    beit = {
        **large,
        "model_type": "beit",
        "image_size": 512,
        "out_features": ["stage6", "stage12", "stage18", "stage24"],
    }
    found = config_from_huggingface({**neck, "backbone_config": beit}, "Intel/dpt-beit-large-512")
    assert found == NETWORKS["midas-v3.1-beit-large-512"]
    swin = {
        "model_type": "swinv2", "embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "window_size": 16,
        "pretrained_window_sizes": [0, 0, 0, 0], "image_size": 256,
    }  # fmt: skip
    found = config_from_huggingface({**neck, "backbone_config": swin}, "Intel/dpt-swinv2-tiny-256")
    assert found == NETWORKS["midas-v3.1-swin2-tiny-256"]


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"is_hybrid": True}, "hybrid"),
        ({"backbone_config": {"model_type": "dinov2", "hidden_size": 384}}, "over dinov2"),
        (
            {"backbone_config": {"model_type": "swinv2", "pretrained_window_sizes": [12, 12, 12, 6]}},
            "pretrained window sizes",
        ),
        ({"readout_type": "ignore"}, "readout_type differ"),
        ({"backbone_config": {"model_type": "beit", "hidden_size": 32, "intermediate_size": 128}}, "does not describe"),
        ({"num_attention_heads": 7}, "does not describe"),
    ],
)
def test_other_dpt_networks_are_refused_in_one_line(described, message):
    with pytest.raises(UserError, match=message) as caught:
        config_from_huggingface({"model_type": "dpt", **described}, "there")
    assert "\n" not in str(caught.value)


@pytest.mark.large
@pytest.mark.parametrize("name", ["midas-v3.0-dpt-large-384", "midas-v3.1-beit-large-512", "midas-v3.1-swin2-tiny-256"])
def test_full_size_files_are_recognised(name, tmp_path):
    """transformers' own network of the official size: names and shapes fit, and the file alone says what it is."""
    wide = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    neck = {"neck_hidden_sizes": [256, 512, 1024, 1024]}
    if "dpt-large" in name:
        config = DPTConfig(**wide, **neck, backbone_out_indices=[5, 11, 17, 23])
    elif "beit" in name:
        backbone = BeitConfig(
            **wide, image_size=512, use_relative_position_bias=True, reshape_hidden_states=False,
            out_features=["stage6", "stage12", "stage18", "stage24"],
        )  # fmt: skip
        config = DPTConfig(**neck, backbone_config=backbone)
    else:
        backbone = Swinv2Config(
            image_size=256, embed_dim=96, depths=(2, 2, 6, 2), window_size=16, pretrained_window_sizes=(0, 0, 0, 0),
            num_heads=(3, 6, 12, 24), out_features=STAGES,
        )  # fmt: skip
        config = DPTConfig(backbone_config=backbone)
    DPTForDepthEstimation(config).save_pretrained(tmp_path / "model")
    assert load_network(tmp_path / "model")[0].config == NETWORKS[name]
    assert load_official(tmp_path / "model" / "model.safetensors", "somewhere.safetensors").config == NETWORKS[name]


def test_other_names_pass_unchanged():
    assert midas_names({"scratch.layer1_rn.weight": torch.zeros(1)}).keys() == {"scratch.layer1_rn.weight"}
