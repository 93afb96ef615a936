"""The study's benchmarks, opened for looking at their images."""

from pathlib import Path

from dad.data.benchmarks import Benchmark, open_benchmark
from dad.study.config import StudyConfig


def benchmark_of(study: StudyConfig, root: Path, dataset: str) -> Benchmark:
    """One of the study's benchmarks; `root` is the study's folder of results, which holds the rendered ones."""
    config = next(one for one in study.scored if one.dataset == dataset)
    listed = Path(config.list) if config.list else None
    return open_benchmark(dataset, Path(config.root or root / "benchmarks" / dataset), list_file=listed)
