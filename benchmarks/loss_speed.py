"""The hybrid loss, forward and backward, beside HDN's `demo.py`, on the CPU.

    git clone https://github.com/icoz69/HDN
    OMP_NUM_THREADS=1 python benchmarks/loss_speed.py HDN

Both get the same maps: 2 of 560 x 560 (smooth targets, noisy predictions, a tenth of the pixels not valid), three
levels, each of the ways to divide a map. Sides take turns; times are CPU seconds of the process, and the smallest of
all rounds counts. Memory is how much the peak of a process of its own grows by the first call. Gradients may differ at
single pixels: where several hold a context's median, one of them carries its gradient, and the choice is not the same.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from dad.distill.losses import distillation_loss

GROUPS = ("range", "percentile", "spatial")
LEVELS = 3


def upstream(checkout: Path) -> ModuleType:
    """HDN's demo as a module."""
    spec = importlib.util.spec_from_file_location("hdn_demo", checkout / "demo.py")
    if spec is None or spec.loader is None or not (checkout / "demo.py").exists():
        raise SystemExit(f"{checkout} is no checkout of icoz69/HDN: demo.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def maps(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target and mask (2,1,size,size)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 1, size // 14, size // 14, generator=generator)
    target = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    prediction = target + 0.1 * torch.rand(2, 1, size, size, generator=generator)
    return prediction, target, torch.rand(2, 1, size, size, generator=generator) > 0.1


def theirs(demo: ModuleType, prediction: Tensor, target: Tensor, mask: Tensor, groups: str) -> Tensor:
    """The loss as the demo's last lines compute it."""
    demo.mask_valid = mask  # read as a global there
    contexts = {
        "range": lambda: demo.get_contexts_dr(LEVELS, target, mask),
        "percentile": lambda: demo.get_contexts_dp(LEVELS, target, mask),
        "spatial": lambda: demo.get_contexts_ds(LEVELS, mask),
    }
    return demo.compute_hdn_loss(demo.SSIMAE(), prediction, target, contexts[groups]())


def ours(prediction: Tensor, target: Tensor, mask: Tensor, groups: str) -> Tensor:
    """The loss of this package in upstream's arithmetic."""
    return distillation_loss(prediction, target, mask, normalization="hybrid", groups=groups, variant="hdn")


def both_ways(loss: Callable[[Tensor], Tensor], prediction: Tensor) -> tuple[float, Tensor]:
    """Forward and backward: the loss and its gradient."""
    leaf = prediction.clone().requires_grad_()
    value = loss(leaf)
    value.backward()
    return value.item(), leaf.grad


def peak() -> float:
    """The largest memory of this process so far, MB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def memory(arguments: argparse.Namespace, side: str) -> float:
    """By how many MB the first call lets the peak of a process grow."""
    command = [sys.executable, __file__, str(arguments.checkout), "--size", str(arguments.size), "--child", side]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print times, memory and differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="checkout of icoz69/HDN")
    parser.add_argument("--size", type=int, default=560)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=["theirs", "ours"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    demo, (prediction, target, mask) = upstream(arguments.checkout), maps(arguments.size)
    sides = {
        "theirs": lambda groups: lambda of: theirs(demo, of, target, mask, groups),
        "ours": lambda groups: lambda of: ours(of, target, mask, groups),
    }
    if arguments.child:
        before = peak()
        both_ways(sides[arguments.child]("range"), prediction)
        print(json.dumps(peak() - before))
        return
    for groups in GROUPS:
        best, results = {name: float("inf") for name in sides}, {}
        for _ in range(arguments.rounds):
            for name, side in sides.items():
                start = time.process_time()
                results[name] = both_ways(side(groups), prediction)
                best[name] = min(best[name], time.process_time() - start)
        (value, gradient), (other, other_gradient) = results["theirs"], results["ours"]
        apart = int(((gradient - other_gradient).abs() > 1e-3 * gradient.abs().max()).sum())
        times = (
            f"upstream {best['theirs']:.3f} s, ours {best['ours']:.3f} s: {best['theirs'] / best['ours']:.1f} times as "
            "fast"
        )
        print(f"{groups:10} {times}; losses {value:.6f} and {other:.6f}, gradients differ at {apart} pixels")
    used = {name: memory(arguments, name) for name in sides}
    print(
        f"memory     upstream {used['theirs']:.0f} MB, ours {used['ours']:.0f} MB: {used['ours'] / used['theirs']:.2f} "
        "of it"
    )


if __name__ == "__main__":
    main()
