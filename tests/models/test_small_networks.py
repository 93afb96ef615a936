"""Small networks of every family: shapes, gradients, sizes that cannot be taken, official names there and back."""

import pytest
import torch

from dad.errors import UserError
from dad.models.config import MidasDptConfig, MidasLargeConfig, MidasSmallConfig, MidasSwinConfig, VitDptConfig
from dad.models.midas_encoders import relative_index
from dad.models.network import _channels
from dad.models.registry import build_network

TOKENS = {"width": 32, "depth": 4, "heads": 2, "taps": (0, 1, 2, 3), "reassemble": (8, 8, 16, 16), "fusion": 8}
CONFIGS = {
    "vit-dpt": (VitDptConfig(**TOKENS, grid=4), (28, 42), (6, 32)),
    "beit": (MidasDptConfig(encoder="beit", grid=4, classes=0, **TOKENS), (48, 80), (15, 32)),
    "vit": (MidasDptConfig(encoder="vit", grid=4, classes=0, **TOKENS), (48, 80), (15, 32)),
    "swin": (
        MidasSwinConfig(width=8, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2), window=4, size=64, fusion=8, classes=0),
        (64, 64),
        (4, 64),
    ),
    "small": (MidasSmallConfig(channel_multiplier=0.25, depth_multiplier=0.5, fusion=8), (32, 64), (2, 80)),
    "large": (MidasLargeConfig(layers=(1, 1, 1, 1), groups=1, group_width=8, fusion=8), (32, 64), (2, 2048)),
}


@pytest.fixture(params=CONFIGS)
def family(request):
    torch.manual_seed(0)
    config, size, tokens = CONFIGS[request.param]
    return build_network(config), size, tokens


def test_shapes_tokens_and_gradients(family):
    network, size, tokens = family
    x = torch.rand(2, 3, *size)
    with torch.no_grad():
        network.last_bias.fill_(5.0)
    disparity, features = network(x, with_features=True)
    assert disparity.shape == (2, 1, *size)
    assert features.shape == (2, *tokens)
    assert network.kind == "disparity"
    disparity.mean().backward()
    used = [p for p in network.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in used), [
        n for n, p in network.named_parameters() if p.requires_grad and p.grad is None
    ]
    assert {id(p) for p in network.encoder.parameters()} < {id(p) for p in network.parameters()}
    network.eval()
    assert torch.equal(network.encode(x), network(x, with_features=True)[1])


def test_a_size_that_can_not_be_taken_is_refused(family):
    network, (height, width), _ = family
    with pytest.raises(UserError, match=rf"{height + 1}x{width} pixels"):
        network(torch.zeros(1, 3, height + 1, width))


def test_official_names_there_and_back(family):
    network, size, _ = family
    other = build_network(network.config)
    other.load_official(network.official_state())
    x = torch.rand(1, 3, *size)
    with torch.no_grad():
        assert torch.equal(network.eval()(x), other.eval()(x))


@pytest.mark.parametrize("encoder", ["beit", "vit"])
def test_a_grid_of_its_own_needs_no_resampling(encoder):
    """At the stored grid, bilinear resampling of the position table must be the identity."""
    torch.manual_seed(0)
    network = build_network(MidasDptConfig(encoder=encoder, grid=4, classes=0, **TOKENS)).eval().double()
    if encoder == "beit":
        attention = network.encoder.blocks[0].attn
        torch.nn.init.normal_(attention.relative_position_bias_table)
        ours = network.encoder._position_bias(attention, (4, 4), network.encoder.pairs((4, 4), torch.device("cpu")))
        torch.testing.assert_close(ours.double(), attention._get_rel_pos_bias().double(), atol=1e-6, rtol=0)
    else:
        torch.nn.init.normal_(network.encoder.pos_embed)
        patches = torch.zeros(1, 4, 4, 32, dtype=torch.double)
        torch.testing.assert_close(
            network.encoder._pos_embed(patches)[:, 1:], network.encoder.pos_embed[:, 1:], atol=1e-6, rtol=0
        )


def test_files_for_another_input_size_are_named(family):
    network, _, _ = family
    state = network.official_state()
    derived = [key for key in state if key.endswith(("relative_position_index", "attn_mask"))]
    for key in derived[:1]:
        with pytest.raises(UserError, match="for another input size"):
            network.load_official(state | {key: torch.zeros_like(state[key])})


def test_a_network_that_was_read_first_can_be_trained():
    """What is kept between passes (BEiT's index, channels' means) is usable by a student after a teacher made it."""
    relative_index.cache_clear()
    _channels.cache_clear()
    sizes = {
        "width": 32,
        "depth": 4,
        "heads": 2,
        "taps": (0, 1, 2, 3),
        "grid": 4,
        "reassemble": (8, 8, 16, 16),
        "fusion": 16,
    }
    network = build_network(MidasDptConfig(encoder="beit", classes=0, **sizes))
    rgb = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        before = network(network.normalise(rgb))
    after = network(network.normalise(rgb))
    after.mean().backward()
    assert torch.equal(before, after)
    assert all(block.attn.relative_position_bias_table.grad is not None for block in network.encoder.blocks)
