"""The networks give what the official classes give under the same weights."""

import numpy as np
import pytest
import torch
from torch import nn

from dad.models import build
from dad.models.config import NETWORKS

NAMES = {
    "dav2_vits": "depth-anything-v2-small",
    "dav2_vitb": "depth-anything-v2-base",
    "dav2_vitl": "depth-anything-v2-large",
    "dav1_vits": "depth-anything-v1-small",
    "dad_vitl": "depth-anything-v2-large",
    "dpt_beit_large_512": "midas-v3.1-beit-large-512",
    "dpt_large_384": "midas-v3.0-dpt-large-384",
    "dpt_swin2_tiny_256": "midas-v3.1-swin2-tiny-256",
    "midas_v21_small_256": "midas-v2.1-small-256",
    "midas_v21_384": "midas-v2.1-large-384",
}
SMALL = ["dav2_vits_56x84", "dav1_vits_56x84", "midas_v21_small_256_256x256"]
LARGE = [
    "dav2_vits_518x518",
    "dav2_vits_560x560",
    "dav2_vitl_56x84",
    "dad_vitl_56x84",
    "dpt_beit_large_512_176x208",
    "dpt_beit_large_512_192x256",
    "dpt_large_384_192x256",
    "dpt_swin2_tiny_256_256x256",
    "midas_v21_384_192x256",
]


def _filled(case, golden, fill):
    """The network of a case with the golden's weights, given under the official file's names."""
    model = case.rsplit("_", 1)[0]
    network = build(NAMES[model]).eval()
    network.load_official(
        fill(golden("keys.json")[model]["keys"]) if model == "dad_vitl" else fill(network.official_state())
    )
    return network


def _input(case, golden, normals):
    meta = golden("outputs.json")[case]
    return torch.from_numpy(normals(meta["input_stream"], meta["input_shape"]).astype(np.float32)), meta


@pytest.mark.parametrize("case", [*SMALL, *(pytest.param(case, marks=pytest.mark.large) for case in LARGE)])
def test_output_equals_the_official_class(case, golden, fill, normals):
    x, meta = _input(case, golden, normals)
    network = _filled(case, golden, fill)
    with torch.no_grad():
        output = network(x).numpy()
    assert output.shape == (1, 1, *x.shape[-2:])
    expected = golden("outputs.npz")[case]
    tolerance = max(1e-5, 2e-5 * max(1, meta["std"])) if "x84" not in case else 1e-5
    np.testing.assert_allclose(output[0, 0, :: meta["step"], :: meta["step"]], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", SMALL[:2])
def test_taps_and_map_before_the_last_relu(case, golden, fill, normals):
    x, _ = _input(case, golden, normals)
    network = _filled(case, golden, fill)
    arrays = golden("outputs.npz")
    with torch.no_grad():
        features = network.pretrained.features(x, network.config.taps)
        raw = network.depth_head(features, (56, 84))
        _, tokens = network(x, with_features=True)
        encoded = network.encode(x)
    np.testing.assert_allclose(raw[0, 0].numpy(), arrays[f"{case}:prerelu"], rtol=0, atol=1e-5)
    for tap in (0, 3):
        found = features[tap][0].flatten(1).T[:, ::8].numpy()
        np.testing.assert_allclose(found, arrays[f"{case}:feat{tap}"], rtol=0, atol=2e-5)
    assert torch.equal(tokens, encoded)
    np.testing.assert_allclose(tokens[0, :, ::8].numpy(), arrays[f"{case}:feat3"], rtol=0, atol=2e-5)


@pytest.mark.parametrize("model", [model for model in NAMES if model != "dad_vitl"])
def test_keys_shapes_and_parameter_count_are_the_official_ones(model, golden):
    expected = golden("keys.json")[model]
    with torch.device("meta"):
        network = build(NAMES[model])
    state = network.official_state()
    assert {key: list(value.shape) for key, value in state.items()} == {
        key: shape for key, (_, shape) in expected["keys"].items()
    }
    assert sum(parameter.numel() for parameter in network.parameters()) == expected["n_params"]


@pytest.mark.parametrize("name", sorted(name for name in NETWORKS if name != "genpercept"))
def test_normalisation_layers_have_the_official_epsilon(name):
    """An epsilon of 1e-5 moves outputs by less than the goldens' tolerance shows, so it is asserted directly."""
    with torch.device("meta"):
        network = build(name)
    norms = [module for module in network.modules() if isinstance(module, nn.LayerNorm)]
    batch_norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    # torchvision's ResNeXt keeps PyTorch's 1e-5, TensorFlow's EfficientNet has 1e-3, Swin v2 (and timm's port) 1e-5
    if name == "depth-anything-3-mono-large":  # the official class leaves its last norm at PyTorch's
        assert network.encoder.norm.eps == 1e-5
        norms.remove(network.encoder.norm)
    expected = {"midas-v3.1-swin2-tiny-256": 1e-5, "midas-v2.1-small-256": 1e-3, "midas-v2.1-large-384": 1e-5}.get(
        name, 1e-6
    )
    assert norms or batch_norms
    assert {module.eps for module in (*norms, *batch_norms)} == {expected}
    gelus = [module for module in network.modules() if isinstance(module, nn.GELU)]
    assert all(gelu.approximate == "none" for gelu in gelus)


@pytest.mark.parametrize("name", ["depth-anything-v2-small", "midas-v2.1-small-256", "midas-v3.1-swin2-tiny-256"])
def test_official_weights_survive_a_round_trip_bit_by_bit(name, fill):
    network = build(name)
    official = fill(network.official_state())
    network.load_official(official)
    back = network.official_state()
    assert back.keys() == official.keys()
    assert all(torch.equal(back[key], official[key]) for key in official)
