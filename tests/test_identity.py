"""Identities by content, and checksums that are compared when a stored thing is read."""

import contextlib
import json

import pytest
import torch

from dad.errors import UserError
from dad.files import read_json, sha256_json
from dad.identity import (
    content_digest,
    differences,
    read_sealed_json,
    require_files,
    require_recorded,
    seal_file,
    seal_problem,
    tensors_digest,
    write_sealed_json,
)


def flipped(path, byte, bit=1):
    data = bytearray(path.read_bytes())
    data[byte] ^= bit
    path.write_bytes(data)


def test_a_folders_identity_is_what_its_files_are_called_and_hold(tmp_path):
    for root in ("a", "b"):
        (tmp_path / root / "sub").mkdir(parents=True)
        (tmp_path / root / "sub" / "w.bin").write_bytes(b"weights")
        (tmp_path / root / "config.json").write_text("{}")
    (tmp_path / "b" / ".hidden").write_text("not counted")
    (tmp_path / "b" / "notes.md").write_text("not asked for")
    kinds = (".bin", ".json")
    assert content_digest(tmp_path / "a", kinds) == content_digest(tmp_path / "b", kinds)
    assert content_digest(tmp_path / "a") != content_digest(tmp_path / "b")
    (tmp_path / "b" / "sub" / "w.bin").rename(tmp_path / "b" / "sub" / "v.bin")
    assert content_digest(tmp_path / "a", kinds) != content_digest(tmp_path / "b", kinds)


def test_tensors_are_told_apart_by_name_type_shape_and_bytes():
    one = {"a": torch.arange(6, dtype=torch.float32), "b": torch.zeros(())}
    same = {"b": torch.zeros(()), "a": torch.arange(6, dtype=torch.float32)}
    others = [
        {"a": one["a"].reshape(2, 3), "b": one["b"]},
        {"a": one["a"].double(), "b": one["b"]},
        {"c": one["a"], "b": one["b"]},
        {"a": torch.where(one["a"] == 3, torch.nextafter(one["a"], one["a"] + 1), one["a"]), "b": one["b"]},
    ]
    assert tensors_digest(one) == tensors_digest(same)
    assert len({tensors_digest(one), tensors_digest(one, {"start": 0}), *map(tensors_digest, others)}) == 6


def test_differences_are_named():
    assert differences({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 4, "d": 3}, "e": 5}) == ["b.c", "e"]
    assert differences({"a": [1]}, {"a": [1]}) == []


def test_sealed_json_is_plain_json_and_every_changed_byte_is_found(tmp_path):
    path = tmp_path / "index.json"
    value = {"shards": [1, 2.5, None], "name": "é"}
    write_sealed_json(path, value)
    assert read_sealed_json(path) == value
    assert read_json(path) == value | {"sha256": sha256_json(value)}
    whole = path.read_bytes()
    for byte in range(len(whole)):
        flipped(path, byte)
        with contextlib.suppress(UserError):
            assert read_sealed_json(path) == value, byte  # white space between the values carries nothing
        path.write_bytes(whole)
    flipped(path, whole.index(b"2.5"))
    with pytest.raises(UserError, match=r"index\.json is damaged or was edited: its contents"):
        read_sealed_json(path)
    path.write_text(json.dumps({"no": "checksum"}))
    with pytest.raises(UserError, match="carries no checksum"):
        read_sealed_json(path)


def test_a_sealed_file_is_whole_or_found_out(tmp_path):
    path = tmp_path / "last.pt"
    torch.save({"step": 3, "w": torch.arange(100.0)}, path)
    assert seal_problem(path) == "it was cut or carries no checksum"
    seal_file(path)
    assert seal_problem(path) is None
    assert torch.load(path, weights_only=True)["step"] == 3
    whole = path.read_bytes()
    for byte in range(0, len(whole), 7):
        flipped(path, byte, 1 << byte % 8)
        assert seal_problem(path) is not None
        path.write_bytes(whole)
    for length in (0, 10, 80, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert seal_problem(path) is not None
    assert seal_problem(tmp_path / "absent") is not None


def test_recorded_files_are_compared(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    digests = {"a": content_digest(tmp_path / "a")}
    require_files(tmp_path, digests, cure="train again")
    flipped(tmp_path / "a", 0)
    with pytest.raises(UserError, match=r"a is damaged.*train again"):
        require_files(tmp_path, digests, cure="train again")
    with pytest.raises(UserError, match="cannot be read"):
        require_files(tmp_path, {"b": "0"}, cure="train again")


def test_scores_and_their_summary_belong_together(tmp_path):
    scores, summary = tmp_path / "cell.csv", tmp_path / "cell.json"
    scores.write_text("image,abs_rel\na,0.1\n")
    require_recorded(scores, cure="evaluate again")
    write_sealed_json(summary, {"files": {"cell.csv": content_digest(scores)}})
    require_recorded(scores, cure="evaluate again")
    scores.write_text("image,abs_rel\na,0.2\n")
    with pytest.raises(UserError, match=r"cell\.csv is damaged.*evaluate again"):
        require_recorded(scores, cure="evaluate again")
    flipped(summary, summary.read_bytes().index(b"files"))
    with pytest.raises(UserError, match=r"cell\.json is damaged"):
        require_recorded(scores, cure="evaluate again")
