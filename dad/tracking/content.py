"""What MLflow shows of a cell: tags, params, metric points and small files, read from the cell's files alone."""

import csv
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dad.files import read_json, sha256_file, sha256_json
from dad.tracking.store import experiment_name, metric_key

CONTENT_VERSION = 1
"""Raised when the same files are to be shown differently, so that an import refreshes every run."""

CURVE_POINTS = 2000
"""Longer curves are thinned to about this many steps; the attached metrics.csv has all of them."""


@dataclass(frozen=True)
class RunContent:
    """One cell as MLflow shows it. `points` maps (metric, step) to a value; times are in milliseconds since 1970."""

    study: str
    cell: str
    experiment: str
    digest: str
    tags: dict[str, str]
    params: dict[str, str]
    points: dict[tuple[str, int], float]
    steps: int
    started: int
    finished: int
    photos: dict[str, str] | None
    """Name, digest and source of the training photos, where the provenance has their digest."""
    files: dict[str, Path]
    """Artifact path to file."""

    def time_of(self, key: str, step: int) -> int:
        """When a point was measured, as far as the files tell: steps spread evenly over the run, scores at its end."""
        if "/" in key:
            return self.finished
        return self.started + (self.finished - self.started) * (step + 1) // max(self.steps, step + 1)


def flatten(value: Any, name: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys; lists become comma-separated text, None becomes `null`."""
    if isinstance(value, Mapping):
        return {key: text for item in value for key, text in flatten(value[item], f"{name}.{item}" if name else str(item)).items()}
    if isinstance(value, list | tuple):
        return {name: ", ".join(str(item) for item in value)}
    return {name: value if isinstance(value, str) else json.dumps(value)}


def factor_tags(study: str, cell: str, tables: Sequence[str], config: Mapping[str, Any]) -> dict[str, str]:
    """The tags by which a run is found and grouped; `config` is the resolved config of the cell."""
    flat = flatten(config)
    factors = {"mode": "mode", "normalization": "normalization", "teacher": "teacher", "seed": "seed"}
    factors |= {"student": "student.model", "init": "student.init"}
    tags = {"dad.study": study, "dad.cell": cell, "dad.tables": ", ".join(tables)}
    return tags | {tag: flat[key] for tag, key in factors.items() if key in flat}


def code_tags(commit: str | None, dirty: bool | None) -> dict[str, str]:
    """The commit (also where MLflow's own version column looks) and whether the working tree differed from it."""
    if commit is None:
        return {}
    return {"git_commit": commit, "git_dirty": json.dumps(dirty), "mlflow.source.git.commit": commit}


def is_shown(step: int, steps: int) -> bool:
    """Whether a step's point is shown: all of a short run, every n-th and the last of a long one."""
    return step % math.ceil(steps / CURVE_POINTS) == 0 or step == steps - 1


def row_points(row: Mapping[str, Any]) -> dict[tuple[str, int], float]:
    """A row of the step log as points. Values that are absent or not finite are left out: MLflow stores inf as 1.8e308."""
    step = int(row["step"])
    values = {key: float(value) for key, value in row.items() if key != "step" and value not in ("", None)}
    return {(metric_key(key), step): value for key, value in values.items() if math.isfinite(value)}


def score_points(summary: Mapping[str, Any]) -> dict[tuple[str, int], float]:
    """The benchmark means as `<dataset>/<protocol>/<metric>` at step 0, which the UI draws as bars over runs.

    The protocol's name stands without its version where the data set was scored under one protocol of that name.
    """
    results = summary["results"]
    names = Counter((item["dataset"], item["protocol"].split("@")[0]) for item in results)
    points = {}
    for item in results:
        short = item["protocol"].split("@")[0]
        protocol = short if names[item["dataset"], short] == 1 else item["protocol"]
        for metric, value in item["mean"].items():
            if value is not None and math.isfinite(value):
                points[metric_key(f"{item['dataset']}/{protocol}/{metric}"), 0] = float(value)
    return points


def cell_files(folder: Path, cell: str) -> dict[str, Path]:
    """The small files of a cell that exist, by artifact path. `folder` is the study's. Weights are not among them."""
    candidates = {name: folder / "runs" / cell / name for name in ("config.json", "metrics.csv", "provenance.json")}
    candidates["scores.csv"] = folder / "scores" / f"{cell}.csv"
    candidates["scores.json"] = folder / "scores" / f"{cell}.json"
    candidates["preview.png"] = folder / "previews" / f"{cell}.png"
    return {name: path for name, path in candidates.items() if path.is_file()}


def read_content(folder: Path, cell: str, tables: Sequence[str]) -> RunContent:
    """Read one finished cell of the study in `folder`.

    Raises OSError, ValueError, KeyError or TypeError when a file is missing, damaged, or not what it should be.
    """
    files = cell_files(folder, cell)
    config = read_json(folder / "runs" / cell / "config.json")
    facts = read_json(folder / "runs" / cell / "provenance.json")
    steps = int(config["optim"]["steps"])
    with open(folder / "runs" / cell / "metrics.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if is_shown(int(row["step"]), steps)]
    points = {point: value for row in rows for point, value in row_points(row).items()}
    experiment = experiment_name(folder.name, tables)
    tags = factor_tags(folder.name, cell, tables, config) | code_tags(facts.get("git_commit"), facts.get("git_dirty"))
    tags |= {"device": str(facts["device"])} if "device" in facts else {}
    if "scores.json" in files:
        summary = read_json(files["scores.json"])
        points |= score_points(summary)
        tags["protocol"] = ", ".join(dict.fromkeys(item["protocol"] for item in summary["results"]))
    finished = _milliseconds(facts["finished"])
    # of a resumed run `started` is the last process's; the wall time counts the earlier ones too
    started = min(_milliseconds(facts["started"]), finished - round(1000 * float(facts.get("wall_seconds", 0))))
    shape = {"version": CONTENT_VERSION, "experiment": experiment, "tables": list(tables)}
    return RunContent(
        study=folder.name,
        cell=cell,
        experiment=experiment,
        digest=sha256_json(shape | {"files": {name: sha256_file(path) for name, path in files.items()}}),
        tags=tags,
        params={metric_key(key): value for key, value in flatten(config).items()},
        points=points,
        steps=steps,
        started=started,
        finished=finished,
        photos=_photos(config["photos"], facts.get("photos_digest")),
        files=files,
    )


def _photos(config: Mapping[str, Any], digest: Any) -> dict[str, str] | None:
    if not isinstance(digest, str):
        return None
    name = f"scenes: {', '.join(config['kinds'])}" if config["source"] == "scenes" else Path(config["root"]).name
    # MLflow allows 36 characters of digest
    return {"name": name[:500], "digest": digest[:36], "source": json.dumps(config)}


def _milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)
