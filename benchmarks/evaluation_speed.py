"""Alignment and the ten metrics: ours beside prs-eth/Marigold's evaluator, the same inputs, in one run, on the CPU.

    git clone https://github.com/prs-eth/Marigold
    OMP_NUM_THREADS=1 python benchmarks/evaluation_speed.py --upstream Marigold
    OMP_NUM_THREADS=1 python benchmarks/evaluation_speed.py --share

The checkout's src/util/alignment.py and src/util/metric.py are imported from where they are (they need torch and
pandas); the call sequence is that of its script/depth/eval.py. Both sides start from arrays in memory and end with the
metrics as Python floats. Each is timed as the best of several runs that take turns. `detail` and `centre` are the times
of the extra metrics, which upstream does not have. Exit code 1 if a result differs by more than 3e-5, or with --require
if a ratio is below what is asked.

With --share: how much of a whole `evaluate` with depth-anything-v2-small (random weights, its own input size) is
scoring, in CPU seconds of the process: all that is neither decoding nor prediction. Exit code 1 with --require from 10
% on, under one protocol.
"""

import argparse
import importlib.util
import io
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from dad.data.benchmarks.base import Sample
from dad.data.benchmarks.listed import decode_rgb
from dad.evaluation import DatasetRules, score, score_detail, score_local_global
from dad.evaluation.evaluate import evaluate
from dad.evaluation.predictions import EstimatorPredictions
from dad.models import build
from dad.models.estimator import Estimator

METRICS = {
    "abs_rel": "abs_relative_difference",
    "sq_rel": "squared_relative_difference",
    "rmse": "rmse_linear",
    "rmse_log": "rmse_log",
    "log10": "log10",
    "delta1": "delta1_acc",
    "delta2": "delta2_acc",
    "delta3": "delta3_acc",
    "i_rmse": "i_rmse",
    "silog": "silog_rmse",
}

# height, width, data set, repetitions, share of valid pixels, the ratio that is asked for
CASES = {
    "NYUv2": (480, 640, DatasetRules("nyuv2", 1e-3, 10.0), 15, 0.85, 5.0),
    "ETH3D": (4032, 6048, DatasetRules("eth3d", 1e-5, float("inf"), align_max_res=1024), 2, 1.0, 8.0),
    "ETH3D, sparse": (4032, 6048, DatasetRules("eth3d", 1e-5, float("inf"), align_max_res=1024), 2, 0.15, 8.0),
}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"upstream_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        sys.exit(f"{path} does not exist: give the root of a Marigold checkout")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs(
    height: int, width: int, limits: DatasetRules, valid: float
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """A smooth depth with noise, its mask, and a prediction of each kind."""
    rng = np.random.default_rng(0)
    rows, columns = (
        np.linspace(0, 6, height, dtype=np.float32)[:, None],
        np.linspace(0, 9, width, dtype=np.float32)[None, :],
    )
    depth = 4 + 2 * np.sin(rows) * np.cos(columns) + rng.random((height, width), np.float32) / 10
    mask = (rng.random((height, width), np.float32) < valid) & (depth > limits.min_depth) & (depth < limits.max_depth)
    noise = rng.standard_normal((height, width), np.float32) * np.float32(0.01)
    return depth, mask, {"depth": depth / 7 + noise, "disparity": 3 / depth + noise + np.float32(0.2)}


def upstream(
    alignment: ModuleType,
    metric: ModuleType,
    prediction: np.ndarray,
    depth: np.ndarray,
    mask: np.ndarray,
    kind: str,
    limits: DatasetRules,
) -> dict[str, float]:
    """What script/depth/eval.py does with one image."""
    import torch

    options = {"return_scale_shift": True, "max_resolution": limits.align_max_res}
    if kind == "depth":
        aligned, _, _ = alignment.align_depth_least_square(
            gt_arr=depth, pred_arr=prediction, valid_mask_arr=mask, **options
        )
    else:
        truth, positive = alignment.depth2disparity(depth=depth, return_mask=True)
        used = mask & positive & (prediction > 0)
        aligned, _, _ = alignment.align_depth_least_square(
            gt_arr=truth, pred_arr=prediction, valid_mask_arr=used, **options
        )
        aligned = alignment.disparity2depth(np.clip(aligned, a_min=1e-3, a_max=None))
    aligned = np.clip(np.clip(aligned, a_min=limits.min_depth, a_max=limits.max_depth), a_min=1e-6, a_max=None)
    p, g, m = torch.from_numpy(aligned), torch.from_numpy(depth), torch.from_numpy(mask)
    return {ours: getattr(metric, theirs)(p, g, m).item() for ours, theirs in METRICS.items()}


def seconds(call: Callable[[], dict[str, float]]) -> tuple[float, dict[str, float]]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def compare(name: str, kind: str, modules: tuple[ModuleType, ModuleType]) -> tuple[float, float]:
    """Time both sides on one case and print a line; returns (ratio of the times, largest relative difference)."""
    height, width, limits, repetitions, valid, _ = CASES[name]
    depth, mask, predictions = inputs(height, width, limits, valid)
    prediction = predictions[kind]
    calls = (
        lambda: upstream(*modules, prediction, depth, mask, kind, limits),
        lambda: score(prediction, depth, mask, kind=kind, dataset=limits),
        lambda: score_detail(prediction, depth, mask, kind=kind, dataset=limits),
        lambda: score_local_global(prediction, depth, mask, kind=kind, dataset=limits),
    )
    runs = [[seconds(call) for call in calls] for _ in range(repetitions)]
    slow, fast, detail, centre = (min(run[side][0] for run in runs) for side in range(4))
    expected, found = runs[0][0][1], runs[0][1][1]
    difference = max(abs(found[key] / expected[key] - 1) for key in METRICS)
    times = f"{slow:8.4f}s {fast:8.4f}s {slow / fast:5.1f}x  {difference:18.1e}  {detail:8.4f}s  {centre:8.4f}s"
    print(f"{name:14} {kind:9} {times}", flush=True)
    return slow / fast, difference


class Encoded:
    """A benchmark of one image and its depth, `count` times, decoded from memory as a real one is from files.

    read: the CPU seconds that decoding took. The depth has boxes at half the distance, so that there are edges to
    measure.
    """

    def __init__(self, case: str, count: int) -> None:
        height, width, limits, _, valid, _ = CASES[case]
        self.name, self.min_depth, self.max_depth = limits.name, limits.min_depth, limits.max_depth
        self.align_max_res, self._count, self._size, self.read = limits.align_max_res, count, (height, width), 0.0
        depth, mask, _ = inputs(height, width, limits, valid)
        for box in range(12):
            top, left = height * box // 14, width * (5 * box % 12) // 13
            depth[top : top + height // 5, left : left + width // 9] /= 2
        self._depth = np.where(mask, depth, np.float32(0)).tobytes()
        grey = (depth * 20 + np.random.default_rng(1).normal(0, 3, depth.shape)).clip(0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(grey).convert("RGB").save(file, "JPEG", quality=95)
        self._rgb = file.getvalue()

    def __len__(self) -> int:
        return self._count

    def image(self, index: int) -> str:
        return f"{index}.jpg"

    def __getitem__(self, index: int) -> Sample:
        start = time.process_time()
        rgb = decode_rgb(self._rgb)
        depth = np.frombuffer(self._depth, "<f4").reshape(self._size).copy()
        mask = (depth > self.min_depth) & (depth < self.max_depth)
        sample = Sample(self.image(index), "scene", rgb, depth, mask)
        self.read += time.process_time() - start
        return sample


class TimedPredictions(EstimatorPredictions):
    """Predictions that count the CPU seconds they take in `spent`."""

    spent = 0.0

    def predict(self, sample: Sample) -> np.ndarray:
        start = time.process_time()
        prediction = super().predict(sample)
        self.spent += time.process_time() - start
        return prediction


def share(estimator: Estimator, case: str, protocols: tuple[str, ...], images: int) -> float:
    """Print what a whole evaluation spends its time on, per image; returns scoring's share of it."""
    benchmark, predictions = Encoded(case, images), TimedPredictions(estimator)
    start = time.process_time()
    evaluate(benchmark, predictions, protocols)
    whole = time.process_time() - start
    scoring = whole - benchmark.read - predictions.spent
    times = (
        f"{benchmark.read / images:9.3f}s {predictions.spent / images:9.3f}s {scoring / images:9.3f}s "
        f"{scoring / whole:7.1%}"
    )
    print(f"{case:14} {'+'.join(protocols):9} {times}", flush=True)
    return scoring / whole


def shares(images: int) -> float:
    """Print scoring's share for images of both sizes; returns the largest under one protocol."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    estimator = Estimator(build("depth-anything-v2-small"), name="depth-anything-v2-small")
    estimator(torch.zeros(1, 3, 480, 640))
    largest = -math.inf
    print(f"{'data set':14} {'protocols':9} {'decoding':>10} {'prediction':>10} {'scoring':>10} {'share':>7}")
    for case in ("NYUv2", "ETH3D, sparse"):
        largest = max(largest, share(estimator, case, ("marigold",), images))
        share(estimator, case, ("all",), images)
    return largest


def main() -> int:
    parser = argparse.ArgumentParser(description="Scoring speed beside prs-eth/Marigold's evaluator.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--upstream", type=Path, help="root of a Marigold checkout")
    what.add_argument(
        "--share", action="store_true", help="scoring's share of a whole evaluation, instead of the comparison"
    )
    parser.add_argument(
        "--images", type=int, default=3, help="how many images --share evaluates per case (%(default)s)"
    )
    parser.add_argument(
        "--require",
        action="store_true",
        help="fail below 5 times (NYUv2) and 8 times (ETH3D) as fast, or from 10 %% on",
    )
    arguments = parser.parse_args()
    if arguments.share:
        largest = shares(arguments.images)
        return int(arguments.require and largest >= 0.1)
    modules = (load(arguments.upstream / "src/util/alignment.py"), load(arguments.upstream / "src/util/metric.py"))
    failed = False
    print(
        f"{'data set':14} {'kind':9} {'upstream':>9} {'ours':>9} {'ratio':>6}  largest difference     detail     centre"
    )
    for name, (*_, asked) in CASES.items():
        for kind in ("depth", "disparity"):
            ratio, difference = compare(name, kind, modules)
            failed |= difference > 3e-5 or (arguments.require and ratio < asked)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
