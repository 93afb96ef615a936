"""What several rooms' tests need: small scenes, photos with a manifest, and a tiny study over them;
a study of all tables with score files made up for it, of which nothing is trained."""

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from dad.analysis.scores import score_paths
from dad.data.manifest import make_manifest
from dad.data.scenes import write_scenes
from dad.evaluation import load_protocol
from dad.evaluation.evaluate import COLUMNS
from dad.files import sha256_file, write_csv
from dad.identity import write_sealed_json
from dad.study.base import parse_model
from dad.study.cells import Row, beside_rows, dataset_group, table_rows, teacher_rows
from dad.study.config import Cell, StudyConfig
from dad.study.paper import paper

GOLDENS = Path(__file__).parent / "goldens"

torch.set_num_threads(1)
# a shell starts what runs in its background deaf to Ctrl-C, and so would be all that the tests start and interrupt
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# timing belongs in benchmarks/: a busy machine must not fail a property
hypothesis.settings.register_profile("dad", deadline=None)
hypothesis.settings.load_profile("dad")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The workflow's tests first: they take the longest, and with several processes the longest must not begin last."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


@pytest.fixture(scope="session")
def scene_folders(tmp_path_factory) -> dict[str, Path]:
    """Five small scenes of every kind."""
    root = tmp_path_factory.mktemp("scenes")
    for kind in ("indoor", "outdoor", "driving"):
        write_scenes(root / kind, kind=kind, count=5, seed=40, height=72, width=96, samples=1)
    return {kind: root / kind for kind in ("indoor", "outdoor", "driving")}


@pytest.fixture(scope="session")
def manifest(scene_folders, tmp_path_factory) -> Path:
    """The scenes' images as photos."""
    out = tmp_path_factory.mktemp("manifest") / "photos.jsonl"
    make_manifest(scene_folders["indoor"].parent, out, seed=0)
    return out


@pytest.fixture
def cell(scene_folders) -> Cell:
    """A cell that trains in a second: 48-pixel crops, 6 steps of 2."""
    values = {
        "mode": "shared",
        "normalization": "hybrid",
        "teacher": "zoo/vit-large",
        "student": {"model": "zoo/vit-small", "init": "encoder"},
        "photos": {"source": "folder", "root": str(scene_folders["indoor"].parent)},
        "crop": {"size": 48, "min_crop": 56, "patches": 2, "flip": True},
        "optim": {"steps": 6, "batch": 2, "encoder_rate": 1e-4, "head_rate": 1e-3, "warmup": 2, "checkpoint_every": 2},
        "seed": 0,
    }
    return parse_model(Cell, json.loads(json.dumps(values)), source="test")


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
SCENES = {"count": IMAGES, "seed": 9, "height": 32, "width": 48}
WHOLE = {
    "assistant": {"model": "zoo/diffusion"},
    "architectures": {
        "da-l": {"model": "zoo/big"},
        "da-s": {"model": "zoo/small"},
        "midas-l": {"model": "zoo/midas-big", "feature": False},
        "midas-s": {"model": "zoo/midas-small", "feature": False},
    },
    "scaling": [10, 20, 40, 80],
    "benchmarks": [
        *STUDY["benchmarks"],
        {"dataset": "scenes-driving", **SCENES, "stands_for": "KITTI"},
        {"dataset": "scenes-indoor-b", **SCENES, "stands_for": "NYUv2"},
        {"dataset": "scenes-indoor-c", **SCENES, "stands_for": "ScanNet"},
    ],
}
"""What a study needs beside `STUDY` for the rows of all tables."""


def _make_study(**changes: object) -> StudyConfig:
    return StudyConfig.model_validate({**STUDY, **changes})


LATER = ("-crops", "-contexts")
"""Rows of Table 3 that are younger than the goldens."""

Level = Callable[[Row, str, int], float]


def _write_scores(
    study: StudyConfig,
    results: Path,
    level: Level,
    *,
    table: str = "table1",
    noise: float = 0.01,
    teacher: bool = False,
) -> dict[tuple[str, str], Path]:
    """AbsRel of an image = level(row, dataset, seed) x the image's difficulty x a little noise; delta1 = exp(-2
    AbsRel), boundary_f1 = exp(-4 AbsRel); of the centre it is AbsRel, and 0.9 times that with a fit of its own.

    Files of all rows of a table, and with `teacher` of the models above them. Returns the paths of the rows' files.
    """
    paths, written = score_paths(study, table, results), {}
    # what a row's noise is drawn from is its place, and the goldens are older than what is behind the rows here
    teachers, others = teacher_rows(study, table), [row for row in beside_rows(study, table) if row.role != "teacher"]
    rows = [*(teachers if teacher else ()), *table_rows(study, table), *(others if teacher else ())]
    late = [row for row in rows if row.name.endswith(LATER)]
    for index, row in enumerate([*(row for row in rows if row not in late), *late]):
        for subject in row.subjects:
            seed = row.cells[subject].seed if row.cells else -1
            for (group, name), path in paths.items():
                if name == subject and not (row in late and path.is_file()):  # a cell that another table has, too
                    _write_file(study, path, row, subject, group, seed, level, [index, seed + 1, int(noise * 1e6)])
                    written[group, name] = path
    return written


def _write_file(
    study: StudyConfig, path: Path, row: Row, subject: str, group: str, seed: int, level: Level, entropy: list[int]
) -> None:
    """One subject's scores on the data sets of one group."""
    protocol, lines = load_protocol("marigold"), []
    for number, benchmark in enumerate(study.scored):
        if dataset_group(study, benchmark.dataset) != group:
            continue
        difficulty = np.random.default_rng(number).lognormal(0, 0.4, IMAGES)
        own = np.random.default_rng([*entropy, number]).lognormal(0, entropy[-1] / 1e6, IMAGES)
        for image, abs_rel in enumerate(level(row, benchmark.dataset, seed) * difficulty * own):
            lines.append(
                dict.fromkeys(COLUMNS, 0.0)
                | {
                    "model": subject,
                    "dataset": benchmark.dataset,
                    "protocol": protocol.id,
                    "protocol_hash": protocol.hash,
                    "image": f"rgb/{image:06d}.png",
                    "scene": f"{image:06d}",
                    "n": 1536,
                    "abs_rel": float(abs_rel),
                    "delta1": float(np.exp(-2 * abs_rel)),
                    "boundary_f1": float(np.exp(-4 * abs_rel)),
                    "centre_local_abs_rel": float(0.9 * abs_rel),
                    "centre_global_abs_rel": float(abs_rel),
                }
            )
    _store(path, subject, lines)


def _store(path: Path, subject: str, lines: list[dict[str, object]]) -> None:
    """A score file with the summary that it belongs to."""
    write_csv(path, lines, COLUMNS)
    about = {"model": subject, "results": [], "failures": [], "files": {path.name: sha256_file(path)}}
    write_sealed_json(path.with_suffix(".json"), about)


def _edit_scores(path: Path, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> None:
    """Read a score file, change its lines, write it back."""
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file))
    _store(path, path.stem, change(lines))


OWN = {"baseline-hybrid": 0.26, "teacher-student": 0.25, "assistant-student": 0.27}
"""Half the level of rows that the paper does not print."""


BESIDE_LEVEL = {"source": 0.45, "no-skill": 0.9}


def _paper_like(row: Row, dataset: str, seed: int) -> float:
    """Twice the number the paper prints: every order as printed, on another scale; scaling as Fig. 7 is described."""
    if row.role in BESIDE_LEVEL:
        return BESIDE_LEVEL[row.role]
    if row.table == "scaling":
        count = int(row.factors["photos"])
        return {"ours": 0.3 - 0.02 * np.log2(count / 10 + 1e-9), "ssi": 0.32, "teacher": 0.28}[row.factors["method"]]
    stands_for = {
        "scenes-indoor": "ETH3D",
        "scenes-driving": "KITTI",
        "scenes-indoor-b": "NYUv2",
        "scenes-indoor-c": "ScanNet",
    }
    printed = paper().number(row.table, row.factors, stands_for.get(dataset, "DIODE"), "abs_rel")
    return 2 * (printed.value if printed else OWN.get(row.name, 0.2))


@pytest.fixture(scope="session")
def make_study():
    return _make_study


@pytest.fixture(scope="session")
def write_scores():
    return _write_scores


@pytest.fixture(scope="session")
def store_scores():
    return _store


@pytest.fixture(scope="session")
def edit_scores():
    return _edit_scores


@pytest.fixture(scope="session")
def paper_like():
    return _paper_like


@pytest.fixture(scope="session")
def study() -> StudyConfig:
    return _make_study()


@pytest.fixture(scope="session")
def whole() -> StudyConfig:
    """A study whose tables have all their rows."""
    return _make_study(**WHOLE)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"
