"""Training: students together beside students alone, the loop beside a bare one, half precision beside float32; on the
CPU.

    OMP_NUM_THREADS=1 python benchmarks/training_speed.py together --students 4
    OMP_NUM_THREADS=1 python benchmarks/training_speed.py loop
    OMP_NUM_THREADS=1 python benchmarks/training_speed.py precision

Photos are noise, networks are random: only time and memory are measured. Times are CPU seconds of the process from the
first step to the last; sides take turns, and the smallest time of each counts, so that a busy machine disturbs both
alike.

together: `students` students of one teacher, online labels, one after the other or together. The teacher's forward pass
has nine times the operations of a student's and takes five times as long (`--equal`: as much as a student's, as ViT-L
teaches ViT-L). Memory is the peak of a process. Beside them: one teacher's pass and the students' steps with nothing
around them, in tensors in memory. loop: a student of the study mini's size (cached labels) in the training loop, and
the same forward, frozen encoder, loss, backward and optimizer's step over tensors in memory, without log, checkpoints,
photos and label files. precision: a teacher's pass over a batch of patches in float32 and in bfloat16 (torch's
autocast).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dad.data.manifest import make_manifest
from dad.distill.labels import compute_labels, load_teacher
from dad.distill.loop import make_optimizer
from dad.distill.monitor import StepLog
from dad.distill.train import Run, Training, train_together
from dad.models.checkpoints import save_network
from dad.models.config import VitDptConfig
from dad.models.registry import build_network
from dad.study.base import parse_model
from dad.study.cells import label_views
from dad.study.config import Cell

STUDENT = {"width": 64, "depth": 4, "heads": 2, "reassemble": (16, 24, 32, 64), "fusion": 24, "head_hidden": 16}
TEACHER = {"width": 256, "depth": 6, "heads": 4, "reassemble": (48, 96, 128, 192), "fusion": 64, "head_hidden": 32}
NORMALIZATIONS = ("hybrid", "global", "local", "none")


def prepare(root: Path, *, equal: bool) -> Path:
    """Noise as photos with a manifest, and both networks, in a folder."""
    rng = np.random.default_rng(0)
    (root / "photos").mkdir(parents=True)
    for number in range(24):
        Image.fromarray(rng.integers(0, 255, (192, 256, 3), dtype=np.uint8)).save(root / "photos" / f"{number}.png")
    make_manifest(root / "photos", root / "photos.jsonl", seed=0)
    for name, values in (("student", STUDENT), ("teacher", STUDENT if equal else TEACHER)):
        torch.manual_seed(len(name))
        network = build_network(VitDptConfig(taps=(0, 1, 2, 3), patch=16, grid=7, **values))
        with torch.no_grad():
            network.last_bias.add_(1)
        save_network(root / f"{name}.safetensors", network, input_size=112, origin="a benchmark")
    return root / "photos.jsonl"


def cell(root: Path, number: int, steps: int, *, mode: str = "cross", labels: str = "online") -> Cell:
    """Student `number` of the group."""
    values = {
        "mode": mode,
        "normalization": NORMALIZATIONS[number % 4],
        "teacher": str(root / "teacher.safetensors"),
        "student": {"model": str(root / "student.safetensors"), "init": "full"},
        "photos": {"source": "folder", "root": str(root / "photos")},
        "crop": {"size": 112, "min_crop": 128, "patches": 2, "flip": True},
        "optim": {
            "steps": steps,
            "batch": 8,
            "encoder_rate": 1e-5,
            "head_rate": 1e-4 / (1 + number // 4),
            "checkpoint_every": 50,
        },
        "labels": {"mode": labels},
        "seed": 0,
    }
    return parse_model(Cell, json.loads(json.dumps(values)), source="benchmark")


def child(root: Path, numbers: list[int], steps: int) -> None:
    """Train these students in this process; prints the peak of memory in MB as JSON."""
    train_for(root, numbers, steps)
    # not getrusage, which gives a child what its parent had when it was started
    status = Path("/proc/self/status").read_text()
    print(json.dumps({"peak": int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024}))


def train_for(root: Path, numbers: list[int], steps: int) -> float:
    """CPU seconds of training these students together."""
    torch.set_num_threads(1)
    runs = [Run(cell(root, n, steps), root / f"out-{n}", root / f"work-{n}") for n in numbers]
    before = time.process_time()
    train_together(runs, manifest=root / "photos.jsonl", labels=None)
    return time.process_time() - before


def in_process(root: Path, numbers: list[int], steps: int) -> dict[str, float]:
    """`child` in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "child",
        "--root",
        str(root),
        "--numbers",
        *map(str, numbers),
        "--steps",
        str(steps),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def together(students: int, steps: int, rounds: int, *, equal: bool) -> None:
    """Print time and memory of students alone, together, and of what has to be computed at the least."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(root, equal=equal)
        apart, joined, least = [], [], []
        everyone = list(range(students))
        train_for(root, everyone, 2)  # what is done once in a process
        bare(root, students, 2)
        for _ in range(rounds):
            apart.append(sum(train_for(root, [number], steps) for number in everyone))
            joined.append(train_for(root, everyone, steps))
            least.append(bare(root, students, steps))
        memory = {"apart": in_process(root, [0], 2)["peak"], "joined": in_process(root, everyone, 2)["peak"]}
        sides = (
            f"{min(apart):.1f} s alone, {min(joined):.1f} s together, {min(least):.1f} s of teacher's pass and steps "
            "alone"
        )
        print(f"{students} students, {steps} steps of 8 crops, cross: {sides}")
        print(f"together / alone {min(joined) / min(apart):.2f}")
        print(f"together / (one teacher's pass + students) {min(joined) / min(least):.2f}")
        print(f"peak memory: {memory['apart']:.0f} MB for one alone, {memory['joined']:.0f} MB for all together")


def bare(root: Path, students: int, steps: int) -> float:
    """CPU seconds of one teacher's pass and the students' forward, loss, backward and step, over batches in memory."""
    trainings = [
        Training(cell(root, number, steps), manifest=root / "photos.jsonl", labels=None) for number in range(students)
    ]
    optimizers = [make_optimizer(training.network, training.cell.optim) for training in trainings]
    lead = trainings[0]
    teacher = load_teacher(lead.cell.label_plans["teacher"], "cpu")
    stream = lead.stream(patches=True)
    items = [stream[position] for position in range(8)]
    square, patches, boxes = (torch.stack([item[key] for item in items]) for key in ("square", "patches", "boxes"))
    side = torch.tensor([item["side"] for item in items])
    before = time.process_time()
    for _ in range(steps):
        batch = {"square": square, "boxes": boxes, "side": side, "labels_square": teacher(square).clone()}
        batch["labels_patches"] = teacher(patches.flatten(0, 1)).unflatten(0, patches.shape[:2]).clone()
        with torch.no_grad():
            batch["tokens"] = lead.frozen(lead.network.normalise(square))
        for training, optimizer in zip(trainings, optimizers, strict=True):
            step(training, optimizer, batch)
    return time.process_time() - before


def step(training: Training, optimizer: torch.optim.Optimizer, batch: dict[str, torch.Tensor]) -> None:
    """Forward, loss, backward, clipping and the optimizer's step: what a training cannot do without."""
    training.loss(training.network, batch).loss.backward()
    torch.nn.utils.clip_grad_norm_(training.network.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def loop(steps: int, rounds: int) -> None:
    """Print the time of the training loop with cached labels beside a bare loop over one batch in memory."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        manifest = prepare(root, equal=False)
        one = cell(root, 0, steps, mode="shared", labels="cached")
        for view in label_views(one):
            compute_labels(one.label_plans["teacher"], manifest, view, root / "labels" / view)
        whole, least = [], []
        for _ in range(rounds):
            training = Training(one, manifest=manifest, labels=root / "labels")
            before = time.process_time()
            training.fit(root / "work", StepLog(root / "work" / "metrics.csv"), resume=False)
            whole.append(time.process_time() - before)
            training = Training(one, manifest=manifest, labels=root / "labels")
            optimizer = make_optimizer(training.network, one.optim)
            items = [training.stream(patches=False)[position] for position in range(8)]
            square = torch.stack([item["square"] for item in items])
            labels = training.supervisor.labels(0, {"index": torch.arange(8)})["labels_square"]
            batch = {"square": square, "labels_square": labels}
            before = time.process_time()
            for _ in range(steps):
                step(training, optimizer, batch)
            least.append(time.process_time() - before)
        print(
            f"{steps} steps of 8 crops, shared, cached labels: {min(whole):.2f} s in the loop, {min(least):.2f} s bare"
        )
        beside = "the loop also reads photos and labels, watches the output and writes log and checkpoints"
        print(f"loop / bare {min(whole) / min(least):.2f} ({beside})")


def precision(rounds: int) -> None:
    """Print the time of a teacher's pass in both precisions."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(root, equal=False)
        times: dict[str, list[float]] = {"no": [], "bf16": []}
        rgb = torch.rand(16, 3, 112, 112)
        of = cell(root, 0, 1).label_plans["teacher"]
        teachers = {name: load_teacher(of.model_copy(update={"precision": name}), "cpu") for name in times}
        for _ in range(rounds):
            for name, teacher in teachers.items():
                before = time.process_time()
                teacher(rgb)
                times[name].append(time.process_time() - before)
        print(
            f"16 crops through the teacher: {min(times['no']):.3f} s in float32, {min(times['bf16']):.3f} s in bfloat16"
        )
        print(f"float32 / bfloat16 {min(times['no']) / min(times['bf16']):.2f} on this CPU")


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["together", "loop", "precision", "child"])
    parser.add_argument("--students", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--equal", action="store_true", help="a teacher of the student's size")
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--numbers", type=int, nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    calls: dict[str, Callable[[], None]] = {
        "together": lambda: together(arguments.students, arguments.steps, arguments.rounds, equal=arguments.equal),
        "loop": lambda: loop(arguments.steps, arguments.rounds),
        "precision": lambda: precision(arguments.rounds),
        "child": lambda: child(arguments.root, arguments.numbers, arguments.steps),
    }
    calls[arguments.what]()


if __name__ == "__main__":
    main()
