"""Forward pass of our Depth Anything V2 beside the official class, in one process, on the CPU.

    git clone https://github.com/DepthAnything/Depth-Anything-V2
    python benchmarks/models_speed.py Depth-Anything-V2 --size 518 --rounds 6

Both get the same weights and input. Rounds alternate, so that a busy machine disturbs both alike; times are CPU seconds
of the process and the smallest of all rounds counts. The outputs' largest difference is printed too: a fast wrong
network is worth nothing.
"""

import argparse
import importlib.util
import os
import sys
import time
import types
from pathlib import Path

import torch

from dad.models import build

HEADS = {
    "small": ("vits", 64, [48, 96, 192, 384]),
    "base": ("vitb", 128, [96, 192, 384, 768]),
    "large": ("vitl", 256, [256, 512, 1024, 1024]),
}


def official(checkout: Path, size: str) -> torch.nn.Module:
    """The official class with random weights."""
    if not (checkout / "depth_anything_v2" / "dpt.py").exists():
        raise SystemExit(
            f"{checkout} is no checkout of DepthAnything/Depth-Anything-V2: depth_anything_v2/dpt.py is missing"
        )
    # explicit attention, as everybody has it who did not install xFormers
    os.environ["XFORMERS_DISABLED"] = "1"
    sys.path.insert(0, str(checkout))
    if importlib.util.find_spec("cv2") is None:
        # upstream imports OpenCV to read images (not measured here); a default argument wants one of its constants
        sys.modules["cv2"] = types.ModuleType("cv2")
        sys.modules["cv2"].INTER_AREA = 3
    from depth_anything_v2.dpt import DepthAnythingV2

    encoder, features, channels = HEADS[size]
    return DepthAnythingV2(encoder=encoder, features=features, out_channels=channels).eval()


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="checkout of DepthAnything/Depth-Anything-V2")
    parser.add_argument("--network", choices=HEADS, default="small")
    parser.add_argument("--size", type=int, default=518)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    theirs = official(arguments.checkout, arguments.network)
    ours = build(f"depth-anything-v2-{arguments.network}").eval()
    ours.load_official(theirs.state_dict())
    x = torch.randn(1, 3, arguments.size, arguments.size)
    best = {"official": float("inf"), "ours": float("inf")}
    with torch.inference_mode():
        reference = theirs(x)
        difference = (ours(x)[:, 0] - reference).abs().max().item()
        for _ in range(arguments.rounds):
            for name, network in (("official", theirs), ("ours", ours)):
                start = time.process_time()
                network(x)
                best[name] = min(best[name], time.process_time() - start)
    shape = f"{arguments.size}x{arguments.size}, {arguments.threads} thread(s), best of {arguments.rounds}"
    print(f"depth-anything-v2-{arguments.network}, {shape}")
    print(
        f"official {best['official']:.2f} s, ours {best['ours']:.2f} s: {best['official'] / best['ours']:.2f} times as "
        "fast"
    )
    print(f"largest difference {difference:.1e} (largest value {reference.abs().max().item():.2f})")


if __name__ == "__main__":
    main()
