"""Interrupted trainings, something amiss in their work folder: the checkpoint before is taken or none, no guess."""

import errno
import json
import threading
import time

import pytest
import torch

from dad.distill.checkpoints import Checkpoints
from dad.distill.labels import compute_labels
from dad.distill.train import train
from dad.errors import UserError


class Interrupted(Exception):
    pass


@pytest.fixture
def broken_off(cell, manifest, tmp_path):
    """An undisturbed run, and a work folder with the checkpoints of steps 2 and 4; a function that goes on with it."""
    compute_labels(cell.label_plans["teacher"], manifest, "square", tmp_path / "labels" / "square")
    options = {"manifest": manifest, "labels": tmp_path / "labels"}
    train(cell, out=tmp_path / "whole", work=tmp_path / "work-whole", **options)
    work = tmp_path / "work"

    def stop(rows):
        if rows[-1]["step"] >= 4:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(cell, out=tmp_path / "run", work=work, listeners=(stop,), **options)
    assert (work / "previous.pt").exists()

    def go_on(**more):
        train(cell, out=tmp_path / "run", work=work, **options, **more)
        for name in ("model.safetensors", "metrics.csv", "config.json"):
            assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

    return work, go_on


def flip(path, step=5003):
    data = bytearray(path.read_bytes())
    for byte in range(100, len(data), step):
        data[byte] ^= 64
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage", [flip, lambda path: path.write_bytes(b"\0" * 5000), lambda path: path.write_bytes(b"")]
)
def test_a_damaged_checkpoint_is_left_for_the_one_before(broken_off, damage, capsys):
    work, go_on = broken_off
    damage(work / "last.pt")
    go_on()
    assert "last.pt is damaged" in (said := capsys.readouterr().err)
    assert "goes on from the checkpoint before it, at step 2" in said


def test_a_lost_checkpoint_is_no_reason_to_begin_anew(broken_off):
    work, go_on = broken_off
    (work / "last.pt").unlink()
    go_on()


def test_with_no_checkpoint_left_going_on_is_refused(broken_off):
    work, go_on = broken_off
    flip(work / "last.pt")
    flip(work / "previous.pt")
    with pytest.raises(UserError, match=r"last\.pt is damaged .* --resume never") as caught:
        go_on()
    assert "\n" not in str(caught.value)
    go_on(resume=False)


def test_a_good_checkpoint_is_not_replaced_by_a_damaged_one(broken_off):
    work, _ = broken_off
    flip(work / "last.pt")
    kept = (work / "previous.pt").read_bytes()
    identity = torch.load(work / "previous.pt", weights_only=True)["identity"]
    checkpoints = Checkpoints(work, json.loads(identity))
    state = checkpoints.load()
    checkpoints.save({**state, "step": 3})
    assert (work / "previous.pt").read_bytes() == kept
    assert checkpoints.load()["step"] == 3


@pytest.mark.parametrize("loss", ["gone", "shortened", "altered", "garbage"])
def test_a_lost_log_is_noticed_and_put_back(broken_off, loss, capsys):
    work, go_on = broken_off
    log = work / "metrics.csv"
    lines = log.read_text().splitlines(keepends=True)
    if loss == "gone":
        log.unlink()
    elif loss == "shortened":
        log.write_text("".join(lines[:3]))
    elif loss == "altered":
        log.write_text("".join([*lines[:2], lines[2].replace("1,", "1,9", 1), *lines[3:]]))
    else:
        log.write_bytes(b"\xff\xfe\0")
    go_on()
    assert "metrics.csv was lost or altered" in capsys.readouterr().err


def test_an_undisturbed_resumption_says_nothing(broken_off, capsys):
    _, go_on = broken_off
    capsys.readouterr()
    go_on()
    said = capsys.readouterr().err
    assert "lost" not in said
    assert "damaged" not in said


def test_a_checkpoint_is_of_the_moment_it_was_asked_for(tmp_path, monkeypatch):
    """Training goes on while it is written: neither waits for the other, and what comes after is not in it."""
    begin, real = threading.Event(), torch.save

    def late(*arguments):
        assert begin.wait(20)
        real(*arguments)

    monkeypatch.setattr(torch, "save", late)
    checkpoints = Checkpoints(tmp_path, {})
    weights, nested = torch.zeros(3), {"moments": [torch.zeros(2)]}
    torch.manual_seed(1)
    checkpoints.save_meanwhile({"step": 1, "weights": weights, "nested": nested})
    expected = torch.rand(1)
    weights.add_(1)
    nested["moments"][0].add_(1)
    checkpoints.check()
    assert not checkpoints.last.exists()
    begin.set()
    checkpoints.wait()
    state = Checkpoints(tmp_path, {}).load()
    assert state["step"] == 1
    assert state["weights"].tolist() == [0, 0, 0]
    assert state["nested"]["moments"][0].tolist() == [0, 0]
    assert torch.rand(1) == expected


@pytest.mark.parametrize("found_by", ["check", "wait", "save_meanwhile"])
def test_a_checkpoint_that_could_not_be_written_is_an_error_of_the_training(tmp_path, monkeypatch, found_by):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    monkeypatch.setattr(torch, "save", full)
    checkpoints = Checkpoints(tmp_path, {})
    checkpoints.save_meanwhile({"step": 1})
    while not checkpoints._writing.done():
        time.sleep(0.01)
    with pytest.raises(OSError, match="No space left"):
        getattr(checkpoints, found_by)(*([{"step": 2}] if found_by == "save_meanwhile" else []))
    checkpoints.wait()  # said once
