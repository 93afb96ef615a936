"""Whatever happens, a command says it in one line with its exit code; tracebacks are for those who ask."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dad import cli, faults
from dad.errors import CollapseError, UserError
from dad.files import atomic_path


def _raise(error):
    raise error


def _worker_error():
    lines = [
        "Caught UserError in DataLoader worker process 0.",
        "Original Traceback (most recent call last):",
        "  File x",
        "dad.errors.UserError: photo a is gone",
    ]
    return UserError("\n".join(lines))


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("give\nanother"), 2, "give another"),
        (_worker_error(), 2, "photo a is gone"),
        (CollapseError("dead"), 3, "training stopped: dead"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 2, "out of memory"),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: you tried 9"
            ),
            2,
            "out of memory",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 2, "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "x/a.npy"), 2, "x/a.npy: the disk is full"),
        (OSError(errno.ENOSPC, "No space left on device", "x/.dad-0-1-2-3.tmp.npy"), 2, "x: the disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "x"), 2, "x: this file system is read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 2, "x: permission denied"),
        (FileExistsError(errno.EEXIST, "File exists", "x"), 2, "x: it exists already"),
        (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), 2, "the disk is full"),
        (ModuleNotFoundError("No module named 'mlflow'", name="mlflow"), 2, "the package mlflow is needed"),
        (RecursionError("maximum recursion depth exceeded"), 2, "what was given is nested too deeply"),
    ],
)
def test_every_error_is_one_line(error, code, said, capsys):
    assert faults.run(lambda: _raise(error)) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"dad: {said}")
    assert len(told.err.splitlines()) == 1


def test_a_mistake_of_ours_is_called_one_and_its_traceback_is_kept(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert faults.run(lambda: _raise(KeyError("here"))) == 1
    told = capsys.readouterr().err
    assert re.fullmatch(
        r"dad: a mistake in dad, not in what you gave: KeyError: 'here'; its traceback is in \S+: please report it\n",
        told,
    )
    (kept,) = tmp_path.iterdir()
    assert str(kept) in told
    assert "Traceback" in kept.read_text()
    monkeypatch.setenv("DAD_DEBUG", "1")
    assert faults.run(lambda: _raise(UserError("this"))) == 2
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert told.endswith("dad: this\n")


def test_a_module_of_ours_that_is_missing_is_our_mistake(capsys):
    assert faults.explain(ModuleNotFoundError("No module named 'dad.moon'", name="dad.moon"))[0] == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_writer_that_hides_a_full_disk_is_seen_through(tmp_path, monkeypatch):
    def full(folder, cause):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from cause

    monkeypatch.setattr("dad.files._require_room", full)
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(tmp_path / "a.npy"):
        raise OSError("4096 requested and 0 written")  # numpy's words, without a number
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
    with open("/dev/full", "w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "dad", "matrix"], stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_name_that_the_terminal_cannot_show_is_escaped(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dad", "matrix", "--config", str(tmp_path / "é.yaml")],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode == 2
    assert rb"\xe9.yaml" in done.stderr


@pytest.mark.parametrize("device", ["gpu0", "x", "cuda:99", "cpu:7", "meta", ""])
def test_a_device_that_is_not_there_is_refused(device, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    assert (
        cli.main(
            [
                "predict",
                str(tmp_path / "a.png"),
                "--model",
                "zoo/vit-small",
                "--out",
                str(tmp_path / "o"),
                "--device",
                device,
            ]
        )
        == 2
    )
    assert re.fullmatch(r"dad: --device .* is (no device|not there): .*\n", capsys.readouterr().err)
    assert not (tmp_path / "o").exists()
