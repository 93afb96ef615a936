"""The verbs as functions: `dad.load`, `dad.predict`, `dad.evaluate` and `dad.train`, for scripts and notebooks.

    import dad

    depth = dad.predict("photo.jpg", "zoo/vit-large")                                   # (H,W) float32
    scores = dad.evaluate("zoo/vit-large", {"scenes-indoor": "scenes/indoor"})          # a row per image
    run = dad.train("shared-hybrid", "photos", "runs/mine", study="config/mini.yaml")   # a folder that dad.load takes

They raise `dad.errors.UserError`, in one line, where the command line prints that line and exits with 2.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dad.errors import UserError
from dad.models.estimator import AnyEstimator, load

if TYPE_CHECKING:
    import pandas as pd

    from dad.study.config import Cell

__all__ = ["evaluate", "load", "predict", "train"]

Model = str | Path | AnyEstimator
"""Whatever `load` takes, or what it gave."""


def predict(
    images: Any,
    model: Model,
    out: str | Path | None = None,
    *,
    device: str = "auto",
    short_side: int | None = None,
    square: bool = False,
) -> NDArray[np.float32] | list[NDArray[np.float32]]:
    """Maps of images: one (H,W) float32 for one image, a list of them for a list.

    images: a path, a PIL image or an array (H,W,3) of uint8 or of floats in [0,1], or a list of these. model: what
    `load` takes, or an estimator. Values are what the estimator's `kind` says, "disparity" (larger is nearer) or
    "depth", of no fixed scale. `out`, a folder, is for paths: the files that `dad predict` writes appear there, too.
    `short_side` and `square` are `load`'s. Raises UserError for images that cannot be read.
    """
    estimator = _estimator(model, device, short_side=short_side, square=square)
    several = isinstance(images, list | tuple)
    given = list(images) if several else [images]
    if folders := [str(image) for image in given if isinstance(image, str | Path) and Path(image).is_dir()]:
        raise UserError(f"{folders[0]} is a folder: give the paths of its images, sorted(Path(FOLDER).glob('*.jpg'))")
    if out is not None:
        from dad.prediction import predict as predict_to_files

        if not all(isinstance(image, str | Path) for image in given):
            raise UserError("out is for images that are paths: the files are named like them")
        predict_to_files(given, estimator, out)
    maps = [estimator(image) for image in given]
    return maps if several else maps[0]


def evaluate(
    model: Model,
    data: Mapping[str, str | Path],
    *,
    protocols: str | Sequence[str | Path] = "marigold",
    device: str = "auto",
    out: str | Path | None = None,
) -> "pd.DataFrame":
    """Scores of a model on benchmarks: a table with a row per image and protocol, the columns of `dad evaluate`'s CSV.

    model: what `load` takes, or an estimator. data: data set -> root folder or tar (`dad data check` names the data
    sets). protocols: names or files; "all" are all that score this kind of map. `out` writes the CSV. An image that
    cannot be scored has the status "failed" and the reason in its row. Raises UserError for unknown data sets and
    protocols, and where no image at all can be scored.

    `scores.groupby(["dataset", "protocol"]).mean(numeric_only=True)` gives the means.
    """
    import pandas as pd

    from dad.data.benchmarks import open_benchmark
    from dad.evaluation.evaluate import COLUMNS, Failure, Row, resolve_protocols
    from dad.evaluation.evaluate import evaluate as evaluate_benchmark
    from dad.evaluation.protocol import load_protocol
    from dad.files import write_csv

    if not isinstance(data, Mapping) or not data:
        raise UserError("data maps data sets to their folders: {'scenes-indoor': 'scenes/indoor'}")
    names = [protocols] if isinstance(protocols, str | Path) else list(protocols)
    for name in names:
        if name != "all":
            load_protocol(name)
    benchmarks = [open_benchmark(name, Path(root)) for name, root in data.items()]
    estimator = _estimator(model, device)
    chosen = resolve_protocols(names, estimator.kind)
    rows: list[Row] = []
    failures: list[Failure] = []
    for benchmark in benchmarks:
        rows += evaluate_benchmark(benchmark, estimator, chosen, failures=failures)
    if all(row["status"] == "failed" for row in rows):
        raise UserError(f"none of {len(rows) // len(chosen)} images could be scored; first: {rows[0]['message']}")
    if out is not None:
        write_csv(out, rows, COLUMNS)
    return pd.DataFrame(rows, columns=COLUMNS)


def train(
    cell: "str | Path | Mapping[str, Any] | Cell",
    photos: str | Path,
    out: str | Path,
    *,
    study: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    labels: str | Path | None = None,
    device: str = "auto",
    resume: bool = True,
) -> Path:
    """Train one student, from photographs to weights; returns `out`, the run folder, which `load` takes.

    cell: what is trained: a run's config.json, a mapping of its values, or a cell's id with the `study` it belongs to.
    settings: single values instead of the cell's, by dotted key ({"optim.steps": 100}). photos: a folder of
    photographs, or a manifest of `dad data manifest`. labels: a folder for the teacher's maps, which several trainings
    may share (default: they are made beside the run and removed when it is done). A training that was interrupted goes
    on. Raises UserError for mistakes in any of these and for an `out` that holds a finished run, and CollapseError for
    a student that cannot recover.
    """
    from dad.devices import chosen_device
    from dad.distill.labels import compute_labels
    from dad.distill.train import cell_as_used
    from dad.distill.train import train as train_cell
    from dad.study.cells import label_id, label_views

    folder, where = Path(out), chosen_device(device)
    work = folder.with_name(f"{folder.name}.work")
    if (folder / "provenance.json").exists():
        raise UserError(f"{folder} holds a finished run: choose another folder, or `dad.load` it")
    resolved = _cell(cell, study, settings or {})
    manifest = _manifest(Path(photos), work)
    resolved = cell_as_used(resolved, manifest)
    caches: dict[str, Path | None] = {"teacher": None, "assistant": None}
    if resolved.labels.mode == "cached":
        for role, plan in resolved.label_plans.items():
            caches[role] = Path(labels or work / "labels") / label_id(plan)
            for view in label_views(resolved):
                compute_labels(plan, manifest, view, caches[role] / view, device=where)
    train_cell(
        resolved,
        manifest=manifest,
        labels=caches["teacher"],
        assistant_labels=caches["assistant"],
        out=folder,
        work=work / "training",
        resume=resume,
    )
    shutil.rmtree(work)
    return folder


def _estimator(model: Model, device: str, **options: Any) -> AnyEstimator:
    if not isinstance(model, str | Path):
        if any(options.values()):
            raise UserError("short_side and square are for a model's name; an estimator was made with its own")
        return model
    from dad.devices import chosen_device

    return load(model, device=chosen_device(device), **options)


def _cell(
    cell: "str | Path | Mapping[str, Any] | Cell", study: str | Path | None, settings: Mapping[str, Any]
) -> "Cell":
    from dad.study.base import parse_model
    from dad.study.cells import load_cell
    from dad.study.config import Cell
    from dad.study.settings import with_settings

    if isinstance(cell, Mapping):
        found = parse_model(Cell, dict(cell), source="cell")
    elif isinstance(cell, str | Path):
        found = load_cell(str(cell), None if study is None else str(study))
    else:
        found = cell
    # values as YAML reads them: JSON is YAML
    return with_settings(found, [f"{key}={json.dumps(value)}" for key, value in settings.items()], what="the cell")


def _manifest(photos: Path, work: Path) -> Path:
    from dad.data.manifest import make_manifest

    if photos.is_file():
        return photos
    if not photos.is_dir():
        raise UserError(f"{photos} is neither a folder of photographs nor a manifest")
    work.mkdir(parents=True, exist_ok=True)
    make_manifest(photos, work / "photos.jsonl", progress=False)
    return work / "photos.jsonl"
