"""Attention on the CPU: which kernel a training takes, and that it is the same function."""

import contextlib
import copy

import pytest
import torch
from torch.nn import functional

from dad.models import attention
from dad.models.attention import plain_attention_where_faster
from dad.models.config import VitDptConfig
from dad.models.registry import build_network


@pytest.fixture
def network():
    """A small network with 17 tokens at 64 pixels and four blocks."""
    torch.manual_seed(0)
    config = VitDptConfig(
        width=32,
        depth=4,
        heads=2,
        taps=(0, 1, 2, 3),
        patch=16,
        grid=4,
        reassemble=(8, 8, 16, 16),
        fusion=8,
        head_hidden=8,
    )
    built = build_network(config)
    with torch.no_grad():
        built.last_bias.add_(1)
    return built


@pytest.fixture
def fused(monkeypatch):
    """A call of torch's fused attention each: whether with gradients."""
    calls, real = [], functional.scaled_dot_product_attention

    def counted(*arguments, **options):
        calls.append(torch.is_grad_enabled())
        return real(*arguments, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", counted)
    return calls


def results(network, rgb, *, half):
    """The map and all gradients, as one vector each."""
    with torch.autocast("cpu", dtype=torch.bfloat16) if half else contextlib.nullcontext():
        prediction = network(rgb)
    network.zero_grad()
    prediction.square().mean().backward()
    gradients = [parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None]
    return prediction.detach().flatten(), torch.cat(gradients)


def test_plain_attention_is_the_fused_kernels_function(network, fused, monkeypatch):
    """In float64, where rounding hides nothing."""
    network.double()
    plain = copy.deepcopy(network)
    plain_attention_where_faster(plain)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: True)
    rgb = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    expected = results(network, rgb, half=False)
    assert fused == [True] * 4
    found = results(plain, rgb, half=False)
    assert fused == [True] * 4
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= 1e-9 * other.abs().max()


def test_in_half_precision_it_is_as_exact_as_the_fused_kernel(network, fused):
    plain = copy.deepcopy(network)
    plain_attention_where_faster(plain)
    rgb = torch.rand(4, 3, 64, 64)
    exact = results(network, rgb, half=False)
    by_fused = results(network, rgb, half=True)
    fused.clear()
    by_plain = results(plain, rgb, half=True)
    assert fused == []
    for true, one, other in zip(exact, by_fused, by_plain, strict=True):
        assert 0 < (other - true).norm() < 1.5 * (one - true).norm() < 0.1 * true.norm()


def test_only_half_precision_with_gradients_and_few_tokens_leaves_the_fused_kernel(network, fused, monkeypatch):
    plain_attention_where_faster(network)
    rgb = torch.rand(1, 3, 64, 64)
    network(rgb)
    assert fused == [True] * 4
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(rgb)
        assert fused == [True] * 4
        with torch.no_grad():
            network(rgb)
        assert fused == [True] * 4 + [False] * 4
        monkeypatch.setattr(attention, "MOST_TOKENS", 16)
        network(rgb)
        assert fused == [True] * 4 + [False] * 4 + [True] * 4
