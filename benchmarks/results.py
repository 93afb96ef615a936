"""Run the measurements of this folder and write benchmarks/RESULTS.md: what was run, on what, when, and what came out.

    make benchmarks [CHECKOUTS=FOLDER]

FOLDER holds checkouts of the upstream code that ours is timed beside (Depth-Anything-V2, Marigold, HDN), which is not
part of this repository, and, as `earlier`, one of this repository at 1f45a89. What needs one that is not there is not
measured, and the page says so; so is what takes longer than --limit seconds.
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
PYTHON = "OMP_NUM_THREADS=1 python benchmarks/"


def measurements(checkouts: Path) -> list[tuple[str, list[str], Path | None]]:
    """Title, command, and the checkout that it needs."""
    anything, marigold, hdn = checkouts / "Depth-Anything-V2", checkouts / "Marigold", checkouts / "HDN"
    earlier = checkouts / "earlier"
    training = "training_speed.py"
    return [
        ("Students together", [training, "together", "--students", "4", "--steps", "8", "--rounds", "1"], None),
        ("The training loop beside a bare one", [training, "loop", "--steps", "30", "--rounds", "2"], None),
        ("A training step beside version 1f45a89's", ["step_speed.py", "--before", str(earlier)], earlier),
        ("The same in half precision", ["step_speed.py", "--before", str(earlier), "--precision", "bf16"], earlier),
        ("The hybrid loss, ours beside HDN's", ["loss_speed.py", str(hdn)], hdn),
        ("A teacher in half precision", [training, "precision", "--rounds", "6"], None),
        (
            "Depth Anything V2, ours beside the official class",
            ["models_speed.py", str(anything), "--rounds", "2"],
            anything,
        ),
        ("Scoring, ours beside Marigold's", ["evaluation_speed.py", "--upstream", str(marigold)], marigold),
        ("Growth", ["growth.py"], None),
    ]


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def run(command: list[str], limit: int) -> str:
    """The output of a script of this folder, or why there is none."""
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            timeout=limit,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return f"not measured: it took longer than {limit} s"
    return done.stdout.strip() if done.returncode == 0 else f"not measured: {done.stderr.strip().splitlines()[-1]}"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkouts", type=Path, default=Path("checkouts"), help="folder of the upstream checkouts")
    parser.add_argument("--limit", type=int, default=900, help="seconds for one measurement (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    arguments = parser.parse_args()
    lines = [
        "# Measured speed",
        "",
        f"Written by `make benchmarks` on {datetime.date.today()}. {processor()}, {os.cpu_count()} processors, one "
        "thread; Python",
        f"{platform.python_version()}, PyTorch {torch.__version__}. Times are CPU seconds of the process; what counts "
        "are ratios,",
        "whose sides took turns in one run. No GPU was at hand: nothing here says how fast anything is on one.",
        "",
    ]
    for title, command, needed in measurements(arguments.checkouts):
        shown = " ".join(command).replace(f"{arguments.checkouts}/", "CHECKOUTS/")
        loads = [os.getloadavg()[0]]
        there = needed is None or needed.is_dir()
        output = run(command, arguments.limit) if there else f"not measured: no checkout CHECKOUTS/{needed.name}"
        loads.append(os.getloadavg()[0])
        lines += [
            f"## {title}",
            "",
            f"`{PYTHON}{shown}` (load of the machine {loads[0]:.1f} before, {loads[1]:.1f} after)",
            "",
        ]
        lines += ["```text", output, "```", ""]
    arguments.out.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
