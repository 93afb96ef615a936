"""A small study's results as files, a store of its own for each test, and `kit`: what the tracking's tests share."""

import shutil
import sqlite3
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from dad.files import write_bytes, write_csv, write_json
from dad.study.cells import all_cells
from dad.study.config import StudyConfig
from dad.tracking import LiveTracker, connect, import_results, tables_by_cell

STEPS = 40
STUDY = StudyConfig(
    name="mini",
    description="small",
    seeds=(0,),
    teacher="zoo/vit-large",
    student={"model": "zoo/vit-small", "init": "encoder"},
    photos={"source": "scenes", "kinds": ("indoor", "outdoor"), "count": 4, "seed": 1, "height": 64, "width": 64},
    crop={"size": 28, "min_crop": 40, "patches": 2},
    optim={"steps": STEPS, "batch": 2, "encoder_rate": 1e-4, "head_rate": 1e-3},
    benchmarks=({"dataset": "scenes-indoor", "root": "scenes"},),
)
CELLS = all_cells(STUDY)
NAMES = [name for name in CELLS if name.startswith("shared-")][:2]
"""Two cells that are in Table 1 only."""
SHARED = next(name for name in CELLS if name.startswith("shared-hybrid-"))
"""A cell of Tables 1 and 2."""
PLACES = tables_by_cell(STUDY)
STARTED = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)


def step_rows(name):
    """A step log whose values tell cell and step apart."""
    offset = sum(name.encode()) % 97 / 97
    return [
        {"step": step, "loss": offset + 1 / (step + 3), "output_median": offset + step / 7, "rate": 0.1}
        for step in range(STEPS)
    ]


def write_scores(folder, name, abs_rel=0.25, group="ablation", dataset="scenes-indoor"):
    result = {"dataset": dataset, "protocol": "marigold@1", "protocol_hash": "ab", "images": 2, "empty": 0}
    result["mean"] = {"abs_rel": abs_rel, "delta1": 0.5}
    write_json(folder / "scores" / group / f"{name}.json", {"model": name, "results": [result]})
    write_csv(folder / "scores" / group / f"{name}.csv", [{"model": name, "abs_rel": abs_rel}], ["model", "abs_rel"])


def write_run(folder, name):
    run = folder / "runs" / name
    write_json(run / "config.json", CELLS[name].model_dump(mode="json"))
    rows = step_rows(name)
    write_csv(run / "metrics.csv", rows, list(rows[0]))
    times = {"started": STARTED.isoformat(), "finished": STARTED.replace(second=52).isoformat(), "wall_seconds": 47.5}
    facts = {
        "photos_digest": "0123456789abcdef" * 4,
        "git_commit": "c" * 40,
        "git_dirty": True,
        "device": "cpu, some model",
    }
    write_json(run / "provenance.json", {"cell": name, "steps": STEPS} | times | facts)


@pytest.fixture
def results(tmp_path):
    """A results folder with two finished, scored cells of the study."""
    folder = tmp_path / "results" / "mini"
    for name in NAMES:
        write_run(folder, name)
        write_scores(folder, name)
        write_bytes(folder / "previews" / f"{name}.png", b"\x89PNG picture of " + name.encode())
    return folder.parent


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory):
    path = tmp_path_factory.mktemp("blank") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(blank_database, tmp_path):
    """A store of its own for each test; creating one takes MLflow six seconds, copying it none."""
    path = tmp_path / "store" / "mlflow.db"
    path.parent.mkdir()
    shutil.copyfile(blank_database, path)
    return path


@pytest.fixture
def uri(database):
    return f"sqlite:///{database}"


def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def all_runs(uri, query="", experiment="mini/table1"):
    found = client(uri).get_experiment_by_name(experiment)
    return list(client(uri).search_runs([found.experiment_id], query)) if found else []


def active_runs(uri, query="", experiment="mini/table1"):
    """The runs of cells and models."""
    return [run for run in all_runs(uri, query, experiment) if "dad.cell" in run.data.tags]


def parent_run(uri, experiment="mini/table1"):
    (run,) = [run for run in all_runs(uri, experiment=experiment) if "dad.table" in run.data.tags]
    return run


def artifacts(uri, run):
    return {item.path for item in client(uri).list_artifacts(run.info.run_id)}


def history(uri, run, key):
    points = client(uri).get_metric_history(run.info.run_id, key)
    return sorted((point.step, point.value) for point in points)


def curve(name, key="loss"):
    return [(row["step"], row[key]) for row in step_rows(name)]


def dump(database):
    with sqlite3.connect(database) as connection:
        return sorted(connection.iterdump())


def bring_in(results, uri, **options):
    return import_results(results, uri, studies=[STUDY], **options)


def tracker(uri, name=NAMES[0]):
    return LiveTracker(uri, CELLS[name], study="mini", tables=PLACES[name])


def feed(listener, name=NAMES[0], start=0, stop=STEPS, size=7):
    rows = step_rows(name)
    for first in range(start, stop, size):
        listener(rows[first : min(first + size, stop)])


def train_and_fail(uri, stop, error):
    with tracker(uri) as listener:
        feed(listener, stop=stop)
        raise error


SHARES = [
    step_rows,
    write_scores,
    write_run,
    client,
    all_runs,
    active_runs,
    parent_run,
    artifacts,
    history,
    curve,
    dump,
    bring_in,
]
SHARES += [tracker, feed, train_and_fail]
CONSTANTS = {
    "STUDY": STUDY,
    "CELLS": CELLS,
    "NAMES": NAMES,
    "SHARED": SHARED,
    "PLACES": PLACES,
    "STEPS": STEPS,
    "STARTED": STARTED,
}


@pytest.fixture(scope="session")
def kit():
    """The functions and constants above."""
    return SimpleNamespace(**{share.__name__: share for share in SHARES}, **CONSTANTS)
