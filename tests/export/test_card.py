"""Model cards: what they tell, and the head that the hub reads."""

import json

import pytest
import torch
import yaml

from dad.export import export
from dad.export.cost import cost
from dad.export.facts import _licence
from dad.models.checkpoints import load_network
from dad.models.registry import build


def test_the_model_card_tells_origin_scores_and_licence(runs, tmp_path):
    run = runs("patch", 56)
    (tmp_path / "scores" / "ablation").mkdir(parents=True)
    result = {
        "dataset": "scenes-indoor",
        "protocol": "marigold@1",
        "images": 4,
        "mean": {"abs_rel": 0.125, "delta1": 0.5},
    }
    (tmp_path / "scores" / "ablation" / "tiny.json").write_text(json.dumps({"model": "tiny", "results": [result]}))
    export(run, tmp_path / "out", form="safetensors")
    card = (tmp_path / "out" / "README.md").read_text()
    for expected in (
        "# tiny",
        "| teacher | depth-anything-v2-large:",
        "| scenes-indoor | marigold@1 | 4 | 0.1250 | 0.5000 |",
        "CC-BY-NC-4.0",
        "0.0e+00",
    ):
        assert expected in card
    assert json.loads((tmp_path / "out" / "parity.json").read_text())[0]["difference"] == 0


@pytest.mark.parametrize(
    ("kind", "form", "said"),
    [
        ("patch", "hf", "without it (`trust_remote_code=False`), transformers' own class is loaded"),
        ("hybrid", "hf", "trust_remote_code=True"),
        ("hybrid", "onnx", "onnxruntime.InferenceSession"),
        ("hybrid", "safetensors", "from dad.models import load"),
    ],
)
def test_the_model_card_tells_how_to_load_it_and_files_can_be_shared(runs, tmp_path, kind, form, said):
    export(runs(kind, 56), tmp_path / "out", form=form)
    card = (tmp_path / "out" / "README.md").read_text()
    assert said in card
    assert ("trust_remote_code" in card) == (form == "hf")
    assert ("`dad` has to be installed" in card) == (form != "onnx" and kind == "hybrid")
    (tmp_path / "plain").touch()
    usual = (tmp_path / "plain").stat().st_mode
    assert {file.stat().st_mode for file in (tmp_path / "out").iterdir()} == {usual}


def _head(card):
    """The YAML between the first two lines of dashes."""
    assert card.startswith("---\n")
    return yaml.safe_load(card.split("---\n")[1])


def test_the_head_is_what_the_hub_reads(runs, tmp_path):
    run = runs("patch", 56)
    (tmp_path / "scores" / "x").mkdir(parents=True)
    results = [
        {"dataset": name, "protocol": "marigold@1", "images": 4, "mean": {"abs_rel": value, "delta1": 0.5}}
        for name, value in (("scenes: indoor", 0.125), ("kitti", 0.25))
    ]
    (tmp_path / "scores" / "x" / "tiny.json").write_text(json.dumps({"model": "tiny", "results": results}))
    export(run, tmp_path / "out", form="hf")
    head = _head((tmp_path / "out" / "README.md").read_text())
    assert head["license"] == "cc-by-nc-4.0"
    assert head["pipeline_tag"] == "depth-estimation"
    assert head["library_name"] == "transformers"
    (entry,) = head["model-index"]
    assert entry["name"] == "tiny"
    assert [one["dataset"]["name"] for one in entry["results"]] == ["scenes: indoor", "kitti"]
    assert entry["results"][1]["metrics"][0] == {
        "type": "abs_rel",
        "name": "AbsRel (marigold@1, 4 images)",
        "value": 0.25,
    }


def test_a_card_without_scores_has_no_index(tmp_path):
    export("zoo/vit-small", tmp_path / "out", form="safetensors")
    card = (tmp_path / "out" / "README.md").read_text()
    assert _head(card)["license"] == "apache-2.0"
    assert "model-index" not in _head(card)
    assert "None were found beside the source." in card
    assert "Nothing that this network was trained from or by is known to restrict its use" in card


def test_data_are_told_as_they_were_used(runs, tmp_path):
    run = runs("patch", 56)
    cell = json.loads((run / "config.json").read_text()) | {"photos": {"source": "folder", "root": "asked|for"}}
    (run / "config.json").write_text(json.dumps(cell))
    (run / "provenance.json").write_text(json.dumps({"cell": "tiny", "photos_used": 3, "photos_digest": "abc"}))
    export(run, tmp_path / "out", form="safetensors")
    card = (tmp_path / "out" / "README.md").read_text()
    for row in ("| used | 3 |", "| digest | abc |", "| root | asked\\|for |"):
        assert row in card
    assert _head(card)["training_data"] == {"source": "folder", "root": "asked|for", "used": "3", "digest": "abc"}


@pytest.mark.parametrize(
    ("names", "identifier"),
    [
        (["run", "zoo/vit-large", "zoo/vit-small"], "apache-2.0"),
        (["run", "depth-anything-v2-large", "zoo/vit-small"], "cc-by-nc-4.0"),
        (["run", "~/weights/depth_anything_v2_vitb.pth"], "cc-by-nc-4.0"),
        (["run", "depth-anything/Depth-Anything-V2-Small-hf"], "apache-2.0"),
        (["run", "xingyang1/Distill-Any-Depth/small/model.safetensors"], "cc-by-nc-4.0"),
        (["run", "midas-v3.1-beit-large-512", "midas-v2.1-small-256"], "mit"),
        (["run", "midas-v3.1-beit-large-512", "depth-anything-v2-small"], "apache-2.0"),
        (["run", "guangkaixu/genpercept-models", "zoo/vit-small"], "other"),
        (["run", "my.package:Teacher", "zoo/vit-small"], "other"),
        (["depth-anything-v2-base"], "cc-by-nc-4.0"),
    ],
)
def test_the_licence_is_the_teachers(names, identifier):
    found = _licence(names)
    assert found["id"] == identifier
    assert bool(found["notices"]) == (identifier == "cc-by-nc-4.0" or "genpercept" in str(names))
    assert found["unknown"] == (["my.package:Teacher"] if "my.package:Teacher" in names else [])


def test_cost_is_counted_and_measured(runs):
    network, _ = load_network(runs("patch", 56))
    found = cost(network.eval(), network.policy, {"source": network})
    assert found["input"] == [56, 70]
    assert found["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert 0 < found["seconds"]["source"] < 5
    patches = 4 * 5
    attention = 4 * 2 * (patches + 1) ** 2 * 32
    projections = 4 * (patches + 1) * 12 * 32**2
    assert found["macs"] > attention + projections + patches * 3 * 14**2 * 32


@pytest.mark.large
def test_the_cost_of_a_published_network_is_the_known_one():
    """Depth Anything V2 small at 518: 22.06 M parameters in the encoder, whose matrix products are a textbook count."""
    network = build("depth-anything-v2-small").eval()
    found = cost(network, network.policy, {})
    assert found["input"] == [518, 686]
    tokens = 37 * 49 + 1
    encoder = 12 * (12 * tokens * 384**2 + 2 * tokens**2 * 384) + (tokens - 1) * 3 * 14**2 * 384
    with torch.no_grad():
        assert encoder < found["macs"] < 4 * encoder
