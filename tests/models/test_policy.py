"""Network input sizes against upstream's resizers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dad.errors import UserError
from dad.models import build
from dad.models.policy import InputPolicy, lower_bound_size, network_size

PROFILES = {
    "dav2_518": (518, 14, "lower"),
    "dav2_560": (560, 14, "lower"),
    "dad_700": (700, 14, "square"),
    "midas_v21_small_256": (256, 32, "upper"),
    "midas_v21_384": (384, 32, "upper"),
    "dpt_beit_large_512": (512, 32, "minimal"),
    "dpt_large_384": (384, 32, "minimal"),
    "dpt_swin2_tiny_256": (256, 256, "square"),
    "longest_768": (768, 1, "longest"),
    "longest_756": (756, 1, "longest"),
    "longest_640": (640, 1, "longest"),
}


def test_sizes_equal_upstream(golden):
    cases = golden("sizes.json")
    assert {profile for profile, _, _ in cases} == set(PROFILES)
    wrong = [
        (p, i, o, network_size(*i, *PROFILES[p])) for p, i, o in cases if list(network_size(*i, *PROFILES[p])) != o
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("depth-anything-v2-small", "dav2_518"),
        ("midas-v2.1-small-256", "midas_v21_small_256"),
        ("midas-v3.1-swin2-tiny-256", "dpt_swin2_tiny_256"),
    ],
)
def test_networks_carry_their_profile(name, profile):
    policy = build(name).policy
    assert (policy.size, policy.multiple, policy.fit) == PROFILES[profile]


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 60))
def test_lower_bound_is_a_bound(height, width, patches):
    found = lower_bound_size(height, width, 14 * patches, 14)
    assert min(found) >= 14 * patches
    assert all(side % 14 == 0 for side in found)


def test_too_elongated_images_are_refused():
    policy = InputPolicy(size=256, multiple=32, fit="upper")
    with pytest.raises(UserError, match="100x3000 pixels is too elongated"):
        policy.network_size(100, 3000)


def test_resized_policies():
    policy = InputPolicy(size=512, multiple=32, fit="minimal")
    assert policy.resized(576, patch=16).multiple == 32
    # 560 is no multiple of 32, which the BEiT network itself does not need
    assert policy.resized(560, patch=16).multiple == 16
    assert policy.resized(512, patch=16, square=True).fit == "square"
    for size in (570, 0, -32):
        with pytest.raises(UserError, match=f"{size} pixels is not a positive multiple of the patch, 16"):
            policy.resized(size, patch=16)
