"""Every stage of the flow as a command on tiny inputs, in one folder, and what it leaves behind."""

import hashlib
import json
import re
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dad.study.cells import all_cells, label_views, study_groups
from dad.study.config import StudyConfig
from dad.study.layout import Layout

STUDY = {
    "name": "tiny",
    "description": "a miniature that is killed again and again",
    "seeds": [0],
    "teacher": "zoo/vit-large",
    "student": {"model": "zoo/vit-small", "init": "encoder"},
    "photos": {"source": "scenes", "kinds": ["indoor"], "count": 12, "seed": 100000, "height": 72, "width": 96},
    "crop": {"size": 48, "min_crop": 64, "patches": 2, "flip": True},
    "optim": {"steps": 100, "batch": 4, "encoder_rate": 1e-4, "head_rate": 1e-3, "warmup": 1, "checkpoint_every": 10},
    "benchmarks": [
        {"dataset": "scenes-indoor", "count": 12, "seed": 500000, "height": 48, "width": 64, "stands_for": "ETH3D"}
    ],
    "tables": {"one": {"title": "One student.", "grid": {"normalization": ["hybrid"]}}},
}
TIMES = ("started", "finished", "wall_seconds", "segments", "sha256")
"""Keys of provenance.json that say when and how often, not what."""


@dataclass(frozen=True)
class Stage:
    """A verb: its arguments, and the paths (files, folders) that it makes, relative to the folder where it runs."""

    name: str
    arguments: list[str]
    makes: list[Path]
    read: Callable[[Path], bytes] = field(default=Path.read_bytes)

    @property
    def command(self) -> list[str]:
        """What a person would type."""
        return [sys.executable, "-m", "dad", *self.arguments]

    def left(self, folder: Path) -> dict[str, str]:
        """What is there: file -> digest of what it says; hidden files too, none of which should be."""
        found = {}
        for made in self.makes:
            paths = sorted((folder / made).rglob("*")) if (folder / made).is_dir() else [folder / made]
            for path in paths:
                if path.is_file():
                    found[path.relative_to(folder).as_posix()] = hashlib.sha256(self.read(path)).hexdigest()
        return found


def without_times(path: Path) -> bytes:
    """A file's bytes, without its time of making or how fast anything was: an export measures it, a table tells it."""
    if path.name in ("facts.json", "README.md"):
        lines = path.read_text().splitlines()
        return "\n".join(line for line in lines if "the source in PyTorch" not in line).encode()
    if path.name.endswith("_details.md"):
        text, count = re.subn(r"- (Training time|Started): .*\n?", "", path.read_text())
        assert count == 2, path
        return text.encode()
    if path.suffix == ".md" and path.with_suffix(".tex").exists():  # a table
        text, count = re.subn(r", [\w ]+ of training;", ";", path.read_text())
        assert count == 1, path
        return text.encode()
    if path.name != "provenance.json":
        return path.read_bytes()
    return json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key not in TIMES}).encode()


def tracked(path: Path) -> bytes:
    """What an MLflow database says of its living runs, whatever ids and times they were given."""
    if path.suffix != ".db":
        return b""
    questions = {
        "params": "select r.name, p.key, p.value from runs r join params p using (run_uuid)",
        "metrics": "select r.name, m.key, m.step, m.value from runs r join metrics m using (run_uuid)",
        "runs": "select e.name, r.name, r.status from runs r join experiments e using (experiment_id)",
    }
    with sqlite3.connect(path) as database:
        living = " where r.lifecycle_stage = 'active'"
        return repr(
            {name: sorted(map(str, database.execute(text + living))) for name, text in questions.items()}
        ).encode()


def stages(folder: Path) -> list[Stage]:
    """The flow in order; `folder` gets the study's file."""
    study = StudyConfig.model_validate(STUDY)
    (folder / "study.yaml").write_text(json.dumps(STUDY))
    layout = Layout(study)
    name, cell = next((name, cell) for name, cell in all_cells(study, ["one"]).items())
    group = study_groups(study, "one")[0]
    photos, held_out = layout.photos("indoor"), layout.benchmark("scenes-indoor")
    manifest, labels = layout.manifest(cell.photos), layout.root / "labels" / "teacher"
    scores, summary = layout.scores(group, name), layout.summary(group, name)
    of_cell = ["--config", "study.yaml", "--cell", name, "--manifest", str(manifest)]
    scored = ["--dataset", "scenes-indoor", "--root", str(held_out), "--label", name]

    def scenes(out: Path, seed: int, size: tuple[int, int]) -> list[str]:
        height, width = size
        recipe = [
            "--kind",
            "indoor",
            "--count",
            "12",
            "--seed",
            str(seed),
            "--height",
            str(height),
            "--width",
            str(width),
        ]
        return ["data", "scenes", "--out", str(out), *recipe]

    return [
        Stage("scenes", scenes(photos, 100000, (72, 96)), [photos]),
        Stage("held-out scenes", scenes(held_out, 500000, (48, 64)), [held_out]),
        Stage(
            "manifest",
            ["data", "manifest", str(photos.parent), "--only", "indoor/rgb", "--out", str(manifest)],
            [manifest],
        ),
        Stage("label", ["label", *of_cell, "--out", str(labels)], [labels / view for view in label_views(cell)]),
        Stage(
            "train",
            ["train", *of_cell, "--labels", str(labels), "--out", str(layout.run(name))],
            [layout.run(name)],
            without_times,
        ),
        Stage(
            "evaluate",
            ["evaluate", "--model", str(layout.run(name)), *scored, "--out", str(scores), "--summary", str(summary)],
            [scores, summary],
        ),
        Stage(
            "predict",
            ["predict", str(held_out / "rgb"), "--model", str(layout.run(name)), "--out", "maps"],
            [Path("maps")],
        ),
        Stage(
            "export",
            ["export", "--run", str(layout.run(name)), "--format", "safetensors", "--out", "out"],
            [Path("out")],
            without_times,
        ),
        Stage("table", ["table", "one", "--config", "study.yaml", "--out", str(layout.reports)], [layout.reports]),
        Stage(
            "track import",
            ["track", "import", "results", "--uri", "sqlite:///mlflow.db", "--config", "study.yaml"],
            [Path("mlflow.db")],
            tracked,
        ),
        Stage("figure", ["figure", "fig4", "--config", "study.yaml", "--out", "figures"], [Path("figures")]),
        Stage("claims", ["claims", "--config", "study.yaml", "--out", "claims"], [Path("claims")]),
        Stage("report", ["report", "--config", "study.yaml", "--out", "page"], [Path("page")]),
    ]
