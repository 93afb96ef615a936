"""The whole study in miniature by the real Snakefile: from nothing to the table, again without work, after changes."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

# the fixture makes a whole study: minutes on quiet cores, more beside other tests
pytestmark = pytest.mark.timeout(2400)

TABLES = ("table1", "table2", "table3", "table4", "table5", "scaling")
FIGURES = ("fig2", "fig4", "fig5", "fig6", "fig7", "fig8", "fig9", "fig10", "fig11")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny):
    """A folder in which the whole miniature has been made: first Table 1 by itself, then everything."""
    folder = tmp_path_factory.mktemp("study")
    tiny.write_study(folder)
    tiny.snakemake(folder, "reports/tiny/table1.csv")
    assert [path.stem for path in (folder / "reports" / "tiny").glob("*.csv")] == ["table1"]
    tiny.snakemake(folder)
    return folder


def test_everything_in_the_paper_has_been_made(finished):
    reports = finished / "reports" / "tiny"
    for name in TABLES:
        assert {(reports / f"{name}.{form}").stat().st_size > 500 for form in ("csv", "md", "png", "svg")} == {True}
    for name in FIGURES:
        assert {(reports / f"{name}.{form}").stat().st_size > 500 for form in ("png", "svg", "md")} == {True}
        # a figure that cannot be made says why in its caption
        assert "cannot be made" not in (reports / f"{name}.md").read_text()
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
    assert json.loads((run / "provenance.json").read_text())["assistant_share"] == pytest.approx(
        log["assistant_turn"].mean()
    )
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
    assert len(runs) == 27
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


def test_a_second_call_does_nothing(finished, tiny):
    assert "Nothing to be done" in tiny.snakemake(finished)


def test_snakemakes_own_report_is_one_file_that_needs_no_network(finished, tiny):
    tiny.snakemake(finished, "--report", "report.html")
    report = (finished / "report.html").read_text()
    assert "table1.csv" in report and "fig7.png" in report
    assert not re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="https?:', report)


def test_a_removed_result_and_what_depends_on_it_is_made_again(finished, tiny):
    (victim,) = (finished / "results" / "tiny" / "runs").glob("shared-local-*")
    weights = (victim / "model.safetensors").read_bytes()
    shutil.rmtree(victim)
    jobs = tiny.planned(tiny.snakemake(finished, "--dry-run"))
    assert (jobs["train"], jobs["evaluate"], jobs["table"]) == (1, 1, 1)
    assert not {"label", "photo_scenes", "benchmark_scenes", "manifest"} & set(jobs)
    tiny.snakemake(finished, "reports/tiny/table1.csv", f"results/tiny/runs/{victim.name}/model.safetensors")
    assert (victim / "model.safetensors").read_bytes() == weights


def test_changing_a_loss_retrains_but_keeps_scenes_and_labels(finished, tiny):
    tiny.write_study(finished, loss={"variant": "paper"})
    jobs = tiny.planned(tiny.snakemake(finished, "reports/tiny/table1.csv", "--dry-run"))
    tiny.write_study(finished)
    # of the students alone: models that are scored as they are stay as they are
    assert (jobs["train"], jobs["evaluate"]) == (8, 8)
    assert not {"label", "photo_scenes", "benchmark_scenes", "manifest"} & set(jobs)


def test_changing_one_network_leaves_the_other_cells_alone(finished, tiny):
    architectures = tiny.TINY["architectures"] | {
        "midas-s": {"model": "zoo/midas-small", "size": 64, "feature": False, "head_rate": 5e-4}
    }
    tiny.write_study(finished, architectures=architectures)
    jobs = tiny.planned(tiny.snakemake(finished, *(f"reports/tiny/{table}.csv" for table in TABLES), "--dry-run"))
    tiny.write_study(finished)
    assert (jobs["train"], jobs["evaluate"]) == (4, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": [0]}, "sedes: unknown key"),
        ({"photos": "no-such-folder"}, "the folder 'no-such-folder'"),
        ({"optim": {"steps": 3, "batch": 2, "encoder_rate": "quick", "head_rate": 1e-3}}, "encoder_rate"),
    ],
)
def test_a_wrong_study_is_refused_before_anything_runs(tmp_path, changes, message, tiny):
    tiny.write_study(tmp_path, **changes)
    printed = tiny.snakemake(tmp_path, "reports/tiny/table1.csv", check=False)
    assert message in printed
    assert not (tmp_path / "results").exists()


def test_a_table_of_ones_own_trains_only_what_no_other_table_has(finished, tiny):
    table = {"title": "t", "grid": {"loss.local_global": [0.25, 0.5]}, "reference": {"loss.local_global": 0.5}}
    tiny.write_study(finished, tables={"lambda": table})
    jobs = tiny.planned(tiny.snakemake(finished, "reports/tiny/lambda.csv", "--dry-run"))
    tiny.write_study(finished)
    assert (jobs["train"], jobs["evaluate"], jobs["table"]) == (1, 1, 1)
    assert not {"label", "photo_scenes", "benchmark_scenes", "manifest"} & set(jobs)


def test_own_photographs(tmp_path, tiny):
    """A folder of photos instead of rendered scenes; the small one is left out and counted."""
    import numpy as np
    from PIL import Image

    photos = tmp_path / "my photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for index, size in enumerate([(90, 70), (70, 90), (120, 64), (50, 40)]):
        Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(photos / f"{index}.jpg")
    tiny.write_study(tmp_path, photos=str(photos), scaling=[2, 3])
    tiny.snakemake(tmp_path, *(f"results/tiny/runs/{cell}/provenance.json" for cell in [_first_cell(tmp_path)]))
    facts = json.loads((tmp_path / "results" / "tiny" / "runs" / _first_cell(tmp_path) / "provenance.json").read_text())
    assert (facts["photos_used"], facts["photos_too_small"]) == (3, 1)


def _first_cell(folder: Path) -> str:
    from dad.study.cells import all_cells, load_study

    return next(iter(all_cells(load_study(str(folder / "study.yaml")))))
