"""Where a result comes from: code version, package versions, machine and time, as plain values for a JSON file."""

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dad import __version__

PACKAGES = ("torch", "timm", "numpy", "accelerate", "diffusers", "transformers")


def git_state() -> tuple[str | None, bool | None]:
    """The commit of the source tree and whether tracked files differ from it; (None, None) outside a git checkout."""
    root = Path(__file__).parent.parent
    try:
        top, commit = subprocess.run(
            ["git", "rev-parse", "--show-toplevel", "HEAD"], cwd=root, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        if (
            Path(top).resolve() != root.resolve()
        ):  # installed into an environment that lies in another project's checkout
            return None, None
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None, None
    return commit, bool(status.stdout.strip())


def processor() -> str:
    """The CPU's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def provenance(device: str, started: datetime) -> dict[str, Any]:
    """Facts about this process: device in words, threads, versions, git commit, UTC times."""
    import torch

    commit, dirty = git_state()
    where = torch.cuda.get_device_name() if device.startswith("cuda") else processor()
    threads = torch.get_num_threads()
    versions = {"python": platform.python_version(), "dad": __version__}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "device": f"{device.split(':')[0]}, {where}"
        + ("" if device.startswith("cuda") else f", {threads} thread{'s' * (threads > 1)}"),
        "cpu_count": os.cpu_count(),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": versions,
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
