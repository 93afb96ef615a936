"""Weights files: ours there and back, official ones recognised, broken ones refused in one line."""

import contextlib
import json
import os
import pickle
import random
import re
import shutil
import warnings

import pytest
import torch
from safetensors.torch import save_file

from dad.errors import UserError
from dad.files import sha256_file
from dad.models import load
from dad.models.checkpoints import load_network, read_header, save_network
from dad.models.config import MidasSmallConfig, VitDptConfig
from dad.models.locate import ZOO
from dad.models.official import read_state
from dad.models.registry import build, build_network

CONFIG = VitDptConfig(width=32, depth=4, heads=2, taps=(0, 1, 2, 3), grid=4, reassemble=(8, 8, 16, 16), fusion=8)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network(CONFIG).eval()


@pytest.fixture(scope="module")
def small():
    """An official network of the smallest size, as a state dict."""
    torch.manual_seed(0)
    return build("depth-anything-v2-small").state_dict()


def _refused(path, match, **options):
    with pytest.raises(UserError, match=match) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900


# ours


def test_round_trip(network, tmp_path):
    save_network(tmp_path / "run" / "model.safetensors", network, input_size=70, origin="a test")
    for path in (tmp_path / "run", tmp_path / "run" / "model.safetensors", str(tmp_path / "run")):
        again, header = load_network(path)
        assert (header.network, header.input_size, header.origin) == (CONFIG, 70, "a test")
        assert all(torch.equal(value, again.state_dict()[key]) for key, value in network.state_dict().items())
    estimator = load(tmp_path / "run")
    assert (estimator.kind, estimator.patch, estimator.policy.size) == ("disparity", 14, 70)
    assert load(tmp_path / "run", short_side=56).policy.size == 56


def test_half_precision_comes_back_as_float32(network, tmp_path):
    save_network(tmp_path / "half.safetensors", network, input_size=56, origin="", dtype=torch.float16)
    again, _ = load_network(tmp_path / "half.safetensors")
    assert all(value.dtype == torch.float32 for value in again.state_dict().values())
    assert all(
        torch.equal(value.half().float(), again.state_dict()[key]) for key, value in network.state_dict().items()
    )


def test_other_families_too(tmp_path):
    config = MidasSmallConfig(channel_multiplier=0.25, depth_multiplier=0.5, fusion=8)
    save_network(tmp_path / "cnn.safetensors", build_network(config), input_size=64, origin="")
    assert load_network(tmp_path / "cnn.safetensors")[0].config == config
    assert load(tmp_path / "cnn.safetensors")(torch.rand(1, 3, 50, 70)).shape == (1, 1, 50, 70)


def test_a_description_that_does_not_fit_is_refused(network, tmp_path):
    state = {key: value for key, value in network.state_dict().items() if "norm" not in key}
    header = {"network": CONFIG.model_dump(mode="json"), "input_size": 56, "origin": "", "keys": "ours"}
    save_file(state, tmp_path / "a.safetensors", metadata={"dad": json.dumps(header)})
    _refused(tmp_path / "a.safetensors", r"does not fit its own description: \d+ missing: pretrained")
    save_file(state, tmp_path / "b.safetensors", metadata={"dad": json.dumps(header | {"network": {"family": "x"}})})
    _refused(tmp_path / "b.safetensors", "no readable description of its network")
    with pytest.raises(UserError, match="no readable description"):
        read_header(tmp_path / "b.safetensors")


def test_unknown_names(tmp_path):
    _refused("zoo/vit-huge", "unknown zoo model 'zoo/vit-huge'; shipped: ")
    _refused(tmp_path / "nothing.pth", "no model .*nothing.pth")
    _refused(tmp_path, "holds no weights")


# official files


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("depth_anything_v2_vits.pth", (2, 5, 8, 11)),
        ("depth_anything_vits14.pth", (8, 9, 10, 11)),
        ("Distill-Any-Depth/small/model.safetensors", (2, 5, 8, 11)),
        ("dav1.safetensors", (8, 9, 10, 11)),
    ],
)
def test_the_name_tells_the_version(small, tmp_path, file, found):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(small, path) if path.suffix == ".safetensors" else torch.save({"model": small}, path)
    again, header = load_network(path)
    assert again.config.taps == found
    assert header.input_size == 518
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in small.items())


def test_a_name_without_a_version_needs_help(small, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({f"module.{key}": value for key, value in small.items()}, path)
    _refused(path, "the name must tell them apart: rename the file .*depth-anything-v2-small:")
    assert load(path, network="depth-anything-v1-small").network.config.taps == (8, 9, 10, 11)
    assert load(f"depth-anything-v2-small:{path}").network.config.taps == (2, 5, 8, 11)
    _refused(path, "holds depth-anything-v2-small, not depth-anything-v2-base", network="depth-anything-v2-base")
    _refused(path, "is no known|holds depth-anything|signs of|must tell", network="midas-v2.1-small-256")


def test_contradictions_are_errors(small, tmp_path):
    path = tmp_path / "depth_anything_v2_vitl.pth"
    torch.save(small, path)
    _refused(path, "is named as large, but its weights are small")
    path = tmp_path / "depth_anything_v2_vits.pth"
    torch.save(small, path)
    _refused(path, "signs of both Depth Anything v1 and v2", network="depth-anything-v1-small")
    renamed = {
        re.sub(r"^pretrained\.(blocks\.)?", lambda m: "backbone.blocks.0." if m[1] else "backbone.", key): value
        for key, value in small.items()
    }
    path = tmp_path / "depth_anything_vits14.pth"
    torch.save(renamed, path)
    _refused(path, "signs of both")


def test_licences_are_told_once_per_load(small, tmp_path, capsys):
    path = tmp_path / "depth_anything_v2_vits.pth"
    torch.save(small, path)
    load(path)
    assert capsys.readouterr().err == ""
    path = tmp_path / "Distill-Any-Depth-small.pth"
    torch.save(small, path)
    load(path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "CC-BY-NC-4.0" in lines[0]


def test_a_network_without_its_weights_says_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    _refused("midas-v2.1-small-256", r"get midas_v21_small_256\.pt from https://github.com/isl-org/MiDaS/releases")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(build("midas-v2.1-small-256").state_dict(), tmp_path / "hub" / "checkpoints" / "midas_v21_small_256.pt")
    assert load("midas-v2.1-small-256")(torch.rand(1, 3, 90, 120)).shape == (1, 1, 90, 120)


def test_the_hubs_cache_is_honoured(small, tmp_path, monkeypatch):
    """A repository in the cache is read without the network; the cache's layout is the hub's own."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--xingyang1--Distill-Any-Depth"
    snapshot = repository / "snapshots" / ("a" * 40)
    (snapshot / "small").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    save_file(small, snapshot / "small" / "model.safetensors")
    found, _ = load_network("xingyang1/Distill-Any-Depth/small/model.safetensors")
    assert found.config.taps == (2, 5, 8, 11)
    _refused("xingyang1/Other", "neither a file here nor in the Hugging Face cache")


# broken and hostile files


class Payload:
    """What a hostile pickle does when it is loaded carelessly."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickles_with_code_are_refused_and_not_run(small, tmp_path):
    for file, content in (
        ("depth_anything_v2_vits.pth", {"model": small, "x": Payload(tmp_path / "ran")}),
        ("a.pt", Payload(tmp_path / "ran")),
    ):
        torch.save(content, tmp_path / file)
        _refused(tmp_path / file, r"refused: it is broken or holds more than tensors.*\(it wants to run \S+\)$")
    with open(tmp_path / "plain.pth", "wb") as file:
        pickle.dump(Payload(tmp_path / "ran"), file)
    _refused(tmp_path / "plain.pth", "refused|not a readable PyTorch file")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would be a second line
        with open(tmp_path / "foreign.pth", "wb") as file:
            pickle.dump({"state_dict": Payload(tmp_path / "ran")}, file, protocol=4)
        _refused(tmp_path / "foreign.pth", "refused: it is broken or holds more than tensors")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_downloads_leave_in_the_place_of_weights_is_named(tmp_path, suffix):
    path = tmp_path / f"depth_anything_v2_vits{suffix}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 99\n")
    _refused(path, "is a pointer of git LFS.*git lfs pull")
    path.write_text("\n<!doctype html><html>not found</html>")
    _refused(path, "is a web page, not weights")


def test_a_network_without_a_path_is_no_model(tmp_path, monkeypatch, small):
    torch.save(small, tmp_path / "depth_anything_v2_vits.pth")
    monkeypatch.chdir(tmp_path)
    _refused("depth-anything-v2-small:", "no model 'depth-anything-v2-small:'")


def _fuzzed(small):
    wide = {key: torch.zeros([2 * s for s in value.shape]) for key, value in small.items()}
    nan = dict(small) | {"pretrained.norm.weight": torch.full_like(small["pretrained.norm.weight"], torch.nan)}
    return {
        "wrong family": ({"layer1.0.weight": torch.zeros(3)}, "of no known network"),
        "wrong size": (wide, "is named as small, but its weights are base"),
        "extra keys": (dict(small) | {"depth_head.more": torch.zeros(1)}, "1 unexpected: depth_head.more"),
        "missing keys": (
            {key: value for key, value in small.items() if "refinenet2" not in key},
            "10 missing: depth_head.scratch.refinenet2",
        ),
        "misshaped": (
            dict(small) | {"pretrained.norm.weight": torch.zeros(7)},
            r"pretrained.norm.weight \[7\] instead of \[384\]",
        ),
        "NaN": (nan, "1 tensors of the checkpoint hold NaN or infinite values: pretrained.norm.weight"),
        "no tensors": ({"a": "b"}, "holds no state dict"),
        "empty dict": ({}, "holds no state dict"),
        "a list": ([torch.zeros(1)], "holds no state dict"),
        "a hybrid": (
            {"pretrained.model.patch_embed.backbone.stem.conv.weight": torch.zeros(1)},
            "DPT-Hybrid, which is not supported",
        ),
    }


@pytest.mark.parametrize("case", _fuzzed(build("depth-anything-v2-small").state_dict()))
def test_wrong_content_is_refused(case, small, tmp_path):
    content, match = _fuzzed(small)[case]
    path = tmp_path / "depth_anything_v2_vits.pth"
    torch.save(content, path)
    before = sorted(tmp_path.iterdir())
    _refused(path, match)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("file", ["depth_anything_v2_vits.pth", "depth_anything_v2_vits.safetensors"])
def test_truncated_and_empty_files_are_refused(file, tmp_path):
    path = tmp_path / file
    state = {f"depth_head.{number}": torch.randn(64, 64) for number in range(4)}
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    for length in (1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        _refused(path, "not a readable|is refused")
    path.write_bytes(b"")
    _refused(path, "is empty")
    path.write_bytes(os.urandom(4096))
    _refused(path, "not a readable|is refused")


def test_directories_and_other_files_are_refused(tmp_path):
    (tmp_path / "depth_anything_v2_vits.pth").mkdir()
    _refused(tmp_path / "depth_anything_v2_vits.pth", "holds no weights")
    (tmp_path / "readme.txt").write_text("hello")
    _refused(tmp_path / "readme.txt", "is no weights file: known are .safetensors")


def test_wrappers_and_prefixes_are_removed(tmp_path):
    torch.save({"epoch": 3, "state_dict": {"module.a": torch.ones(2)}}, tmp_path / "a.pt")
    assert read_state(tmp_path / "a.pt").keys() == {"a"}


def test_huggingface_folders_of_other_models_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "glpn"}')
    _refused(tmp_path, "Hugging Face model of type 'glpn'")
    (tmp_path / "config.json").write_text("{")
    _refused(tmp_path, "not readable JSON")


def test_changed_bytes_of_a_weights_file_are_found(tmp_path, network):
    path = tmp_path / "model.safetensors"
    save_network(path, network, input_size=56, origin="a test")
    whole, wanted = path.read_bytes(), load_network(path)[0].state_dict()
    header = 8 + int.from_bytes(whole[:8], "little")
    draw = random.Random(0)
    for byte in [*draw.sample(range(header), 60), *draw.sample(range(header, len(whole)), 60)]:
        data = bytearray(whole)
        data[byte] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        state = wanted
        with contextlib.suppress(UserError):
            state = load_network(path)[0].state_dict()
            assert byte < header  # white space of the header
        assert all(torch.equal(state[key], value) for key, value in wanted.items())


def test_a_damaged_shipped_network_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("dad.models.checkpoints.ZOO", tmp_path)
    monkeypatch.setattr("dad.models.locate.ZOO", tmp_path)
    for path in ZOO.glob("vit-small.*"):
        shutil.copy(path, tmp_path)
    load_network("zoo/vit-small")
    data = bytearray((tmp_path / "vit-small.safetensors").read_bytes())
    data[-1000] ^= 1
    (tmp_path / "vit-small.safetensors").write_bytes(data)
    with pytest.raises(UserError, match="is damaged"):
        load_network("zoo/vit-small")


def test_shipped_weights_are_those_that_were_scored():
    for path in ZOO.glob("*.safetensors"):
        assert json.loads(path.with_suffix(".json").read_text())["weights"] == sha256_file(path)
