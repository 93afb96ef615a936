"""The paper's study rehearsed without the paper's data: stand-ins of the official formats, then `config/paper.yaml` at two steps.

    python benchmarks/rehearsal.py [--report FILE] FOLDER [WORDS]

Writes into FOLDER weights (the official files' keys and shapes, random values), two SA-1B shards of photos at 1500x2250, the
five benchmarks in their official layouts, and `rehearsal.yaml`: the paper's study with 2 steps, batch 1 and counts of a few photos.
Where the paper has ViT-L the small member of the family stands, except in one row of the sweep over architectures. Then Snakemake
runs with WORDS (targets, --dry-run, ...; by default everything), and its benchmark files tell time and peak memory of each stage.

Every number that comes out of random weights is meaningless; what is rehearsed is that nothing stops.
"""

import argparse
import csv
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dad.files import write_text
from dad.models import build
from dad.study.base import read_yaml

ROOT = Path(__file__).resolve().parents[1]
SMALL, LARGE = "depth-anything-v2-small", "depth-anything-v2-large"
NETWORKS = {
    SMALL: "depth_anything_v2_vits.pth",
    LARGE: "depth_anything_v2_vitl.pth",
    "midas-v2.1-small-256": "midas_v21_small_256.pt",
}


def write_weights(folder: Path) -> dict[str, str]:
    """Random weights under the official names; the map `weights:` of the study."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    files = {}
    for name, file in NETWORKS.items():
        path = (folder / file).resolve()
        files[name] = str(path)
        if path.exists():
            continue
        network = build(name)
        with torch.no_grad():
            network.last_bias.add_(2.0)  # a random map that is positive
        torch.save({key: value.clone() for key, value in network.official_state().items()}, path)
    return files


def picture(rng: np.random.Generator, height: int, width: int) -> tuple[Image.Image, np.ndarray]:
    """Smooth random colours with edges, and a depth (H,W) in metres from 1 to 9."""
    coarse = Image.fromarray(rng.integers(0, 255, (9, 13, 3), dtype=np.uint8))
    ramp = np.linspace(9, 1, height, dtype=np.float32)[:, None] + rng.random((1, width), dtype=np.float32) * 0.1
    return coarse.resize((width, height), Image.Resampling.BICUBIC), np.broadcast_to(ramp, (height, width))


def write_photos(folder: Path, rng: np.random.Generator, shards: int = 2, photos: int = 6) -> None:
    """SA-1B as it is published: flat tars of JPEG and JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        with tarfile.open(folder / f"sa_{shard:06d}.tar", "w") as tar:
            for number in range(photos):
                name, size = f"./sa_{shard * photos + number + 1}", (1500, 2250) if number % 3 else (2250, 1500)
                data = io.BytesIO()
                picture(rng, *size)[0].save(data, "JPEG", quality=92)
                for suffix, content in ((".jpg", data.getvalue()), (".json", json.dumps({"annotations": []}).encode())):
                    member = tarfile.TarInfo(name + suffix)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def write_benchmarks(folder: Path, rng: np.random.Generator) -> None:
    """Two images of each of the five, in the layouts that `dad.data.benchmarks` reads."""

    def save(path: Path, image: Image.Image) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)

    def png16(path: Path, depth: np.ndarray, steps: int) -> None:
        save(path, Image.fromarray(np.clip(np.rint(depth * steps), 0, 65535).astype(np.uint16)))

    for number in (1, 2):
        rgb, depth = picture(rng, 480, 640)
        base = folder / "nyuv2" / "test" / f"kitchen_{number:04d}"
        save(base / f"rgb_{number:04d}.png", rgb)
        png16(base / f"depth_{number:04d}.png", depth, 1000)
        png16(base / f"filled_{number:04d}.png", depth, 1000)

        rgb, depth = picture(rng, 375, 1242)
        drive = f"2011_09_26_drive_{number:04d}_sync"
        save(folder / "kitti" / "2011_09_26" / drive / "image_02" / "data" / f"{number:010d}.png", rgb)
        png16(folder / "kitti" / "val" / drive / "proj_depth" / "groundtruth" / "image_02" / f"{number:010d}.png", depth, 256)

        rgb, depth = picture(rng, 4032, 6048)
        save(folder / "eth3d" / f"scene{number}" / "images" / "dslr_images" / f"DSC_{number:04d}.JPG", rgb)
        path = folder / "eth3d" / f"scene{number}" / "ground_truth_depth" / "dslr_images" / f"DSC_{number:04d}.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(np.where(rng.random(depth.shape) < 0.5, depth, np.inf).astype("<f4").tobytes())

        rgb, depth = picture(rng, 968, 1296)
        scene = folder / "scannet" / "scans" / f"scene{number:04d}_00"
        save(scene / "color" / f"{100 * number}.jpg", rgb)
        png16(scene / "depth" / f"{100 * number}.png", picture(rng, 480, 640)[1], 1000)

        rgb, depth = picture(rng, 768, 1024)
        scan = folder / "diode" / "val" / ("indoors" if number == 1 else "outdoor") / f"scene_{number:05d}" / f"scan_{number:05d}"
        stem = f"{number:05d}_{'indoors' if number == 1 else 'outdoor'}_000_010"
        save(scan / f"{stem}.png", rgb)
        np.save(scan / f"{stem}_depth.npy", depth[..., None].astype(np.float32))
        np.save(scan / f"{stem}_depth_mask.npy", np.ones(depth.shape))


def rehearsed(folder: Path, weights: dict[str, str]) -> dict[str, Any]:
    """The paper's study at the size of a rehearsal."""
    study = read_yaml(ROOT / "config" / "paper.yaml")
    data = (folder / "data").resolve()
    study |= {"name": "rehearsal", "description": "stand-ins with random weights: its numbers mean nothing", "weights": weights}
    study |= {"teacher": SMALL, "student": study["student"] | {"model": SMALL}, "scaling": [2, 4]}
    study["photos"] = study["photos"] | {"root": str(data / "sa1b"), "count": 4}
    study["architectures"] = {
        "da-l": {"model": LARGE},
        "da-s": {"model": SMALL},
        "midas-s": study["architectures"]["midas-s"],
    }
    study["assistant"] = study["assistant"] | {"model": "zoo/genpercept"}
    study["estimators"] = dict.fromkeys(study["estimators"])
    study["optim"] = study["optim"] | {"steps": 2, "batch": 1, "precision": "no"}
    # DINOv2 itself would be asked of timm's hub
    study["loss"] = {key: value for key, value in study["loss"].items() if key != "feature_encoder"}
    study["labels"] = study["labels"] | {"precision": "no"}
    study["benchmarks"] = [one | {"root": str(data / Path(one["root"]).relative_to("data"))} for one in study["benchmarks"]]
    return study


def stages(folder: Path) -> Iterator[dict[str, float | str]]:
    """Of each stage the number of jobs, their seconds together and the longest, and the largest memory, from Snakemake's files."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in sorted((folder / "results" / "rehearsal" / "benchmarks.tsv").rglob("*.tsv")):
        stage = path.name.split("-")[0].removesuffix(".tsv")
        for row in csv.DictReader(path.read_text().splitlines(), delimiter="\t"):
            memory = row["max_rss"]
            found.setdefault(stage, []).append((float(row["s"]), float(memory) if memory not in ("-", "NA") else 0.0))
    for stage, jobs in found.items():
        yield {
            "stage": stage,
            "jobs": len(jobs),
            "seconds": round(sum(seconds for seconds, _ in jobs)),
            "longest": round(max(seconds for seconds, _ in jobs)),
            "GiB": round(max(memory for _, memory in jobs) / 1024, 2),
        }


def main() -> int:
    """Write what is missing, run the targets, report."""
    parser = argparse.ArgumentParser(description="Rehearse the paper's study with stand-ins.")
    parser.add_argument("--report", type=Path, help="write time and memory of each stage into this file, too")
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="given to Snakemake")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    weights = write_weights(folder / "weights")
    rng = np.random.default_rng(0)
    if not (folder / "data").exists():
        write_photos(folder / "data" / "sa1b", rng)
        write_benchmarks(folder / "data", rng)
    write_text(folder / "rehearsal.yaml", json.dumps(rehearsed(folder, weights), indent=1))
    command = [sys.executable, "-m", "snakemake", *arguments.words, "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    command += ["--directory", str(folder), "--configfile", str(folder / "rehearsal.yaml"), "--resources", "gpu=0"]
    command += ["--set-resources", "train:gpu=0", "label:gpu=0", "evaluate:gpu=0"]
    code = subprocess.run(command, check=False).returncode
    lines = ["| stage | jobs | seconds together | longest | peak GiB |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(str(value) for value in stage.values())} |" for stage in stages(folder)]
    print("\n".join(lines))
    if arguments.report:
        write_text(arguments.report, "\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
