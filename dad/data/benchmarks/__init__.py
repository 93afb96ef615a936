"""Labelled evaluation sets, opened by name."""

import inspect
from pathlib import Path
from typing import Any

from dad.data.benchmarks.base import Benchmark, Sample
from dad.data.benchmarks.diode import Diode
from dad.data.benchmarks.eth3d import Eth3d
from dad.data.benchmarks.kitti import Kitti
from dad.data.benchmarks.listed import Listed
from dad.data.benchmarks.nyuv2 import Nyuv2
from dad.data.benchmarks.samples import Samples
from dad.data.benchmarks.scannet import Scannet
from dad.data.benchmarks.scenes import SCENES
from dad.data.kinds import kind_of
from dad.errors import UserError
from dad.plugins import entry_points, imported

PUBLISHED: dict[str, type[Listed]] = {kind.name: kind for kind in (Nyuv2, Kitti, Eth3d, Scannet, Diode)}
"""The five benchmarks of the paper."""

BENCHMARKS: dict[str, Any] = {**PUBLISHED, **SCENES, "samples": Samples}
"""Name -> class; a class takes the root and checks the layout when it is made."""

REGISTERED = "dad.benchmarks"
"""The group of entry points under which other packages register labelled sets: NAME = "package.module:Class"."""

__all__ = ["BENCHMARKS", "PUBLISHED", "Benchmark", "Sample", "benchmark_class", "benchmark_names", "open_benchmark"]


def benchmark_names() -> list[str]:
    """The names that `open_benchmark` takes: ours, and those that installed packages register."""
    return [*BENCHMARKS, *entry_points(REGISTERED)]


def benchmark_class(name: str) -> Any:
    """The class behind a benchmark's name, called with the root; None for an unknown name. A registered name comes as
    it is, ours may have a suffix that tells several sets of a kind apart (`dad.data.kinds`).
    """
    registered = entry_points(REGISTERED).get(name)
    if registered is not None and name not in BENCHMARKS:
        return imported(registered.value, "the benchmark")
    return BENCHMARKS.get(kind_of(name))


def open_benchmark(
    name: str, root: Path, *, list_file: Path | None = None, crop: str | None = None, lenient: bool = False
) -> Benchmark:
    """Open benchmark `name` at `root`, a folder or, for the published five, a .tar.

    list_file: which images, one per line as prs-eth/Marigold lists them; without it the list is made from the files.
    crop: where predictions are scored, for nyuv2 ("eigen", "none") and kitti ("eigen", "garg", "none"); eigen by
    default. lenient: a file that is missing or of a wrong kind is found when its sample is read, not when the benchmark
    is opened. Several sets of one kind are told apart by a suffix (`dad.data.kinds`): `scenes-indoor-b`. Raises
    UserError for an unknown name, an option that the benchmark does not have, and anything missing at the root.
    """
    kind = benchmark_class(name)
    if kind is None:
        raise UserError(f"unknown benchmark {name!r}, allowed are {', '.join(benchmark_names())}")
    given = {key: value for key, value in (("list_file", list_file), ("crop", crop)) if value is not None}
    for key in given.keys() - inspect.signature(kind).parameters.keys():
        raise UserError(f"benchmark {name} takes no {key.removesuffix('_file')}: leave it out")
    if lenient and "lenient" in inspect.signature(kind).parameters:
        given["lenient"] = True
    benchmark = kind(Path(root), **given)
    benchmark.name = name
    return benchmark
