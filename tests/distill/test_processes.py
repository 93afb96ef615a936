"""Several processes train what one process trains; they are really started, end together, and may change in number."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from dad.distill.labels import compute_labels
from dad.distill.processes import accelerator_for, gathered
from dad.distill.train import cell_loss, train
from dad.errors import UserError
from dad.identity import read_sealed_json
from dad.models.checkpoints import load_network

SCRIPT = Path(__file__).parent / "two_processes.py"
TOGETHER = {"float64": 1e-6, "float32": 2e-6}
"""Relative L2 by the networks' type: two processes add sums in another order, which float32 rounds at 6e-8 a time."""


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("ACCELERATE", "MASTER"))} | {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def torchrun(*arguments):
    launcher = [
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-addr",
        "127.0.0.1",
        "--master-port",
        free_port(),
    ]
    return [sys.executable, *launcher, *map(str, arguments)]


def run(command, **options):
    return subprocess.run(
        list(map(str, command)), env=environment(), capture_output=True, text=True, timeout=240, **options
    )


def a_batch(patches):
    """Four images whose labels are trusted in very different shares, so that no mean of halves is the whole's."""
    g = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(4, 1, 6, 6, generator=g), size=(48, 48), mode="bicubic") + 1
    keep = torch.tensor([0.9, 0.2, 0.7, 0.05])[:, None, None, None]
    batch = {
        "square": torch.rand(4, 3, 48, 48, generator=g),
        "boxes": torch.tensor([[[0.0, 0.0, 48.0, 48.0], [20.0, 10.0, 68.0, 58.0]]]).repeat(4, 1, 1),
        "side": torch.full((4,), 70),
        "labels_square": smooth,
        "mask_square": torch.rand(4, 1, 48, 48, generator=g) < keep,
    }
    if patches:
        batch["labels_patches"] = torch.rand(4, 2, 1, 48, 48, generator=g) + smooth[:, None]
        batch["mask_patches"] = torch.rand(4, 2, 1, 48, 48, generator=g) < keep[:, None]
    return batch


@pytest.mark.parametrize("dtype", list(TOGETHER))
def test_two_processes_agree_with_one_at_every_step(cell, tmp_path, dtype):
    cross = cell.model_copy(update={"mode": "cross", "optim": cell.optim.model_copy(update={"batch": 4})})
    kind = getattr(torch, dtype)
    batch = a_batch(patches=True)
    batch["square"] = batch["square"].to(kind)
    network, frozen = load_network("zoo/vit-small")[0].to(kind), load_network("zoo/vit-small")[0].to(kind).eval()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    alone = []
    for step in range(4):
        torch.save(network.state_dict(), tmp_path / f"state-{step}.pt")
        optimizer.zero_grad()
        result = cell_loss(network, batch, cross, torch.no_grad()(frozen.encode))
        result.loss.backward()
        gradient = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
        alone.append((result.loss.item(), result.prediction.detach(), gradient))
        optimizer.step()
    assert alone[0][0] != alone[-1][0]
    (tmp_path / "cell.json").write_text(json.dumps(cross.model_dump(mode="json")))
    torch.save(batch, tmp_path / "batch.pt")
    done = run(torchrun(SCRIPT, tmp_path))
    assert done.returncode == 0, done.stderr
    for step, (loss, prediction, gradient) in enumerate(alone):
        found = torch.load(tmp_path / f"found-{step}.pt", weights_only=True)
        assert found["loss"].item() == pytest.approx(loss, rel=TOGETHER[dtype])
        assert torch.allclose(found["prediction"], prediction, rtol=1e-5, atol=1e-6)
        assert found["gradient"].keys() == gradient.keys()
        difference = sum((found["gradient"][name] - value).square().sum() for name, value in gradient.items()).sqrt()
        assert difference <= TOGETHER[dtype] * sum(value.square().sum() for value in gradient.values()).sqrt()


def test_without_other_processes_a_share_is_the_whole():
    share = torch.rand(2, 3, requires_grad=True)
    assert gathered(share) is share


def rows(path):
    with open(path) as file:
        # a place is empty where something is not measured at every step
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.fixture
def started(cell, manifest, tmp_path):
    """A cell's files, the arguments that train it, and its training in one process."""
    compute_labels(cell.label_plans["teacher"], manifest, "square", tmp_path / "labels" / "square")
    (tmp_path / "cell.json").write_text(json.dumps(cell.model_dump(mode="json")))

    def arguments(name):
        files = ["--cell", tmp_path / "cell.json", "--manifest", manifest, "--labels", tmp_path / "labels"]
        return ["train", *files, "--out", tmp_path / name, "--work", tmp_path / f"work-{name}"]

    return arguments


def test_the_log_of_two_is_the_log_of_one_and_the_number_may_change(cell, manifest, started, tmp_path):
    options = {"manifest": manifest, "labels": tmp_path / "labels"}
    train(cell, out=tmp_path / "one", work=tmp_path / "work-one", **options)

    class Interrupted(Exception):
        pass

    def stop(new_rows):
        if new_rows[-1]["step"] >= 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(cell, out=tmp_path / "both", work=tmp_path / "work-both", listeners=(stop,), **options)
    done = run(torchrun("-m", "dad", *started("both")))
    assert done.returncode == 0, done.stderr
    assert read_sealed_json(tmp_path / "both" / "provenance.json")["segments"] == [
        {"from": 0, "processes": 1},
        {"from": 2, "processes": 2},
    ]
    alone, both = rows(tmp_path / "one" / "metrics.csv"), rows(tmp_path / "both" / "metrics.csv")
    assert [row["step"] for row in both] == [row["step"] for row in alone]
    assert both[:2] == alone[:2]
    # the first step that two processes take starts from the same weights
    for name in ("loss", "loss_shared", "loss_gradient", "output_median", "output_mad", "output_zeros"):
        assert both[2][name] == pytest.approx(alone[2][name], rel=TOGETHER["float32"])
    assert both[2]["gradient_norm"] == pytest.approx(alone[2]["gradient_norm"], rel=5 * TOGETHER["float32"])
    # later ones do not: AdamW divides each gradient by its size, so one of rounding alone moves a weight by a full rate
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "both"))
    apart = (
        sum((one[key] - two[key]).square().sum() for key in one).sqrt()
        / sum(one[key].square().sum() for key in one).sqrt()
    )
    assert apart < 0.01


def test_accelerate_launch_on_a_cpu_starts_what_was_asked_for(started, tmp_path):
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    done = run([*launcher, "--main_process_port", free_port(), "-m", "dad", *started("launched")])
    assert done.returncode == 0, done.stderr
    assert "started one process of the 2 asked for" in done.stderr
    assert read_sealed_json(tmp_path / "launched" / "provenance.json")["processes"] == 2


def test_a_lost_process_ends_the_other_and_nothing_is_written(cell, manifest, started, tmp_path):
    long = cell.model_copy(update={"optim": cell.optim.model_copy(update={"steps": 4000})})
    online = long.model_copy(update={"labels": cell.labels.model_copy(update={"mode": "online"})})
    arguments = started("lost")
    (tmp_path / "cell.json").write_text(json.dumps(online.model_dump(mode="json")))
    command = list(map(str, torchrun("-m", "dad", *arguments)))
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "work-lost" / "last.pt").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None
    trainers = [
        child for child in psutil.Process(process.pid).children(recursive=True) if child.environ().get("RANK") == "1"
    ]
    trainers[0].send_signal(signal.SIGKILL)
    assert process.wait(timeout=90) != 0
    assert not (tmp_path / "lost").exists()


def test_batch_normalization_over_cpu_processes_is_refused(cell, monkeypatch):
    from dad.distill.processes import with_shared_statistics

    accelerator = accelerator_for("no")
    student = load_network("zoo/midas-small")[0]
    assert with_shared_statistics(student, accelerator) is student
    monkeypatch.setattr(type(accelerator), "num_processes", property(lambda self: 2))
    with pytest.raises(UserError, match="BatchNorm"):
        with_shared_statistics(student, accelerator)
    plain = load_network("zoo/vit-small")[0]
    assert with_shared_statistics(plain, accelerator) is plain


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_a_precision_the_device_lacks_is_refused():
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        accelerator_for("fp16")
