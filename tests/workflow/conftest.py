"""The miniature study and how the project's own Snakefile is called on it in another folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]

TINY = {
    "name": "tiny",
    "description": "a miniature for the tests",
    "seeds": [0],
    "teacher": "zoo/vit-large",
    "assistant": {"model": "zoo/genpercept", "share": 0.6},
    "student": {"model": "zoo/vit-small", "init": "encoder"},
    "architectures": {
        "da-l": {"model": "zoo/vit-large"},
        "da-s": {"model": "zoo/vit-small"},
        "midas-l": {"model": "zoo/midas-large", "feature": False},
        "midas-s": {"model": "zoo/midas-small", "size": 64, "feature": False},
    },
    "photos": {
        "source": "scenes",
        "kinds": ["indoor", "outdoor"],
        "count": 4,
        "seed": 100000,
        "height": 72,
        "width": 96,
    },
    "scaling": [2, 4],
    "crop": {"size": 48, "min_crop": 64, "patches": 2, "flip": True},
    "optim": {"steps": 3, "batch": 2, "encoder_rate": 1e-4, "head_rate": 1e-3, "warmup": 1, "checkpoint_every": 2},
    "benchmarks": [
        {"dataset": "scenes-indoor", "count": 5, "seed": 500000, "height": 48, "width": 64, "stands_for": "ETH3D"},
        {"dataset": "scenes-outdoor", "count": 5, "seed": 500000, "height": 48, "width": 64, "stands_for": "DIODE"},
        {"dataset": "scenes-indoor-b", "count": 5, "seed": 600000, "height": 48, "width": 64, "stands_for": "NYUv2"},
    ],
}


def snakemake(folder: Path, *arguments: str, check: bool = True) -> str:
    """Call the project's Snakefile in another folder; its output."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "study.yaml"), "--cores", "2", "--rerun-incomplete", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    if check and done.returncode:
        logs = "\n".join(
            f"{log}:\n{log.read_text()[-1500:]}" for log in folder.rglob("*.log") if ".snakemake" not in str(log)
        )
        raise AssertionError(f"{done.stderr[-3000:]}\n{logs[-6000:]}")
    return done.stdout + done.stderr


def write_study(folder: Path, **changes) -> None:
    """Write the miniature study, changed, into a folder."""
    (folder / "study.yaml").write_text(json.dumps(TINY | changes))


def planned(output: str) -> dict[str, int]:
    """Rule -> jobs of a dry run."""
    pairs = [words for line in output.splitlines() if len(words := line.split()) == 2]
    return {rule: int(jobs) for rule, jobs in pairs if rule.isidentifier() and jobs.isdigit()}


@pytest.fixture(scope="session")
def tiny():
    """The functions and the study above."""
    return SimpleNamespace(snakemake=snakemake, write_study=write_study, planned=planned, TINY=TINY)
