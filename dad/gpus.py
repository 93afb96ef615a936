"""One GPU per job: a job takes a free device by a lock, before anything of CUDA is imported, and keeps it until it
ends.

The workflow says how many a job asked for (DAD_GPUS, its resource `gpu`): none means the CPU. Without DAD_GPUS, as when
a person calls a verb, nothing is locked and `--device` decides. A device that a scheduler has given (SLURM sets
CUDA_VISIBLE_DEVICES for the job) is among those taken from, so one mechanism serves both.
"""

import contextlib
import getpass
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from dad.errors import UserError

ASKED = "DAD_GPUS"
"""How many devices this job may use; set by the workflow's rules."""
DEVICES = "DAD_GPU_DEVICES"
"""The devices there are, separated by commas, for tests and for machines where `nvidia-smi` cannot be asked."""
VISIBLE = "CUDA_VISIBLE_DEVICES"

_WAIT = 1.0
_SAY_AFTER = 5.0


def devices(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs that this process may choose from, as CUDA_VISIBLE_DEVICES names them; none where there are none."""
    for name in (DEVICES, VISIBLE):
        if name in environment:
            return [
                device.strip()
                for device in environment[name].split(",")
                if device.strip() not in ("", "-1", "NoDevFiles")
            ]
    return [line for line in _told("index") if line.isdigit()]


def memory_gib() -> float | None:
    """Memory of the smallest GPU of this machine in GiB; None where there is none that can be asked."""
    found = [int(line) / 1024 for line in _told("memory.total", "nounits") if line.isdigit()]
    return min(found, default=None)


def _told(what: str, *form: str) -> list[str]:
    """What the driver's program says of each GPU; nothing where there is no such program."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        query = [program, f"--query-gpu={what}", f"--format={','.join(('csv', 'noheader', *form))}"]
        told = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in told.splitlines()]


def lock_folder() -> Path:
    """Where the locks of this user on this machine are; several machines may share a home or a temporary folder."""
    user = re.sub(r"\W", "_", getpass.getuser())
    host = re.sub(r"[^\w.-]", "_", platform.node())
    return Path(tempfile.gettempdir()) / f"dad-gpus-{user}" / host


def take(count: int, available: list[str], *, folder: Path | None = None, patience: float | None = None) -> list[str]:
    """Lock `count` of the devices, waiting until so many are free, and return them; they are free again when this
    process ends.

    Raises UserError where there are not so many at all, or none became free within `patience` seconds (None: waits).
    """
    if count > len(available):
        raise UserError(
            f"this job asks for {count} GPUs (resource gpu), this machine has {len(available)}: ask for fewer, e.g. "
            f"--set-resources train:gpu={len(available)}"
        )
    folder = folder or lock_folder()
    folder.mkdir(parents=True, exist_ok=True)
    begun, said = time.monotonic(), False
    while True:
        held: list[FileLock] = []
        taken: list[str] = []
        for device in available:
            lock = FileLock(folder / f"{re.sub(r'[^A-Za-z0-9.-]', '_', device)}.lock")
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                held.append(lock)
                taken.append(device)
            if len(taken) == count:
                _HELD.extend(held)
                return taken
        for lock in held:  # too few: two jobs that each held some and waited for more would wait for ever
            lock.release()
        waited = time.monotonic() - begun
        if patience is not None and waited >= patience:
            raise UserError(
                f"no {count} of the GPUs {', '.join(available)} became free within {patience:.0f} s (locks: {folder})"
            )
        if waited >= _SAY_AFTER and not said:
            print(
                f"waiting for {count} free of the GPUs {', '.join(available)} (locks: {folder})",
                file=sys.stderr,
                flush=True,
            )
            said = True
        time.sleep(_WAIT if patience is None else min(_WAIT, 0.05))


_HELD: list[FileLock] = []
"""Locks of this process; the system lets go of them when it ends, however it ends."""


def take_those_asked_for(run: Callable[[list[str]], int] | None = None) -> int | None:
    """Give this process the devices that its job asked for (see `ASKED`), before torch is imported.

    Where a training asked for several, they are locked here and torchrun is started on them; its exit code is returned
    when it has ended, and the caller has nothing left to do. None: go on in this process. `run` replaces the start, for
    tests.
    """
    asked = os.environ.get(ASKED)
    if asked is None or "LOCAL_RANK" in os.environ or "RANK" in os.environ:
        return None
    if not asked.isdigit():
        raise UserError(f"{ASKED} is {asked!r}: a number of GPUs is needed, 0 for none")
    count = int(asked)
    available = devices()
    if count and not available:
        # asked for on a machine without any, as on the submitting host of a cluster: the CPU does it, slowly
        print(f"this job asks for GPUs ({count}) and this machine has none: it runs on the CPU", file=sys.stderr)
        count = 0
    os.environ[VISIBLE] = ",".join(take(count, available)) if count else ""
    if count > 1 and sys.argv[1:2] == ["train"]:
        return (run or _torchrun)(["--nproc-per-node", str(count), "-m", "dad", *sys.argv[1:]])
    return None


def _torchrun(arguments: list[str]) -> int:
    """Start torchrun as a child, which keeps the locks here; signals that end a job are handed on."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", *arguments]
    child = subprocess.Popen(command)
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError):
            signal.signal(number, lambda given, _frame: child.send_signal(given))
    return child.wait()
