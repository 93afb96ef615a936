"""Wide linear layers are torch's, by another product where nobody asks for a gradient."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dad.models import build
from dad.models.linear import WIDE, WideLinear, widen


@pytest.fixture
def layers():
    torch.manual_seed(0)
    plain = nn.Linear(WIDE, 2 * WIDE)
    return plain, WideLinear.of(plain)


@pytest.fixture
def products(monkeypatch):
    """How many of oneDNN's products there have been."""
    calls, original = [], torch.Tensor.to_mkldnn
    monkeypatch.setattr(torch.Tensor, "to_mkldnn", lambda self, *rest: calls.append(1) or original(self, *rest))
    return calls


onednn = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()),
    reason="this torch has no choice of products",
)


@onednn
@pytest.mark.parametrize("shape", [(3, 5, WIDE), (7, WIDE), (WIDE,)])
@pytest.mark.parametrize("bias", [True, False])
def test_predictions_are_those_of_torchs_layer(shape, bias, products):
    torch.manual_seed(1)
    plain = nn.Linear(WIDE, 2 * WIDE, bias=bias)
    wide = WideLinear.of(plain)
    x = torch.randn(shape)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            torch.testing.assert_close(wide(x), plain(x), rtol=1e-5, atol=1e-5)
            expected = plain(x.double().float() * 2)
            torch.testing.assert_close(
                wide(x.expand(2, *shape) * 2), expected.expand(2, *expected.shape), rtol=1e-5, atol=1e-5
            )
    assert len(products) == 4


def test_gradients_half_precision_and_nothing_are_torchs(layers, products):
    plain, wide = layers
    x = torch.randn(4, WIDE)
    assert torch.equal(wide(x), plain(x))
    wide(x).sum().backward()
    assert wide.weight.grad is not None and wide.weight is plain.weight
    with torch.no_grad():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(wide(x), plain(x))
        assert torch.equal(torch.jit.trace(wide, x, check_trace=False)(x), plain(x))
        assert wide(x[:0]).shape == (0, 2 * WIDE)
        assert torch.equal(wide.bfloat16()(x.bfloat16()), plain.bfloat16()(x.bfloat16()))
    assert not products


def test_only_wide_layers_change_and_names_stay():
    network = nn.Sequential(nn.Linear(WIDE, WIDE), nn.Sequential(nn.Linear(WIDE, WIDE - 1)), nn.LayerNorm(WIDE))
    before = dict(network.named_parameters())
    widen(network)
    assert [type(network[0]), type(network[1][0])] == [WideLinear, nn.Linear]
    assert dict(network.named_parameters()) == before


@onednn
def test_depth_anything_predicts_by_it_and_is_counted_without(products):
    network = build("depth-anything-v2-small").eval()
    x = torch.randn(1, 3, 28, 42)
    with torch.no_grad():
        found = network(x)
        blocks = len(network.encoder.blocks)
        assert len(products) == 4 * blocks  # query, key and value; their mixture; two of the perceptron
        with FlopCounterMode(display=False) as counter:
            torch.testing.assert_close(network(x), found, rtol=1e-4, atol=1e-5)
    assert len(products) == 4 * blocks
    weights = sum(parameter.numel() for parameter in network.encoder.blocks.parameters() if parameter.ndim == 2)
    assert counter.get_total_flops() > 2 * (2 * 3 + 1) * weights  # each at every patch and the class token
