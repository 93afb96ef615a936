"""What MLflow shows of a cell, of a model scored as it is, and of a table as a whole: read from files alone."""

import csv
import glob
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dad.errors import UserError
from dad.files import read_json, sha256_file, sha256_json
from dad.identity import read_record, require_of_weights
from dad.report.figures import figures_of
from dad.study.cells import Row, table_rows
from dad.study.config import StudyConfig
from dad.study.tables import seeds_of, table_of
from dad.tracking.store import Point, metric_key

CONTENT_VERSION = 6
"""Raised when the same files are to be shown differently, so that an import refreshes every run."""

CONFIG = "with."
"""Begins names of params that are no factor: MLflow's Compare page draws the first, by name, in which runs differ."""

CURVE_POINTS = 2000
"""Longer curves are thinned to about this many steps; the attached metrics.csv has all of them."""

NOTE_LENGTH = 7500
"""MLflow holds 8000 characters of a description."""

Files = dict[str, Path]
"""Artifact path to file."""


@dataclass(frozen=True)
class RunContent:
    """One run as MLflow shows it; times are in milliseconds since 1970."""

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]
    started: int
    finished: int
    files: Files
    photos: dict[str, str] | None = None
    """Name, digest and source of the training photos, where the provenance has their digest."""

    @property
    def digest(self) -> str:
        """What the run is made from, in one hash: equal digests mean that it need not be touched."""
        files = {name: sha256_file(path) for name, path in self.files.items()}
        return sha256_json([CONTENT_VERSION, self.name, self.tags, self.params, files])


def run_files(folder: Path, subject: str) -> Files:
    """The small files of a cell or model that exist. `folder` is the study's. Weights are not among them."""
    candidates = {name: folder / "runs" / subject / name for name in ("config.json", "metrics.csv", "provenance.json")}
    for ending in ("csv", "json"):
        scores = sorted((folder / "scores").glob(f"*/{glob.escape(subject)}.{ending}"))
        candidates |= {f"scores-{path.parent.name}.{ending}": path for path in scores}
    candidates["preview.png"] = folder / "previews" / f"{subject}.png"
    return {name: path for name, path in candidates.items() if path.is_file()}


def read_run(study: str, subject: str, files: Files, rows: Sequence[Row], row: Row | None) -> RunContent:
    """A finished cell, or a model scored as it is, as the table of `row` shows it; `rows` are those it fills in all
    tables.

    Raises OSError, ValueError, KeyError, TypeError or AttributeError when a file is missing, damaged, or not what it
    should be.
    """
    facts: dict[str, Any] = {}
    if "provenance.json" in files:
        facts = read_record(
            files["provenance.json"], files=("config.json", "metrics.csv"), cure=f"train {subject} again"
        )
    scores, tags = _scores(files, subject, facts)
    if "provenance.json" in files:
        config = read_json(files["config.json"])
        finished = _milliseconds(facts["finished"])
        # of a resumed run `started` is the last process's; the wall time counts the earlier ones too
        started = min(_milliseconds(facts["started"]), finished - round(1000 * float(facts.get("wall_seconds", 0))))
        points = _curve(files["metrics.csv"], int(config["optim"]["steps"]), started, finished)
        tags |= {"device": str(facts["device"])} if "device" in facts else {}
        tags |= code_tags(facts.get("git_commit"), facts.get("git_dirty")) | source_tags("dad train")
        photos = _photos(config["photos"], facts.get("photos_digest"))
    else:
        config, points, photos = {}, [], None
        started = finished = round(max(path.stat().st_mtime for path in files.values()) * 1000)
        tags |= {"model": str(row.model if row else subject)} | source_tags("dad evaluate")
    name, own, params = shown_as(study, subject, rows, row, config)
    points += [(key, 0, value, finished) for key, value in scores.items()]
    return RunContent(name, tags | own, params, points, started, finished, files, photos)


def flatten(value: Any, name: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys; lists become comma-separated text, None becomes `null`."""
    if isinstance(value, Mapping):
        return {
            key: text
            for item in value
            for key, text in flatten(value[item], f"{name}.{item}" if name else str(item)).items()
        }
    if isinstance(value, list | tuple):
        return {name: ", ".join(str(item) for item in value)}
    return {name: value if isinstance(value, str) else json.dumps(value)}


def shown_as(
    study: str, subject: str, rows: Sequence[Row], row: Row | None, config: Mapping[str, Any]
) -> tuple[str, dict[str, str], dict[str, str]]:
    """Name, tags and params of a run; `config` is the resolved config of the cell, empty for an untrained model.

    By its name, row and seed (the id where no table is known), runs of a table are told apart. Tags are what it is
    found and grouped by, what is no factor of this table too, so that runs can be searched alike in all of them. Params
    are the factors by their names, then as `with.<key>` what else is in the config: a factor has one name.
    """
    flat = flatten(config)
    seed = {"seed": flat["seed"]} if config else {}
    factors = (row.factors if row else {}) | seed
    name = subject if row is None else " s".join([row.name, *seed.values()])
    common = {"mode": "mode", "normalization": "normalization", "teacher": "teacher"}
    common |= {"student": "student.model", "init": "student.init"}
    tags = {"dad.study": study, "dad.cell": subject, "dad.tables": ", ".join(other.table for other in rows)}
    tags |= {} if row is None else {"row": row.name}
    tags |= {tag: flat[key] for tag, key in common.items() if key in flat} | factors
    rest = {f"{CONFIG}{key}": value for key, value in flat.items() if key not in factors}
    return name, tags, {metric_key(key): value for key, value in (factors | rest).items()}


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
    """A row of the step log as points. Values absent or not finite are left out: MLflow stores inf as 1.8e308."""
    step = int(row["step"])
    values = {key: float(value) for key, value in row.items() if key != "step" and value not in ("", None)}
    return {(metric_key(key), step): value for key, value in values.items() if math.isfinite(value)}


def _curve(path: Path, steps: int, started: int, finished: int) -> list[Point]:
    """The step log; its times are spread evenly over the run."""
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if is_shown(int(row["step"]), steps)]
    span = finished - started
    found = [point for row in rows for point in row_points(row).items()]
    return [(key, step, value, started + span * (step + 1) // max(steps, step + 1)) for (key, step), value in found]


def score_points(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The benchmark means as `<metric>/<dataset> <protocol>`: the UI draws them as bars over runs, a section per
    metric.

    The protocol's name stands without its version where the data set was scored under one protocol of that name.
    """
    names = Counter((item["dataset"], item["protocol"].split("@")[0]) for item in results)
    points = {}
    for item in results:
        short = item["protocol"].split("@")[0]
        protocol = short if names[item["dataset"], short] == 1 else item["protocol"]
        for metric, value in item["mean"].items():
            if value is not None and math.isfinite(value):
                points[metric_key(f"{metric}/{item['dataset']} {protocol}")] = float(value)
    return points


def _scores(files: Files, subject: str, run: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Points and tags of a subject's score summaries, one per group of benchmarks; `run` is its record."""
    summaries = []
    for path in [path for name, path in files.items() if name.startswith("scores-") and name.endswith(".json")]:
        summaries.append(read_record(path, files=(path.with_suffix(".csv").name,), cure=f"evaluate {subject} again"))
        require_of_weights(summaries[-1], run, path, subject)
    # a data set may be in two groups; it counts once
    results = {(item["dataset"], item["protocol"]): item for summary in summaries for item in summary["results"]}
    tags = {"protocol": ", ".join(dict.fromkeys(key[1] for key in results))} if results else {}
    return score_points(list(results.values())), tags


def _photos(config: Mapping[str, Any], digest: Any) -> dict[str, str] | None:
    if not isinstance(digest, str):
        return None
    name = f"scenes: {', '.join(config['kinds'])}" if config["source"] == "scenes" else Path(config["root"]).name
    # MLflow allows 36 characters of digest
    return {"name": name[:500], "digest": digest[:36], "source": json.dumps(config)}


def _milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def table_files(reports: Path, table: str) -> Files:
    """A table's rendered files that exist: `table1.*`, `table1_*`, and the figures made of its cells; none without its
    numbers, as figures by themselves can be of any study.
    """
    patterns = [f"{name}{rest}" for name in (table, *figures_of(table)) for rest in (".*", "_*.*")]
    endings = (".csv", ".md", ".tex", ".png", ".svg", ".pdf")
    found = {
        path.name: path for pattern in patterns for path in sorted(reports.glob(pattern)) if path.suffix in endings
    }
    return found if f"{table}.csv" in found else {}


def read_table(study: StudyConfig, table: str, children: Sequence[RunContent], cells: int, files: Files) -> RunContent:
    """A table's own run, above those of its rows: its numbers, and the rendered table and figures where there are any.

    cells: how many the table has; `children` are its runs with results. Raises UserError when the table was rendered
    for other cells than the study's (reports of an older version of it), ValueError or KeyError when it is not a table,
    OSError too.
    """
    lines = _table_lines(files[f"{table}.csv"], study, table) if files else []
    protocols = [line["protocol"] for _, line in lines] or [child.tags.get("protocol") for child in children]
    commits = list(dict.fromkeys(child.tags["git_commit"] for child in children if "git_commit" in child.tags))
    dirty = any(child.tags.get("git_dirty") == "true" for child in children)
    page, title = files.get(f"{table}.md"), f"{table_of(study, table).name}: {table_of(study, table).title}"
    started, finished = min(child.started for child in children), max(child.finished for child in children)
    tags = {
        "dad.study": study.name,
        "dad.table": table,
        "title": title,
        "seeds": ", ".join(map(str, seeds_of(study, table))),
    }
    tags |= {"cells": str(cells), "cells finished": str(sum("seed" in child.tags for child in children))}
    tags |= {"protocol": ", ".join(dict.fromkeys(filter(None, protocols)))} | source_tags(f"dad table {table}")
    tags |= code_tags(commits[0], dirty) if len(commits) == 1 else {"git_commit": ", ".join(commits)} if commits else {}
    tags["mlflow.note.content"] = title if page is None else describe(page.read_text(encoding="utf-8"))
    # one slash, because MLflow's charts make a section of everything before the last one
    means = {
        f"table/{row} {line['dataset']} {line['metric']}": float(line["mean"]) for row, line in lines if line["mean"]
    }
    points = [(metric_key(key), 0, value, finished) for key, value in means.items() if math.isfinite(value)]
    return RunContent(table, tags, {}, points, started, finished, files)


def _table_lines(path: Path, study: StudyConfig, table: str) -> list[tuple[str, dict[str, str]]]:
    """The lines of a rendered table with the names of their rows."""
    factors = table_of(study, table).factors
    rows = {tuple(row.factors[name] for name in factors): row for row in table_rows(study, table)}
    lines = []
    with open(path, newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            row = rows.get(tuple(line[name] for name in factors))
            if row is None or (row.cells and line["mean"] and line["cell"] != "+".join(row.cells)):
                raise UserError(f"{path} was not rendered from these cells of study {study.name}; render it again")
            lines.append((row.name, line))
    if not lines:
        raise ValueError("no rows")
    return lines


def describe(markdown: str) -> str:
    """What the UI shows as the run's description: the rendered page up to its second heading, which is the table."""
    lines = markdown.splitlines()
    end = next((number for number, line in enumerate(lines) if line.startswith("## ")), len(lines))
    text = "\n".join(lines[:end]).strip()
    return text if len(text) <= NOTE_LENGTH else text[:NOTE_LENGTH].rsplit("\n", 1)[0] + "\n\n..."
