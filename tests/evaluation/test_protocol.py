import os

import pydantic
import pytest
import yaml

from dad.errors import UserError
from dad.evaluation import available_protocols, load_protocol

MINIMAL = {
    "name": "own",
    "version": 3,
    "description": "for this test",
    "fixed": {
        "alignments": {
            "disparity": {"domain": "disparity", "solver": "least-squares", "fit_pixels": "mask", "floor": 0.01}
        },
        "score_domain": "depth",
        "clip": "dataset",
        "minimum": 0.001,
        "resolution": "truth",
        "average": "image-mean",
        "strict": {"nonfinite_fit": "error", "empty_images": "skip"},
    },
    "adjustable": {"decimation": "none"},
}


def written(tmp_path, document, name="own.yaml"):
    path = tmp_path / name
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def changed(**fixed):
    return {**MINIMAL, "fixed": {**MINIMAL["fixed"], **fixed}}


def test_the_package_ships_eight_protocols_with_different_hashes():
    assert available_protocols() == [
        "marigold",
        "disparity",
        "log-lsq",
        "median",
        "median-pooled",
        "midas",
        "moge",
        "native",
    ]
    loaded = [load_protocol(name) for name in available_protocols()]
    assert [protocol.id for protocol in loaded] == [f"{name}@1" for name in available_protocols()]
    assert len({protocol.hash for protocol in loaded}) == 8
    assert all(len(protocol.hash) == 8 and int(protocol.hash, 16) >= 0 for protocol in loaded)


def test_released_protocols_do_not_change_unnoticed():
    """A change of rules needs a new version: results carry these hashes."""
    hashes = {name: load_protocol(name).hash for name in available_protocols()}
    assert hashes == {
        "marigold": "03e78a69",
        "disparity": "bffeb557",
        "log-lsq": "516ae604",
        "median": "31ba13ec",
        "median-pooled": "b17ae834",
        "midas": "f2814740",
        "moge": "63d6f918",
        "native": "1994125a",
    }


def test_hash_covers_the_rules_and_not_the_prose(tmp_path):
    first = load_protocol(written(tmp_path, MINIMAL))
    reworded = load_protocol(written(tmp_path, {**MINIMAL, "description": "other words"}))
    assert first.hash == reworded.hash
    others = [
        changed(minimum=0.002),
        {**MINIMAL, "version": 4},
        {**MINIMAL, "name": "other"},
        {**MINIMAL, "adjustable": {"decimation": "grid"}},
    ]
    assert first.hash not in {load_protocol(written(tmp_path, other)).hash for other in others}


def test_adjustable_values_change_the_id_and_the_hash():
    plain = load_protocol("marigold")
    nested = load_protocol("marigold", {"decimation": "grid", "alignments": {"disparity": {"fit_pixels": "mask"}}})
    dotted = load_protocol("marigold", {"alignments.disparity.fit_pixels": "mask", "decimation": "grid"})
    assert nested == dotted
    assert nested.id == "marigold@1+alignments.disparity.fit_pixels=mask+decimation=grid"
    assert nested.hash == dotted.hash != plain.hash
    assert nested.alignments["disparity"].fit_pixels == "mask"


def test_an_override_that_changes_nothing_is_no_override():
    same = load_protocol("marigold", {"decimation": "columns", "clip": "dataset", "minimum": 1e-6})
    assert (same.id, same.hash) == ("marigold@1", load_protocol("marigold").hash)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (
            {"clip": "none", "minimum": 0, "decimation": "grid"},
            ["clip (is 'dataset', not 'none')", "minimum (is 1e-06, not 0)"],
        ),
        (
            {"alignments.disparity": {"floor": 0.1, "domain": "depth"}},
            ["alignments.disparity.floor", "alignments.disparity.domain"],
        ),
        ({"alignments": None}, ["alignments"]),
        ({"strict": {}}, ["strict"]),
        ({"alignments.disparity.floor.x": 1}, ["alignments.disparity.floor.x"]),
        ({"colour": "red"}, ["colour"]),
        ({"abs_rel_offset": 1.0}, ["abs_rel_offset"]),
    ],
)
def test_fixed_values_can_not_be_overridden(overrides, named):
    with pytest.raises(UserError) as caught:
        load_protocol("marigold", overrides)
    message = str(caught.value)
    assert all(name in message for name in named)
    assert "decimation (" not in message
    assert message.endswith("adjustable are alignments.disparity.fit_pixels, decimation")


def test_groups_that_are_adjustable_as_a_whole():
    assert load_protocol("moge", {"edge_filter": None}).edge_filter is None
    assert load_protocol("moge", {"edge_filter.thickness": 2}).edge_filter.thickness == 2
    midas = load_protocol("midas", {"caps": {"eth3d": 50}})
    assert [midas.cap(name) for name in ("eth3d", "nyuv2", "anything")] == [50, 10, 80]
    with pytest.raises(UserError, match="outlier_drop"):
        load_protocol("moge", {"outlier_drop": None})


def test_a_loaded_protocol_is_frozen():
    with pytest.raises(pydantic.ValidationError):
        load_protocol("marigold").clip = "none"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed(colour="red"), "colour: Extra inputs are not permitted"),
        (changed(clip="always"), "clip: Input should be 'dataset', 'caps' or 'none'"),
        (changed(alignments={}), "alignments: "),
        (
            changed(
                score_domain="disparity",
                alignments={"depth": {"domain": "depth", "solver": "none", "fit_pixels": "mask"}},
            ),
            "needs",
        ),
        ({**MINIMAL, "adjustable": {"decimation": "none", "clip": "none"}}, "both fixed and adjustable: clip"),
        ({**MINIMAL, "adjustable": {}}, "decimation: Field required"),
        ({**MINIMAL, "name": "Own Protocol"}, "name: "),
        (
            changed(alignments={"disparity": {**MINIMAL["fixed"]["alignments"]["disparity"], "floor": "cap"}}),
            "alignments.disparity.floor is 'cap', which needs caps.default",
        ),
        ("- a\n- b\n", "must hold a mapping of keys to values, found a list"),
        ("a: [", "is not valid YAML"),
        (yaml.safe_dump(MINIMAL) + "name: other\n", "the key 'name' is given twice, first in line"),
        ({**MINIMAL, "adjustable": 5}, "adjustable must hold rules, found 5"),
        ({**MINIMAL, "version": True}, "version: Value error, no rule is true or false"),
        (changed(minimum=float("nan")), "minimum: Input should be a finite number"),
        (changed(minimum=-1), "minimum: Input should be greater than or equal to 0"),
        (changed(caps={"default": float("inf")}), "caps.default: Input should be a finite number"),
        (changed(caps={"default": 0}), "caps.default: Input should be greater than 0"),
        ("x: " + "[" * 5000, "is nested too deeply"),
    ],
)
def test_broken_files_are_named_with_the_key(tmp_path, document, message):
    path = written(tmp_path, document)
    with pytest.raises(UserError) as caught:
        load_protocol(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names_and_missing_files():
    with pytest.raises(UserError, match="unknown protocol 'geobench'; known are marigold"):
        load_protocol("geobench")
    with pytest.raises(UserError, match=r"cannot read nowhere\.yaml"):
        load_protocol("nowhere.yaml")


def test_scientific_notation_without_a_point_is_understood(tmp_path):
    text = yaml.safe_dump(MINIMAL).replace("minimum: 0.001", "minimum: 1e-3").replace("floor: 0.01", "floor: 1e-2")
    assert "1e-3" in text
    protocol = load_protocol(written(tmp_path, text))
    assert protocol.minimum == 0.001
    assert protocol.alignments["disparity"].floor == 0.01


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_files_of_other_systems_hold_the_same_rules(tmp_path, encoding):
    text = yaml.safe_dump(MINIMAL, allow_unicode=True)
    path = tmp_path / "own.yaml"
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert load_protocol(path).hash == load_protocol(written(tmp_path, MINIMAL, "plain.yaml")).hash


def test_a_file_in_another_encoding_and_a_pipe_are_refused(tmp_path):
    (tmp_path / "wide.yaml").write_bytes(yaml.safe_dump(MINIMAL).encode("utf-16"))
    with pytest.raises(UserError, match=r"wide\.yaml is encoded in UTF-16"):
        load_protocol(tmp_path / "wide.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(UserError, match=r"pipe\.yaml is no regular file"):
        load_protocol(tmp_path / "pipe.yaml")
