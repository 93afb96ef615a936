"""A small study of Table 1 and score files made up for it; nothing is trained."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dad.evaluation import load_protocol
from dad.evaluation.evaluate import COLUMNS
from dad.files import write_csv
from dad.report.results import score_paths
from dad.study.cells import Row, table_rows
from dad.study.config import StudyConfig
from dad.study.paper import paper

IMAGES = 24

STUDY = {
    "name": "tiny",
    "description": "made-up scores",
    "seeds": [0],
    "teacher": "zoo/big",
    "student": {"model": "zoo/small", "init": "encoder"},
    "photos": {"source": "scenes", "kinds": ["indoor", "outdoor"], "count": 12, "seed": 1, "height": 32, "width": 48},
    "crop": {"size": 28, "min_crop": 30, "patches": 2},
    "optim": {"steps": 20, "batch": 4, "encoder_rate": 1e-4, "head_rate": 1e-3},
    "benchmarks": [
        {"dataset": "scenes-outdoor", "count": IMAGES, "seed": 9, "height": 32, "width": 48, "stands_for": "DIODE"},
        {"dataset": "scenes-indoor", "count": IMAGES, "seed": 9, "height": 32, "width": 48, "stands_for": "ETH3D"},
    ],
}


def _make_study(**changes: object) -> StudyConfig:
    return StudyConfig.model_validate({**STUDY, **changes})


Level = Callable[[Row, str, int], float]


def _write_scores(study: StudyConfig, results: Path, level: Level, *, noise: float = 0.01) -> dict[str, Path]:
    """AbsRel of an image = level(row, dataset, seed) x the image's difficulty x a little noise; delta1 = 1 - 2 AbsRel."""
    protocol = load_protocol("marigold")
    paths = score_paths(study, "table1", results)
    for index, row in enumerate(table_rows(study, "table1")):
        for cell, config in row.cells.items():
            lines = []
            for number, benchmark in enumerate(study.scored):
                difficulty = np.random.default_rng(number).lognormal(0, 0.4, IMAGES)
                own = np.random.default_rng([index, config.seed, number]).lognormal(0, noise, IMAGES)
                for image, abs_rel in enumerate(level(row, benchmark.dataset, config.seed) * difficulty * own):
                    line = dict.fromkeys(COLUMNS, 0.0) | {
                        "model": cell,
                        "dataset": benchmark.dataset,
                        "protocol": protocol.id,
                        "protocol_hash": protocol.hash,
                        "image": f"rgb/{image:06d}.png",
                        "scene": f"{image:06d}",
                        "n": 1536,
                        "abs_rel": float(abs_rel),
                        "delta1": 1 - 2 * float(abs_rel),
                    }
                    lines.append(line)
            write_csv(paths[cell], lines, COLUMNS)
    return paths


def _edit_scores(path: Path, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> None:
    """Read a score file, change its lines, write it back."""
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file))
    write_csv(path, change(lines), COLUMNS)


def _paper_like(row: Row, dataset: str, seed: int) -> float:
    """Twice the number that the paper prints: every ordering as printed, on another scale."""
    column = {"scenes-indoor": "ETH3D", "scenes-outdoor": "DIODE"}.get(dataset, "DIODE")
    return 2 * paper().number("table1", row.factors, column, "abs_rel").value


@pytest.fixture(scope="session")
def make_study():
    return _make_study


@pytest.fixture(scope="session")
def write_scores():
    return _write_scores


@pytest.fixture(scope="session")
def edit_scores():
    return _edit_scores


@pytest.fixture(scope="session")
def paper_like():
    return _paper_like


@pytest.fixture(scope="session")
def study() -> StudyConfig:
    return _make_study()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"
