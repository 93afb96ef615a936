"""Estimators: their resizing and scaling against upstream's pixels, and what they refuse."""

import numpy as np
import pytest
import torch
from torch import nn

from dad.errors import UserError
from dad.models.config import VitDptConfig
from dad.models.estimator import Estimator, resize_eight_bit
from dad.models.policy import HALF, InputPolicy
from dad.models.registry import build_network


class Recorder(nn.Module):
    """A network that keeps its input and gives back its first channel."""

    kind = "disparity"

    def __init__(self, policy, patch):
        super().__init__()
        self.policy, self.config = (
            policy,
            VitDptConfig(width=8, depth=4, heads=1, taps=(0, 1, 2, 3), reassemble=(1, 1, 1, 1), fusion=2, patch=patch),
        )

    def normalise(self, rgb):
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.policy.mean, self.policy.std))
        return (rgb - mean) / std

    def forward(self, x):
        self.seen = x
        return x[:, :1]


CASES = {
    "lower56_m14": ("image_rgb", InputPolicy(56, 14, "lower"), 14),
    "upper64_m32": ("image_rgb", InputPolicy(64, 32, "upper"), 32),
    "minimal96_m32": ("image_rgb", InputPolicy(96, 32, "minimal", HALF, HALF), 32),
    "out_midas_beit_64": ("rgb", InputPolicy(64, 32, "minimal", HALF, HALF), 32),
    "out_midas_small_32": ("rgb", InputPolicy(32, 32, "upper"), 32),
    "out_dav2_28": ("rgb", InputPolicy(28, 14, "lower"), 14),
}


@pytest.mark.parametrize("case", CASES)
def test_input_pixels_equal_upstream(case, golden):
    arrays = golden("pixels.npz")
    image, policy, patch = CASES[case]
    network = Recorder(policy, patch)
    rgb = torch.from_numpy(arrays[image]).permute(2, 0, 1)[None] / 255
    output = Estimator(network, name="recorder")(rgb)
    assert output.shape == (1, 1, *rgb.shape[-2:])
    expected = arrays[case]
    if np.abs(network.seen[0].numpy() - expected).max() > 1e-4 and case == "minimal96_m32":
        pytest.fail("scaled by other statistics")
    np.testing.assert_allclose(network.seen[0].numpy(), expected, rtol=0, atol=1e-4)


def test_diffusion_input_pixels_equal_upstream(golden):
    arrays = golden("pixels.npz")
    rgb = torch.from_numpy(arrays["rgb"]).permute(2, 0, 1)[None] / 255
    resized = resize_eight_bit(rgb, InputPolicy(40, 1, "longest").network_size(*rgb.shape[-2:]))
    np.testing.assert_allclose(resized.numpy() * 2 - 1, arrays["out_marigold_40_norm"], rtol=0, atol=1e-6)


def test_a_dino_network_normalises_by_imagenets_statistics(network):
    white = network.normalise(torch.ones(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(white, torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network(
        VitDptConfig(width=32, depth=4, heads=2, taps=(0, 1, 2, 3), grid=4, reassemble=(8, 8, 16, 16), fusion=8)
    )


def test_the_default_size_is_the_networks_own(network):
    estimator = Estimator(network, name="tiny")
    assert (estimator.policy.size, estimator.patch, estimator.kind, estimator.name) == (56, 14, "disparity", "tiny")
    assert Estimator(network, name="tiny", short_side=70, square=True).policy.network_size(100, 300) == (70, 70)


def test_an_image_of_the_networks_size_is_not_resized(network):
    rgb = torch.rand(2, 3, 56, 84)
    with torch.no_grad():
        assert torch.equal(Estimator(network, name="tiny")(rgb), network(network.normalise(rgb)))


def test_maps_come_back_at_the_images_size_by_aligned_corners(network):
    rgb = torch.rand(1, 3, 45, 70)
    estimator = Estimator(network, name="tiny")
    resized = estimator.resize(rgb)
    assert resized.shape[-2:] == (56, 84)
    with torch.no_grad():
        raw = network(network.normalise(resized))
    output = estimator(rgb)
    assert output.shape == (1, 1, 45, 70)
    assert output.dtype == torch.float32
    # aligned corners: the four corner pixels are kept
    for row in (0, -1):
        for column in (0, -1):
            assert output[0, 0, row, column] == pytest.approx(raw[0, 0, row, column].item(), abs=1e-6)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 4, 8, 8)])
def test_other_shapes_are_refused(network, shape):
    with pytest.raises(UserError, match="RGB of shape"):
        Estimator(network, name="tiny")(torch.rand(*shape))


def test_other_multiples_are_refused(network):
    with pytest.raises(
        UserError, match="tiny: an input size of 520 pixels is not a positive multiple of the patch, 14"
    ):
        Estimator(network, name="tiny", short_side=520)
