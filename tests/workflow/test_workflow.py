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
    "assistant": {"model": "zoo/genpercept", "share": 0.5},
    "student": {"model": "zoo/vit-small", "init": "encoder"},
    "architectures": {
        "da-l": {"model": "zoo/vit-large"},
        "da-s": {"model": "zoo/vit-small"},
        "midas-l": {"model": "zoo/midas-large", "feature": False},
        "midas-s": {"model": "zoo/midas-small", "size": 64, "feature": False},
    },
    "photos": {"source": "scenes", "kinds": ["indoor", "outdoor"], "count": 4, "seed": 100000, "height": 72, "width": 96},
    "scaling": [2, 4],
    "crop": {"size": 48, "min_crop": 64, "patches": 2, "flip": True},
    "optim": {"steps": 3, "batch": 2, "encoder_rate": 1e-4, "head_rate": 1e-3, "warmup": 1, "checkpoint_every": 2},
    "benchmarks": [
        {"dataset": "scenes-indoor", "count": 5, "seed": 500000, "height": 48, "width": 64, "stands_for": "ETH3D"},
        {"dataset": "scenes-outdoor", "count": 5, "seed": 500000, "height": 48, "width": 64, "stands_for": "DIODE"},
        {"dataset": "scenes-indoor-b", "count": 5, "seed": 600000, "height": 48, "width": 64, "stands_for": "NYUv2"},
    ],
}
TABLES = ("table1", "table2", "table3", "table4", "table5", "scaling")
FIGURES = ("fig2", "fig4", "fig5", "fig6", "fig7", "fig8", "fig9", "fig10", "fig11")


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
    """A folder in which the whole miniature has been made: first Table 1 by itself, then everything."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    snakemake(folder, "reports/tiny/table1.csv")
    assert [path.stem for path in (folder / "reports" / "tiny").glob("*.csv")] == ["table1"]
    snakemake(folder)
    return folder


def planned(output: str) -> dict[str, int]:
    """Rule -> jobs of a dry run."""
    return {words[0]: int(words[1]) for line in output.splitlines() if len(words := line.split()) == 2 and words[1].isdigit()}


def test_everything_in_the_paper_has_been_made(finished):
    reports = finished / "reports" / "tiny"
    for name in TABLES:
        assert {(reports / f"{name}.{form}").stat().st_size > 500 for form in ("csv", "md", "png", "svg")} == {True}
    for name in FIGURES:
        assert {(reports / f"{name}.{form}").stat().st_size > 500 for form in ("png", "svg", "md")} == {True}
        # a figure that can not be made says why in its caption
        assert "can not be made" not in (reports / f"{name}.md").read_text()
    assert "held" in (reports / "claims.md").read_text()
    page = (reports / "index.html").read_text()
    assert all(name in page for name in ("table1", "table5", "fig2", "fig11"))


def test_no_cell_of_a_table_is_empty_without_a_reason(finished):
    for name in TABLES:
        table = pd.read_csv(finished / "reports" / "tiny" / f"{name}.csv")
        absent = table["mean"].isna()
        assert table.loc[absent, "reason"].notna().all()
    five = pd.read_csv(finished / "reports" / "tiny" / "table5.csv")
    assert set(five[five["mean"].isna()]["reason"]) == {
        "printed only: the study names no model of this method",
        "this study has no data set for this benchmark",
    }


def test_the_realised_ratio_of_two_teachers_is_in_the_log(finished):
    (run,) = (finished / "results" / "tiny" / "runs").glob("*-select-*")
    log = pd.read_csv(run / "metrics.csv")
    assert json.loads((run / "provenance.json").read_text())["assistant_share"] == pytest.approx(log["assistant_turn"].mean())
    assert (log["loss_by_teacher"].isna() == (log["assistant_turn"] == 1)).all()


def test_the_table_is_made_from_nothing(finished):
    table = pd.read_csv(finished / "reports" / "tiny" / "table1.csv")
    assert len(table) == 8 * 2 * 2
    assert set(table["mode"]) == {"shared", "local-global"}
    assert set(table["normalization"]) == {"global", "none", "local", "hybrid"}
    assert (table["protocol"] == "marigold@1").all()
    assert (table["n"] == 5).all()
    assert ((table["ci_low"] <= table["mean"]) & (table["mean"] <= table["ci_high"])).all()
    best = table[table["metric"] == "abs_rel"].groupby("dataset")["difference_to_best"].min()
    assert (best == 0).all()
    for name in ("table1.md", "table1.png", "table1_photos.png"):
        assert (finished / "reports" / "tiny" / name).stat().st_size > 1000
    page = (finished / "reports" / "tiny" / "table1.md").read_text()
    assert "scenes-indoor (for ETH3D)" in page
    assert "0.064" in page


def test_the_mean_is_the_mean_of_the_images(finished):
    table = pd.read_csv(finished / "reports" / "tiny" / "table1.csv")
    for _, row in table.iterrows():
        scores = pd.read_csv(finished / "results" / "tiny" / "scores" / "ablation" / f"{row['cell']}.csv")
        mean = scores[scores["dataset"] == row["dataset"]][row["metric"]].mean()
        assert row["mean"] == pytest.approx(mean, abs=1e-6)


def test_different_cells_are_different_trainings(finished):
    runs = sorted((finished / "results" / "tiny" / "runs").iterdir())
    assert len(runs) == 22
    assert len({(run / "model.safetensors").read_bytes() for run in runs}) == len(runs)
    assert all(json.loads((run / "provenance.json").read_text())["steps"] == 3 for run in runs)


def test_mlflow_shows_an_experiment_per_table_with_a_run_per_cell(finished):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    experiments = {experiment.name: experiment.experiment_id for experiment in client.search_experiments()}
    assert {f"tiny/{table}" for table in TABLES} <= set(experiments)
    runs = [run for run in client.search_runs([experiments["tiny/table1"]]) if "dad.cell" in run.data.tags]
    assert len(runs) == 8
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["normalization"] for run in runs} == {"global", "none", "local", "hybrid"}
    assert all("loss" in run.data.metrics for run in runs)


def test_a_second_call_does_nothing(finished):
    assert "Nothing to be done" in snakemake(finished)


def test_a_removed_result_and_what_depends_on_it_is_made_again(finished):
    (victim,) = (finished / "results" / "tiny" / "runs").glob("shared-local-*")
    weights = (victim / "model.safetensors").read_bytes()
    shutil.rmtree(victim)
    jobs = planned(snakemake(finished, "--dry-run"))
    assert (jobs["train"], jobs["evaluate"], jobs["table"]) == (1, 1, 1)
    assert not {"label", "photo_scenes", "benchmark_scenes", "manifest"} & set(jobs)
    snakemake(finished, "reports/tiny/table1.csv", f"results/tiny/runs/{victim.name}/model.safetensors")
    assert (victim / "model.safetensors").read_bytes() == weights


def test_changing_a_loss_retrains_but_keeps_scenes_and_labels(finished):
    write_study(finished, loss={"variant": "paper"})
    jobs = planned(snakemake(finished, "reports/tiny/table1.csv", "--dry-run"))
    write_study(finished)
    assert jobs["train"] == 8
    assert not {"label", "photo_scenes", "benchmark_scenes", "manifest"} & set(jobs)


def test_changing_one_network_leaves_the_other_cells_alone(finished):
    architectures = TINY["architectures"] | {
        "midas-s": {"model": "zoo/midas-small", "size": 64, "feature": False, "head_rate": 5e-4}
    }
    write_study(finished, architectures=architectures)
    jobs = planned(snakemake(finished, *(f"reports/tiny/{table}.csv" for table in TABLES), "--dry-run"))
    write_study(finished)
    assert (jobs["train"], jobs["evaluate"]) == (2, 2)


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
    printed = snakemake(tmp_path, "reports/tiny/table1.csv", check=False)
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
