"""A training step of the study mini beside the same step by an earlier version of this repository, on the CPU.

    git worktree add EARLIER 1f45a89
    OMP_NUM_THREADS=1 python benchmarks/step_speed.py --before EARLIER

The student is `zoo/vit-small`, 8 crops of 112 pixels with 2 patches, hybrid normalization, tensors in memory. A step is
the forward pass, the frozen encoder's, the loss, the backward pass, clipping, the optimizer's step, and what is
watched. Each version runs in processes of its own, which take turns; the smallest CPU time of a step counts. The last
loss is printed too: a fast wrong step is worth nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parents[1]


def measure(mode: str, precision: str, steps: int) -> dict[str, float]:
    """Seconds of a step and the last step's loss, by the package this process imports; works with 1f45a89's, too."""
    from dad.distill.heads import make_student
    from dad.distill.loop import make_optimizer
    from dad.distill.monitor import output_statistics, update_norm
    from dad.distill.train import cell_loss
    from dad.models.checkpoints import load_network
    from dad.study.base import parse_model
    from dad.study.config import Cell

    values = {
        "mode": mode,
        "normalization": "hybrid",
        "teacher": "zoo/vit-large",
        "student": {"model": "zoo/vit-small", "init": "full"},
        "photos": {"source": "folder", "root": "/"},
        "crop": {"size": 112, "min_crop": 128, "patches": 2, "flip": True},
        "optim": {"steps": 160, "batch": 8, "encoder_rate": 2e-4, "head_rate": 2e-3, "warmup": 20},
        "seed": 0,
    }
    cell = parse_model(Cell, values, source="benchmark")
    network, start = make_student(cell.student, seed=0), load_network("zoo/vit-small")[0].eval().requires_grad_(False)
    every = 1
    try:
        from dad.distill.monitor import UPDATE_EVERY as every
        from dad.models.attention import plain_attention_where_faster

        plain_attention_where_faster(network)
    except ImportError:
        pass
    optimizer = make_optimizer(network, cell.optim)
    frozen = torch.nn.Module()
    frozen.forward = start.encode
    batch = crops(mode)
    times = []
    for step in range(steps):
        before = time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            result = cell_loss(network, dict(batch), cell, frozen)
        result.loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), cell.optim.clip)
        moved = update_norm(network) if step % every == 0 else None
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        output_statistics(result.prediction)
        if moved is not None:
            moved()
        times.append(time.process_time() - before)
    return {"seconds": min(times), "loss": result.loss.item()}


def crops(mode: str) -> dict[str, torch.Tensor]:
    """A batch: smooth noise as pixels and as labels."""
    generator = torch.Generator().manual_seed(0)

    def smooth(count: int, channels: int, side: int) -> torch.Tensor:
        small = torch.rand(count, channels, side, side, generator=generator)
        return torch.nn.functional.interpolate(small, size=(112, 112), mode="bicubic").clamp(0, 1)

    corners = torch.tensor([[0.0, 0.0, 112.0, 112.0], [60.0, 60.0, 172.0, 172.0]])
    batch = {"square": smooth(8, 3, 14), "boxes": corners.expand(8, 2, 4).contiguous(), "side": torch.full((8,), 180)}
    labels = {"labels_square": smooth(8, 1, 7) + 0.1, "labels_patches": smooth(16, 1, 7).unflatten(0, (8, 2)) + 0.1}
    return batch | ({"labels_square": labels["labels_square"]} if mode == "shared" else labels)


def by(code: Path, mode: str, precision: str, steps: int) -> dict[str, Any]:
    """`measure` by the package in `code`, in a process of its own."""
    command = [sys.executable, __file__, "--child", "--mode", mode, "--precision", precision, "--steps", str(steps)]
    environment = os.environ | {"PYTHONPATH": str(code.resolve()), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=code)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="checkout of an earlier version")
    parser.add_argument("--mode", choices=["shared", "cross"], default="cross")
    parser.add_argument("--precision", choices=["no", "bf16"], default="no")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    asked = arguments.mode, arguments.precision, arguments.steps
    if arguments.child:
        print(json.dumps(measure(*asked)))
        return
    sides = {"now": HERE} | ({"before": arguments.before} if arguments.before else {})
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, code in sides.items():
            found[name].append(by(code, *asked))
    best = {name: min(one["seconds"] for one in runs) for name, runs in found.items()}
    shown = ", ".join(f"{name} {best[name]:.3f} s (loss {runs[0]['loss']:.5f})" for name, runs in found.items())
    print(f"a step of the study mini, {arguments.mode}, precision {arguments.precision}: {shown}")
    if "before" in best:
        print(f"before / now {best['before'] / best['now']:.2f}")


if __name__ == "__main__":
    main()
