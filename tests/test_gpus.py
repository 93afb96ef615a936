"""One GPU per job, without one: the list of devices is made up, the locks are real."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dad import gpus
from dad.errors import UserError

ROOT = Path(__file__).parents[1]
HOLD = """
import sys, os, time
from dad import gpus
code = gpus.take_those_asked_for()
print(os.environ["CUDA_VISIBLE_DEVICES"], "torch" in sys.modules, flush=True)
time.sleep(float(sys.argv[1]))
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of three GPUs with a folder of locks of its own."""
    for name in ("CUDA_VISIBLE_DEVICES", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(gpus.tempfile, "tempdir", None)
    monkeypatch.setenv("DAD_GPU_DEVICES", "0,1,2")
    monkeypatch.setattr(gpus, "_HELD", [])
    return tmp_path


def job(asked: int, seconds: float) -> subprocess.Popen:
    """A process that takes its devices, says which, and holds them."""
    environment = os.environ | {"DAD_GPUS": str(asked), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_jobs_at_the_same_time_have_different_devices(machine):
    jobs = [job(1, 20) for _ in range(3)]
    try:
        taken = [one.stdout.readline().split() for one in jobs]
    finally:
        for one in jobs:
            one.kill()
            one.communicate()
    assert sorted(device for device, _ in taken) == ["0", "1", "2"]
    assert {torch for _, torch in taken} == {"False"}


def test_a_job_waits_for_a_device_and_gets_the_one_that_is_freed_even_by_a_kill(machine, monkeypatch):
    monkeypatch.setenv("DAD_GPU_DEVICES", "5")
    first = job(1, 60)
    assert first.stdout.readline().split()[0] == "5"
    second = job(1, 0)
    time.sleep(1.5)
    assert second.poll() is None
    first.kill()
    first.communicate()
    assert second.communicate(timeout=30)[0].split()[0] == "5"


def test_several_devices_are_taken_together_or_not_at_all(machine):
    assert gpus.take(2, ["0", "1", "2"], patience=0) == ["0", "1"]
    with pytest.raises(UserError, match="no 2 of the GPUs 0, 1, 2 became free"):
        gpus.take(2, ["0", "1", "2"], patience=0)
    # the one that was free meanwhile was let go of
    assert gpus.take(1, ["0", "1", "2"], patience=0) == ["2"]


def test_more_devices_than_there_are_are_refused(machine):
    with pytest.raises(UserError, match="asks for 4 GPUs .* this machine has 3"):
        gpus.take(4, ["0", "1", "2"])


def test_a_job_that_asked_for_none_sees_none(machine, monkeypatch):
    monkeypatch.setenv("DAD_GPUS", "0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    assert gpus.take_those_asked_for() is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_a_person_who_calls_a_verb_is_left_alone(machine, monkeypatch):
    monkeypatch.delenv("DAD_GPUS", raising=False)
    assert gpus.take_those_asked_for() is None
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_machine_without_gpus_does_it_on_the_cpu(machine, monkeypatch, capsys):
    monkeypatch.setenv("DAD_GPU_DEVICES", "")
    monkeypatch.setenv("DAD_GPUS", "1")
    assert gpus.take_those_asked_for() is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert "runs on the CPU" in capsys.readouterr().err


def test_devices_of_the_scheduler_are_the_ones_to_choose_from(monkeypatch):
    assert gpus.devices({"CUDA_VISIBLE_DEVICES": "2, GPU-3a,"}) == ["2", "GPU-3a"]
    assert gpus.devices({"CUDA_VISIBLE_DEVICES": ""}) == gpus.devices({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    assert gpus.devices({"CUDA_VISIBLE_DEVICES": "2", "DAD_GPU_DEVICES": "7"}) == ["7"]


def test_devices_are_asked_of_the_driver(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0\necho 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert gpus.devices({}) == ["0", "1"]
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert gpus.devices({}) == []


def test_a_training_on_several_devices_is_started_by_torchrun(machine, monkeypatch):
    monkeypatch.setenv("DAD_GPUS", "2")
    monkeypatch.setattr(gpus.sys, "argv", ["dad", "train", "--cell", "a b"])
    started = []
    assert gpus.take_those_asked_for(lambda arguments: started.append(arguments) or 7) == 7
    assert started == [["--nproc-per-node", "2", "-m", "dad", "train", "--cell", "a b"]]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    # the processes that torchrun starts are on devices that are theirs already
    monkeypatch.setenv("RANK", "1")
    assert gpus.take_those_asked_for(lambda arguments: started.append(arguments)) is None
    assert len(started) == 1


def test_what_is_no_number_of_gpus_is_refused(machine, monkeypatch):
    monkeypatch.setenv("DAD_GPUS", "some")
    with pytest.raises(UserError, match="DAD_GPUS is 'some'"):
        gpus.take_those_asked_for()
