"""The paper's study rehearsed without the paper's data: stand-ins of the official formats, then `config/paper.yaml` at
two steps.

    python benchmarks/rehearsal.py [--report FILE] FOLDER [WORDS]

Writes into FOLDER weights (the official files' keys and shapes, random values), two SA-1B shards of photos at
1500x2250, the five benchmarks in their official layouts, and `rehearsal.yaml`: the paper's study with 2 steps, batch 1
and counts of a few photos. Then Snakemake runs with WORDS (targets, --dry-run, ...; by default everything). A second
call goes on where the first stopped.

Every table, figure, sheet and the page is made by the code, the formats and the ways of the paper's study. What only
takes time is small: the zoo's networks stand for ViT-L and GenPercept, so that a minute of CPU is not spent on each
map. The official networks have their turn where one is enough: DA-S and MiDaS-S of Table 3, and a table of its own with
ViT-L as teacher at 560 pixels.

Every process writes what it took as it ends, from which time and peak memory of each stage are told. Every number that
comes out of random weights is meaningless; what is rehearsed is that nothing stops.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dad.files import write_text
from dad.models import build
from dad.study.base import read_yaml

ROOT = Path(__file__).resolve().parents[1]
SMALL, LARGE, MIDAS = "depth-anything-v2-small", "depth-anything-v2-large", "midas-v2.1-small-256"
NETWORKS = {
    SMALL: "depth_anything_v2_vits.pth",
    LARGE: "depth_anything_v2_vitl.pth",
    MIDAS: "midas_v21_small_256.pt",
}
IMAGES = {"eth3d": 1}
"""Stand-in images of a benchmark, where not two: one of ETH3D's has 24 million pixels."""
USED = """import atexit, hashlib, json, os, resource, sys, time

_began = time.time()


def _note():
    own = resource.getrusage(resource.RUSAGE_SELF)
    words = sys.orig_argv[1:]
    facts = {"words": words, "wall": time.time() - _began, "cpu": own.ru_utime + own.ru_stime, "kib": own.ru_maxrss}
    name = hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]
    with open(os.path.join(os.environ["REHEARSAL_USED"], name + ".json"), "w") as file:
        json.dump(facts, file)


atexit.register(_note)
"""
"""A `sitecustomize.py`: Snakemake samples memory and time, and misses a short job's end; a process knows its own."""


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


def write_photos(folder: Path, rng: np.random.Generator, shards: int = 2, photos: int = 3) -> None:
    """SA-1B as it is published: flat tars of JPEG and JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        with tarfile.open(folder / f"sa_{shard:06d}.tar", "w") as tar:
            for number in range(photos):
                name, size = f"./sa_{shard * photos + number + 1}", (1500, 2250) if number % 3 else (2250, 1500)
                data = BytesIO()
                picture(rng, *size)[0].save(data, "JPEG", quality=92)
                for suffix, content in ((".jpg", data.getvalue()), (".json", json.dumps({"annotations": []}).encode())):
                    member = tarfile.TarInfo(name + suffix)
                    member.size = len(content)
                    tar.addfile(member, BytesIO(content))


def write_benchmarks(folder: Path, rng: np.random.Generator) -> None:
    """Two images of each of the five, or as IMAGES says, in the layouts that `dad.data.benchmarks` reads."""

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
        png16(
            folder / "kitti" / "val" / drive / "proj_depth" / "groundtruth" / "image_02" / f"{number:010d}.png",
            depth,
            256,
        )

        rgb, depth = picture(rng, 968, 1296)
        scene = folder / "scannet" / "scans" / f"scene{number:04d}_00"
        save(scene / "color" / f"{100 * number}.jpg", rgb)
        png16(scene / "depth" / f"{100 * number}.png", picture(rng, 480, 640)[1], 1000)

        rgb, depth = picture(rng, 768, 1024)
        scan = (
            folder
            / "diode"
            / "val"
            / ("indoors" if number == 1 else "outdoor")
            / f"scene_{number:05d}"
            / f"scan_{number:05d}"
        )
        stem = f"{number:05d}_{'indoors' if number == 1 else 'outdoor'}_000_010"
        save(scan / f"{stem}.png", rgb)
        np.save(scan / f"{stem}_depth.npy", depth[..., None].astype(np.float32))
        np.save(scan / f"{stem}_depth_mask.npy", np.ones(depth.shape))

    for number in range(1, IMAGES["eth3d"] + 1):
        rgb, depth = picture(rng, 4032, 6048)
        save(folder / "eth3d" / f"scene{number}" / "images" / "dslr_images" / f"DSC_{number:04d}.JPG", rgb)
        path = folder / "eth3d" / f"scene{number}" / "ground_truth_depth" / "dslr_images" / f"DSC_{number:04d}.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(np.where(rng.random(depth.shape) < 0.5, depth, np.inf).astype("<f4").tobytes())


def rehearsed(folder: Path, weights: dict[str, str]) -> dict[str, Any]:
    """The paper's study at the size of a rehearsal."""
    study = read_yaml(ROOT / "config" / "paper.yaml")
    data = (folder / "data").resolve()
    study |= {
        "name": "rehearsal",
        "description": "stand-ins with random weights: its numbers mean nothing",
        "weights": weights,
    }
    study |= {"teacher": "zoo/vit-large", "student": study["student"] | {"model": "zoo/vit-small"}, "scaling": [2, 4]}
    study["assistant"] = study["assistant"] | {"model": "zoo/genpercept"}
    study["photos"] = study["photos"] | {"root": str(data / "sa1b"), "count": 4}
    # the networks' own size; the crops are cut from the photos as large as the paper's
    study["crop"] = study["crop"] | {"size": 112, "patches": 2}
    study["architectures"] = {
        "da-l": {"model": "zoo/vit-large"},
        "da-s": {"model": SMALL},
        "midas-l": study["architectures"]["midas-l"] | {"model": "zoo/midas-large"},
        "midas-s": study["architectures"]["midas-s"] | {"model": MIDAS, "size": 128},
    }
    study["estimators"] = dict.fromkeys(study["estimators"]) | {"midas": MIDAS}
    study["optim"] = study["optim"] | {"steps": 2, "batch": 1, "checkpoint_every": 1}
    # DINOv2 itself would be asked of timm's hub
    study["loss"] = {key: value for key, value in study["loss"].items() if key != "feature_encoder"}
    study["benchmarks"] = [
        one | {"root": str(data / Path(one["root"]).relative_to("data"))} for one in study["benchmarks"]
    ]
    study["protocols"] = study["protocols"][:2]
    study["tables"] = {
        "vit-l": {
            "title": "ViT-L as the teacher of ViT-S, at 560 pixels",
            "grid": {"teacher": [LARGE]},
            "base": {"student.model": SMALL, "crop.size": 560, "crop.patches": 1},
        }
    }
    return study


def stage(words: list[str]) -> str | None:
    """What a process was there for, by its command line; None for one that is no stage."""
    if words[:2] != ["-m", "dad"]:
        return "Snakemake" if words[:2] == ["-m", "snakemake"] else None
    words = words[2:]
    if words[0] == "figure":
        return "sheet" + (" with ViT-L" if "vit-l" in words else "") if words[1] == "contact-sheet" else "figure"
    if words[0] == "train":
        return "training" + (f" {LARGE} to {SMALL}, 560 pixels" if any(LARGE in word for word in words) else "")
    return " ".join(words[: 2 if words[0] in ("data", "track") else 1])


def stages(folder: Path) -> Iterator[dict[str, float | str]]:
    """Of each stage the number of processes, their CPU seconds together and of the longest, and the largest memory."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((folder / "used").glob("*.json")):
        facts = json.loads(path.read_text())
        if name := stage(facts["words"]):
            found.setdefault(name, []).append(facts)
    for name, processes in sorted(found.items(), key=lambda item: -sum(one["cpu"] for one in item[1])):
        yield {
            "stage": name,
            "processes": len(processes),
            "CPU seconds": round(sum(one["cpu"] for one in processes)),
            "longest": round(max(one["cpu"] for one in processes), 1),
            "GiB": round(max(one["kib"] for one in processes) / 2**20, 2),
        }


def main() -> int:
    """Write what is missing, run the targets, report."""
    parser = argparse.ArgumentParser(description="Rehearse the paper's study with stand-ins.")
    parser.add_argument("--report", type=Path, help="write time and memory of each stage into this file, too")
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="given to Snakemake")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    weights = write_weights(folder / "weights")
    rng = np.random.default_rng(0)
    if not (folder / "data" / "complete").exists():
        write_photos(folder / "data" / "sa1b", rng)
        write_benchmarks(folder / "data", rng)
        write_text(folder / "data" / "complete", "")
    write_text(folder / "rehearsal.yaml", json.dumps(rehearsed(folder, weights), indent=1))
    write_text(folder / "used" / "sitecustomize.py", USED)
    paths = [str(folder / "used"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "REHEARSAL_USED": str(folder / "used"),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    # one core unless WORDS say otherwise: of two that are named, Snakemake takes the later
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "1",
        *arguments.words,
        "--snakefile",
        str(ROOT / "Snakefile"),
    ]
    command += ["--directory", str(folder), "--configfile", str(folder / "rehearsal.yaml")]
    code = subprocess.run(command, check=False, env=environment).returncode
    lines = ["| stage | processes | CPU seconds together | of the longest | peak GiB |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(str(value) for value in one.values())} |" for one in stages(folder)]
    print("\n".join(lines))
    if arguments.report:
        write_text(arguments.report, "\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
