"""The whole study in miniature through the real Snakefile: from nothing to the table, again without work, and after changes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]

TINY = {
    "name": "tiny",
    "description": "a miniature for the tests",
    "seeds": [0],
    "teacher": "zoo/vit-large",
    "student": {"model": "zoo/vit-small", "init": "encoder"},
    "photos": {"source": "scenes", "kinds": ["indoor", "outdoor"], "count": 4, "seed": 100000, "height": 72, "width": 96},
    "crop": {"size": 48, "min_crop": 56, "patches": 2, "flip": True},
    "optim": {"steps": 3, "batch": 2, "encoder_rate": 1e-4, "head_rate": 1e-3, "warmup": 1, "checkpoint_every": 2},
    "benchmarks": [
        {"dataset": "scenes-indoor", "count": 5, "seed": 500000, "height": 48, "width": 64, "stands_for": "ETH3D"},
        {"dataset": "scenes-outdoor", "count": 5, "seed": 500000, "height": 48, "width": 64, "stands_for": "DIODE"},
    ],
}


def snakemake(folder: Path, *arguments: str, check: bool = True) -> str:
    """Call the project's Snakefile in another folder; its output."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "study.yaml"), "--cores", "2", "--rerun-incomplete", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if check and done.returncode:
        logs = "\n".join(f"{log}:\n{log.read_text()[-1500:]}" for log in folder.rglob("*.log") if ".snakemake" not in str(log))
        raise AssertionError(f"{done.stderr[-3000:]}\n{logs[-6000:]}")
    return done.stdout + done.stderr


def write_study(folder: Path, **changes) -> None:
    (folder / "study.yaml").write_text(json.dumps(TINY | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the miniature of Table 1 has been made."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    snakemake(folder, "reports/table1.csv")
    return folder


def test_the_table_is_made_from_nothing(finished):
    table = pd.read_csv(finished / "reports" / "table1.csv")
    assert len(table) == 8 * 2 * 2
    assert set(table["mode"]) == {"shared", "local-global"}
    assert set(table["normalization"]) == {"global", "none", "local", "hybrid"}
    assert (table["protocol"] == "marigold@1").all()
    assert (table["n"] == 5).all()
    assert ((table["ci_low"] <= table["mean"]) & (table["mean"] <= table["ci_high"])).all()
    best = table[table["metric"] == "abs_rel"].groupby("dataset")["difference_to_best"].min()
    assert (best == 0).all()
    for name in ("table1.md", "table1.png", "table1_photos.png"):
        assert (finished / "reports" / name).stat().st_size > 1000
    page = (finished / "reports" / "table1.md").read_text()
    assert "scenes-indoor (in the place of ETH3D)" in page
    assert "0.064" in page


def test_the_mean_is_the_mean_of_the_images(finished):
    table = pd.read_csv(finished / "reports" / "table1.csv")
    for _, row in table.iterrows():
        scores = pd.read_csv(finished / "results" / "tiny" / "scores" / f"{row['cell']}.csv")
        mean = scores[scores["dataset"] == row["dataset"]][row["metric"]].mean()
        assert row["mean"] == pytest.approx(mean, abs=1e-6)


def test_eight_different_trainings(finished):
    runs = sorted((finished / "results" / "tiny" / "runs").iterdir())
    assert len(runs) == 8
    assert len({(run / "model.safetensors").read_bytes() for run in runs}) == 8
    assert all(json.loads((run / "provenance.json").read_text())["steps"] == 3 for run in runs)


def test_mlflow_shows_one_run_per_cell(finished):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = [run for run in client.search_runs(experiments) if "dad.cell" in run.data.tags]
    assert len(runs) == 8
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["normalization"] for run in runs} == {"global", "none", "local", "hybrid"}
    assert all("loss" in run.data.metrics for run in runs)


def test_a_second_call_does_nothing(finished):
    assert "Nothing to be done" in snakemake(finished, "reports/table1.csv")


def test_a_removed_result_and_what_depends_on_it_is_made_again(finished):
    victim = next((finished / "results" / "tiny" / "runs").glob("shared-hybrid-*"))
    weights = (victim / "model.safetensors").read_bytes()
    shutil.rmtree(victim)
    # Snakemake makes a missing intermediate file only when something downstream of it is missing, too
    for file in [finished / "results" / "tiny" / "scores" / f"{victim.name}.csv", finished / "reports" / "table1.csv"]:
        file.unlink()
    plan = snakemake(finished, "reports/table1.csv", "--dry-run")
    counts = {
        line.split()[0]: line.split()[1] for line in plan.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit()
    }
    assert counts["train"] == "1"
    assert counts["evaluate"] == "1"
    assert "label" not in counts
    snakemake(finished, "reports/table1.csv")
    assert (victim / "model.safetensors").read_bytes() == weights
    assert "Nothing to be done" in snakemake(finished, "reports/table1.csv")


def test_changing_a_loss_retrains_but_keeps_scenes_and_labels(finished):
    write_study(finished, loss={"variant": "paper"})
    plan = snakemake(finished, "reports/table1.csv", "--dry-run")
    write_study(finished)
    counts = {
        line.split()[0]: line.split()[1] for line in plan.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit()
    }
    assert counts["train"] == "8"
    assert not {"label", "photo_scenes", "benchmark_scenes", "manifest", "evaluate_teacher"} & set(counts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": [0]}, "sedes: unknown key"),
        ({"photos": "no-such-folder"}, "the folder 'no-such-folder'"),
        ({"optim": {"steps": 3, "batch": 2, "encoder_rate": "quick", "head_rate": 1e-3}}, "encoder_rate"),
    ],
)
def test_a_wrong_study_is_refused_before_anything_runs(tmp_path, changes, message):
    write_study(tmp_path, **changes)
    printed = snakemake(tmp_path, "reports/table1.csv", check=False)
    assert message in printed
    assert not (tmp_path / "results").exists()


def test_own_photographs(tmp_path):
    """A folder of photos in the place of rendered scenes; the small one is left out and counted."""
    import numpy as np
    from PIL import Image

    photos = tmp_path / "my photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for index, size in enumerate([(90, 70), (70, 90), (120, 64), (50, 40)]):
        Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(photos / f"{index}.jpg")
    write_study(tmp_path, photos=str(photos))
    snakemake(tmp_path, *(f"results/tiny/runs/{cell}/provenance.json" for cell in [_first_cell(tmp_path)]))
    facts = json.loads((tmp_path / "results" / "tiny" / "runs" / _first_cell(tmp_path) / "provenance.json").read_text())
    assert (facts["photos_used"], facts["photos_too_small"]) == (3, 1)


def _first_cell(folder: Path) -> str:
    from dad.study.cells import all_cells, load_study

    return next(iter(all_cells(load_study(str(folder / "study.yaml")))))
