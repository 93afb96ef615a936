"""What MLflow shows of a cell, or of a model scored as it is: tags, params, metric points and files, read from files alone."""

import csv
import dataclasses
import glob
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dad.files import read_json, sha256_file, sha256_json
from dad.tracking.places import Place
from dad.tracking.store import metric_key

CONTENT_VERSION = 3
"""Raised when the same files are to be shown differently, so that an import refreshes every run."""

CURVE_POINTS = 2000
"""Longer curves are thinned to about this many steps; the attached metrics.csv has all of them."""


@dataclass(frozen=True)
class RunContent:
    """One run as MLflow shows it. `points` maps (metric, step) to a value; times are in milliseconds since 1970."""

    subject: str
    """Id of the cell or the model; `dad.tracking.store.PARENT` for a table."""
    name: str
    digest: str
    tags: dict[str, str]
    params: dict[str, str]
    points: dict[tuple[str, int], float]
    started: int
    finished: int
    files: dict[str, Path]
    """Artifact path to file."""
    steps: int = 1
    photos: dict[str, str] | None = None
    """Name, digest and source of the training photos, where the provenance has their digest."""

    def time_of(self, key: str, step: int) -> int:
        """When a point was measured, as far as the files tell: steps spread evenly over the run, scores at its end."""
        if "/" in key:  # a score
            return self.finished
        return self.started + (self.finished - self.started) * (step + 1) // max(self.steps, step + 1)


def flatten(value: Any, name: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys; lists become comma-separated text, None becomes `null`."""
    if isinstance(value, Mapping):
        return {key: text for item in value for key, text in flatten(value[item], f"{name}.{item}" if name else str(item)).items()}
    if isinstance(value, list | tuple):
        return {name: ", ".join(str(item) for item in value)}
    return {name: value if isinstance(value, str) else json.dumps(value)}


def run_name(subject: str, place: Place | None, seed: int | None = None) -> str:
    """The short name by which a table's runs are told apart: row and seed; the id where no table is known."""
    if place is None:
        return subject
    return place.row if seed is None else f"{place.row} s{seed}"


def factor_tags(study: str, cell: str, places: Sequence[Place], place: Place | None, config: Mapping[str, Any]) -> dict[str, str]:
    """The tags by which a run is found and grouped; `config` is the resolved config of the cell, empty for an untrained model."""
    flat = flatten(config)
    factors = {"mode": "mode", "normalization": "normalization", "teacher": "teacher", "seed": "seed"}
    factors |= {"student": "student.model", "init": "student.init"}
    tags = {"dad.study": study, "dad.cell": cell, "dad.tables": ", ".join(other.table for other in places)}
    if place is not None:
        tags["row"] = place.row
    return tags | {tag: flat[key] for tag, key in factors.items() if key in flat}


def run_params(place: Place | None, config: Mapping[str, Any]) -> dict[str, str]:
    """The table's factors and the seed by their names, then the whole config as `with.<key>`.

    MLflow's Compare page draws the first params, by name, in which its runs differ: so the factors have no prefix, and the
    rest has one that sorts behind them.
    """
    factors = {} if place is None else dict(place.factors)
    if "seed" in config:
        factors.setdefault("seed", str(config["seed"]))
    return {metric_key(key): value for key, value in (factors | flatten(config, "with")).items()}


def code_tags(commit: str | None, dirty: bool | None) -> dict[str, str]:
    """The commit (also where MLflow's own version column looks) and whether the working tree differed from it."""
    if commit is None:
        return {}
    return {"git_commit": commit, "git_dirty": json.dumps(dirty), "mlflow.source.git.commit": commit}


def source_tags(command: str) -> dict[str, str]:
    """What MLflow's column `Source` shows: the command that made the run."""
    return {"mlflow.source.name": command, "mlflow.source.type": "LOCAL"}


def is_shown(step: int, steps: int) -> bool:
    """Whether a step's point is shown: all of a short run, every n-th and the last of a long one."""
    return step % math.ceil(steps / CURVE_POINTS) == 0 or step == steps - 1


def row_points(row: Mapping[str, Any]) -> dict[tuple[str, int], float]:
    """A row of the step log as points. Values that are absent or not finite are left out: MLflow stores inf as 1.8e308."""
    step = int(row["step"])
    values = {key: float(value) for key, value in row.items() if key != "step" and value not in ("", None)}
    return {(metric_key(key), step): value for key, value in values.items() if math.isfinite(value)}


def score_points(summary: Mapping[str, Any]) -> dict[tuple[str, int], float]:
    """The benchmark means as `<metric>/<dataset> <protocol>` at step 0: the UI draws them as bars over runs, a section per metric.

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
                points[metric_key(f"{metric}/{item['dataset']} {protocol}"), 0] = float(value)
    return points


def run_files(folder: Path, subject: str) -> dict[str, Path]:
    """The small files of a cell or model that exist, by artifact path. `folder` is the study's. Weights are not among them."""
    candidates = {name: folder / "runs" / subject / name for name in ("config.json", "metrics.csv", "provenance.json")}
    for ending in ("csv", "json"):
        scores = sorted((folder / "scores").glob(f"*/{glob.escape(subject)}.{ending}"))
        candidates |= {f"scores-{path.parent.name}.{ending}": path for path in scores}
    candidates["preview.png"] = folder / "previews" / f"{subject}.png"
    return {name: path for name, path in candidates.items() if path.is_file()}


def read_content(folder: Path, cell: str, places: Sequence[Place], place: Place | None) -> RunContent:
    """Read one finished cell of the study in `folder`, as the table of `place` shows it; `places` are all tables it is in.

    Raises OSError, ValueError, KeyError, TypeError or AttributeError when a file is missing, damaged, or not what it should be.
    """
    files = run_files(folder, cell)
    config = read_json(folder / "runs" / cell / "config.json")
    facts = read_json(folder / "runs" / cell / "provenance.json")
    steps = int(config["optim"]["steps"])
    points, tags = _scores(files)
    with open(folder / "runs" / cell / "metrics.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if is_shown(int(row["step"]), steps)]
    points |= {point: value for row in rows for point, value in row_points(row).items()}
    tags |= factor_tags(folder.name, cell, places, place, config) | code_tags(facts.get("git_commit"), facts.get("git_dirty"))
    tags |= {"device": str(facts["device"])} if "device" in facts else {}
    tags |= source_tags("dad train")
    finished = _milliseconds(facts["finished"])
    # of a resumed run `started` is the last process's; the wall time counts the earlier ones too
    started = min(_milliseconds(facts["started"]), finished - round(1000 * float(facts.get("wall_seconds", 0))))
    return RunContent(
        subject=cell,
        name=run_name(cell, place, config.get("seed")),
        digest=digest_of(places, place, files),
        tags=tags,
        params=run_params(place, config),
        points=points,
        started=started,
        finished=finished,
        files=files,
        steps=steps,
        photos=_photos(config["photos"], facts.get("photos_digest")),
    )


def read_model(folder: Path, model: str, places: Sequence[Place], place: Place) -> RunContent:
    """Read the scores of a model that was not trained here; raises as `read_content` does."""
    files = run_files(folder, model)
    points, tags = _scores(files)
    moment = round(max(path.stat().st_mtime for path in files.values()) * 1000)
    return RunContent(
        subject=model,
        name=run_name(model, place),
        digest=digest_of(places, place, files),
        tags=tags | factor_tags(folder.name, model, places, place, {}) | {"model": str(place.model)} | source_tags("dad evaluate"),
        params=run_params(place, {}),
        points=points,
        started=moment,
        finished=moment,
        files=files,
    )


def digest_of(places: Sequence[Place], place: Place | None, files: Mapping[str, Path], **more: Any) -> str:
    """What a run is made from, in one hash: equal digests mean that it need not be touched."""
    shape = {"version": CONTENT_VERSION, "tables": [other.table for other in places]}
    shape["place"] = None if place is None else dataclasses.asdict(place)
    return sha256_json(shape | more | {"files": {name: sha256_file(path) for name, path in files.items()}})


def _scores(files: Mapping[str, Path]) -> tuple[dict[tuple[str, int], float], dict[str, str]]:
    """Points and tags of a subject's score summaries, of which there is one per group of benchmarks."""
    summaries = [read_json(path) for name, path in files.items() if name.startswith("scores-") and name.endswith(".json")]
    # a data set may be in two groups; it counts once
    results = {(item["dataset"], item["protocol"]): item for summary in summaries for item in summary["results"]}
    if not results:
        return {}, {}
    return score_points({"results": list(results.values())}), {"protocol": ", ".join(dict.fromkeys(key[1] for key in results))}


def _photos(config: Mapping[str, Any], digest: Any) -> dict[str, str] | None:
    if not isinstance(digest, str):
        return None
    name = f"scenes: {', '.join(config['kinds'])}" if config["source"] == "scenes" else Path(config["root"]).name
    # MLflow allows 36 characters of digest
    return {"name": name[:500], "digest": digest[:36], "source": json.dumps(config)}


def _milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)
