"""A finished run is read in one way: the reader finds out if one of its files is no longer what the training wrote."""

import json

import pytest
import torch

from dad.analysis.provenance import read_run_record
from dad.analysis.scores import read_scores
from dad.errors import UserError
from dad.export import export
from dad.files import sha256_file, write_csv, write_json
from dad.identity import write_sealed_json
from dad.models import load
from dad.models.checkpoints import save_network
from dad.models.config import MidasSmallConfig
from dad.models.registry import build_network
from dad.premises.shares import term_shares
from dad.report.page.cells import read_runs
from dad.study.cells import all_cells, load_study
from dad.study.layout import Layout
from dad.tracking.content import read_run, run_files

STUDY = load_study("config/mini.yaml")
NAME, CELL = next(iter(all_cells(STUDY).items()))


def weights(path, seed):
    torch.manual_seed(seed)
    network = build_network(MidasSmallConfig(channel_multiplier=0.25, depth_multiplier=0.5, fusion=8))
    save_network(path, network, input_size=64, origin="a test")


@pytest.fixture
def layout(tmp_path):
    """Results with one finished and scored run."""
    layout = Layout(STUDY, tmp_path / "results", tmp_path / "reports")
    run = layout.run(NAME)
    run.mkdir(parents=True)
    weights(run / "model.safetensors", 0)
    write_json(run / "config.json", CELL.model_dump(mode="json"))
    row = {"step": 0, "loss": 1.0, "output_median": 1.0} | {
        f"loss_{term}": 1.0 for term in ("distillation", "global", "local", "feature", "gradient", "shared")
    }
    write_csv(run / "metrics.csv", [row], list(row))
    facts = {
        "cell": NAME,
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:01:00+00:00",
        "wall_seconds": 60.0,
    }
    facts["files"] = {file: sha256_file(run / file) for file in ("config.json", "metrics.csv", "model.safetensors")}
    write_sealed_json(run / "provenance.json", facts)
    scores = layout.scores("ablation", NAME)
    line = {
        "model": NAME,
        "dataset": "scenes-indoor",
        "protocol": "marigold@1",
        "protocol_hash": "ab",
        "image": "a",
        "scene": "a",
    }
    line |= {"n": 5, "abs_rel": 0.25, "delta1": 0.5}
    write_csv(scores, [line], list(line))
    results = [
        {"dataset": "scenes-indoor", "protocol": "marigold@1", "images": 1, "mean": {"abs_rel": 0.25, "delta1": 0.5}}
    ]
    summary = {"model": NAME, "results": results, "failures": [], "weights": facts["files"]["model.safetensors"]}
    write_sealed_json(scores.with_suffix(".json"), summary | {"files": {scores.name: sha256_file(scores)}})
    return layout


READERS = {
    "load": lambda layout, out: load(layout.run(NAME)),
    "export": lambda layout, out: export(layout.run(NAME), out / "out", form="safetensors"),
    "table": lambda layout, out: read_run_record(layout, NAME),
    "page": lambda layout, out: read_runs(layout, {NAME: CELL}, {}),
    "scores": lambda layout, out: read_scores(NAME, layout.scores("ablation", NAME), "marigold@1", ["scenes-indoor"]),
    "premises": lambda layout, out: term_shares(layout.run(NAME)),
    "tracking": lambda layout, out: read_run("mini", NAME, run_files(layout.run(NAME).parent.parent, NAME), (), None),
}


def edit_log(layout):
    path = layout.run(NAME) / "metrics.csv"
    path.write_text(path.read_text().replace("1.0", "0.5", 1))


def edit_config(layout):
    path = layout.run(NAME) / "config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1', 1))


def edit_record(layout):
    path = layout.run(NAME) / "provenance.json"
    path.write_text(path.read_text().replace("60.0", "61.0"))


def edit_scores(layout):
    path = layout.scores("ablation", NAME)
    path.write_text(path.read_text().replace("0.25", "0.15"))


def edit_summary(layout):
    path = layout.summary("ablation", NAME)
    path.write_text(path.read_text().replace("0.25", "0.15"))


def other_weights(layout):
    """Sound, but another network's."""
    weights(layout.weights(NAME), 1)


def trained_again(layout):
    """A run that is whole, and of other weights than those that were scored."""
    weights(layout.weights(NAME), 1)
    path = layout.run(NAME) / "provenance.json"
    facts = json.loads(path.read_text())
    del facts["sha256"]
    facts["files"]["model.safetensors"] = sha256_file(layout.weights(NAME))
    write_sealed_json(path, facts)


FOUND = {
    edit_log: {"export", "table", "page", "premises", "tracking"},
    edit_config: {"export", "table", "page", "premises", "tracking"},
    edit_record: {"load", "export", "table", "page", "scores", "premises", "tracking"},
    edit_scores: {"export", "scores", "tracking"},
    edit_summary: {"export", "scores", "tracking"},
    other_weights: {"load", "export"},
    trained_again: {"export", "scores", "tracking"},
}
"""A change, and who must find it; all others do not read what was changed."""


@pytest.mark.parametrize("reader", READERS)
def test_what_was_not_changed_is_read(layout, tmp_path, reader):
    READERS[reader](layout, tmp_path)


@pytest.mark.parametrize(
    ("change", "reader"),
    [pytest.param(c, r, id=f"{c.__name__}-{r}") for c, found in FOUND.items() for r in sorted(found)],
)
def test_a_change_is_found_by_whoever_reads_it(layout, tmp_path, change, reader):
    change(layout)
    with pytest.raises(UserError, match="again"):
        READERS[reader](layout, tmp_path)
    assert not (tmp_path / "out").exists()
