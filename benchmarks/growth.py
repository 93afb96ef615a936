"""How time and memory grow with photos, image size, patches and cells, on the CPU.

    OMP_NUM_THREADS=1 python benchmarks/growth.py [manifest start size patches plan]

Every measurement is a command in a process of its own: its CPU seconds and the peak of its memory, with whatever it
starts, its imports included (the first line of each table shows about what those take). Photos are noise; what is
learnt does not matter.

manifest: `dad data manifest --count 50` of one tar of N photos. start: `dad train`, one step of 8 photos, with a
manifest of N. size: four steps of 8 crops of S x S pixels. patches: four local-global steps of 8 crops of 112 pixels
with N patches each. plan: `snakemake --dry-run` for a table of N cells.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dad.reading import read_yaml

ROOT = Path(__file__).parents[1]
DAD = [sys.executable, "-m", "dad"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def measured(command: list[str]) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of a command and of what it starts and waits for."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=ENVIRONMENT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(said.read().decode(errors="replace"))
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def archive(root: Path, count: int) -> Path:
    """A tar of `count` JPEGs, all of the same noise."""
    folder = root / f"photos-{count}"
    if folder.is_dir():
        return folder
    folder.mkdir()
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)).save(buffer, "JPEG")
    with tarfile.open(folder / "photos.tar", "w") as tar:
        for number in range(count):
            member = tarfile.TarInfo(f"{number:07d}.jpg")
            member.size = len(buffer.getvalue())
            tar.addfile(member, io.BytesIO(buffer.getvalue()))
    return folder


def manifest(root: Path, count: int, *options: str) -> list[str]:
    """The command that lists that many photos, or some of them."""
    return [*DAD, "data", "manifest", str(archive(root, count)), "--out", str(root / f"{count}.jsonl"), *options]


def training(root: Path, name: str, count: int, *, mode: str = "shared", crop: dict[str, int], steps: int) -> list[str]:
    """The command that trains a student, with a manifest of `count` photos that is made here if need be."""
    if not (root / f"{count}.jsonl").is_file():
        subprocess.run(manifest(root, count), check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    cell = {
        "mode": mode,
        "normalization": "hybrid",
        "teacher": "zoo/vit-large",
        "student": {"model": "zoo/vit-small", "init": "full"},
        "photos": {"source": "folder", "root": str(archive(root, count))},
        "crop": {"size": 112, "min_crop": 390, "patches": 2} | crop,
        "optim": {"steps": steps, "batch": 8, "encoder_rate": 1e-5, "head_rate": 1e-4},
        "labels": {"mode": "online"},
        "seed": 0,
    }
    places = ["--out", str(root / "runs" / name), "--work", str(root / "work" / name)]
    return [*DAD, "train", "--cell", json.dumps(cell), "--manifest", str(root / f"{count}.jsonl"), *places]


def plan(root: Path, cells: int) -> list[str]:
    """Snakemake's command for a table of that many cells of the study mini."""
    weights = [number / 1000 for number in range(1, cells // 4 + 1)]
    grid = {"loss.local_global": weights, "normalization": ["global", "none", "local", "hybrid"]}
    table = {"title": "Many cells", "grid": grid, "base": {"mode": "cross"}}
    study = read_yaml(ROOT / "config" / "mini.yaml") | {"name": "growth", "tables": {"many": table}}
    (root / f"{cells}.json").write_text(json.dumps(study))
    words = ["reports/growth/many.csv", "--dry-run", "--cores", "1", "--configfile", str(root / f"{cells}.json")]
    return [sys.executable, "-m", "snakemake", *words, "--snakefile", str(ROOT / "Snakefile"), "--directory", str(root)]


MEASUREMENTS: dict[str, tuple[str, tuple[int, ...], Callable[[Path, int], list[str]]]] = {
    "manifest": (
        "photos in a tar, of which 50 are listed",
        (100, 1000, 10000),
        lambda root, n: manifest(root, n, "--count", "50"),
    ),
    "start": (
        "photos in the manifest, one step",
        (100, 1000, 10000),
        lambda root, n: training(root, f"start-{n}", n, crop={}, steps=1),
    ),
    "size": (
        "pixels of a crop's side, four steps",
        (64, 128, 256, 384),
        lambda root, n: training(root, f"size-{n}", 100, crop={"size": n}, steps=4),
    ),
    "patches": (
        "patches a square, four local-global steps",
        (1, 2, 4, 8),
        lambda root, n: training(root, f"patches-{n}", 100, mode="local-global", crop={"patches": n}, steps=4),
    ),
    "plan": ("cells of a table, planned", (4, 40, 400), plan),
}


def main() -> None:
    """Measure and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=[[], *MEASUREMENTS], help="which (default: all)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.what or MEASUREMENTS:
            title, numbers, command = MEASUREMENTS[name]
            print(f"{name}: {title}")
            for number in numbers:
                seconds, peak = measured(command(Path(folder), number))
                print(f"{number:>8}  {seconds:7.1f} s  {peak:6.0f} MB", flush=True)


if __name__ == "__main__":
    main()
