"""Network descriptions: what is refused, and how families are told apart."""

import pytest
from pydantic import TypeAdapter, ValidationError

from dad.errors import UserError
from dad.models import build
from dad.models.config import NETWORKS, MidasSmallConfig, NetworkConfig, VitDptConfig

SMALL = {
    "width": 32,
    "depth": 4,
    "heads": 2,
    "taps": [0, 1, 2, 3],
    "grid": 4,
    "reassemble": [8, 8, 16, 16],
    "fusion": 8,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "heads .3. must divide width"),
        ({"taps": [0, 1, 2, 4]}, "four increasing block indices below depth 4"),
        ({"taps": [0, 2, 1, 3]}, "four increasing"),
        ({"taps": [0, 1, 1, 3]}, "four increasing"),
        ({"taps": [-1, 1, 2, 3]}, "four increasing"),
        ({"stem": "hybrid"}, "power of two from 8, got 14"),
        ({"width": 0}, "greater than 0"),
        ({"wdth": 32}, "Extra inputs"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(ValidationError, match=message):
        VitDptConfig(**SMALL | change)


def test_family_decides_and_defaults_to_vit_dpt():
    adapter = TypeAdapter(NetworkConfig)
    assert adapter.validate_python(SMALL) == VitDptConfig(**SMALL)
    assert adapter.validate_python({"family": "midas-small"}) == MidasSmallConfig()
    with pytest.raises(ValidationError, match="midas-huge"):
        adapter.validate_python({"family": "midas-huge"})
    with pytest.raises(ValidationError, match="Extra inputs"):
        adapter.validate_python({"family": "midas-small", "taps": [0, 1, 2, 3]})


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_configs_survive_json(name):
    adapter = TypeAdapter(NetworkConfig)
    assert adapter.validate_json(adapter.dump_json(NETWORKS[name])) == NETWORKS[name]


def test_versions_differ_in_their_taps_only():
    for size in ("small", "base", "large"):
        one, two = NETWORKS[f"depth-anything-v1-{size}"], NETWORKS[f"depth-anything-v2-{size}"]
        assert one.taps == tuple(range(one.depth - 4, one.depth))
        assert one.taps != two.taps
        assert one.model_copy(update={"taps": two.taps}) == two


def test_unknown_names_are_refused():
    with pytest.raises(
        UserError, match="'depth-anything-v3'; known: depth-anything-3-mono-large, depth-anything-v1-base"
    ):
        build("depth-anything-v3")
