"""Labelled evaluation sets, opened by name."""

from pathlib import Path

from dad.data.benchmarks.base import Benchmark, Sample
from dad.data.benchmarks.samples import Samples
from dad.data.benchmarks.scenes import SCENES
from dad.errors import UserError

BENCHMARKS = {**SCENES, "samples": Samples}
"""Name -> class; a class takes the root and checks the layout when it is made."""

__all__ = ["BENCHMARKS", "Benchmark", "Sample", "open_benchmark"]


def open_benchmark(name: str, root: Path) -> Benchmark:
    """Open benchmark `name` at `root`. Raises UserError for an unknown name and for anything missing at the root."""
    if name not in BENCHMARKS:
        raise UserError(f"unknown benchmark {name!r}, allowed are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name](Path(root))
