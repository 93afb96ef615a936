"""One job that trains several students: what Snakemake plans, what comes of it, and how one that failed goes on."""

import json
from pathlib import Path

import pytest

from dad.study.cells import load_study
from dad.study.jobs import Jobs
from dad.study.layout import Layout


@pytest.fixture
def folder(tmp_path, tiny):
    """The miniature study with two students a job."""
    tiny.write_study(tmp_path, students_per_job=2)
    return tmp_path


def test_a_group_is_one_job_and_goes_on_after_a_failure(folder, tiny):
    plan = tiny.planned(tiny.snakemake(folder, "-n", "reports/tiny/table1.csv"))
    assert {rule: jobs for rule, jobs in plan.items() if rule.startswith("train")} == {
        f"train_table1_{number}": 1 for number in range(1, 5)
    }
    jobs = Jobs(Layout(load_study(str(folder / "study.yaml"))))
    cells = jobs.together["table1-1"]
    assert cells == jobs.table_cells("table1")[:2]
    # the second student's work folder cannot be made at first
    blocked = folder / "results/tiny/work" / cells[1]
    blocked.parent.mkdir(parents=True)
    blocked.write_text("")
    targets = [str(jobs.layout.weights(cell)) for cell in cells]
    assert "train_table1_1" in tiny.snakemake(folder, *targets, check=False)
    runs = [folder / Path(target).parent for target in targets]
    assert not any(run.exists() and any(run.iterdir()) for run in runs)
    blocked.unlink()
    tiny.snakemake(folder, *targets)
    facts = [json.loads((run / "provenance.json").read_text()) for run in runs]
    assert [(one["cell"], one["students_together"]) for one in facts] == [(cell, 2) for cell in cells]
    assert not any(blocked.parent.iterdir())
    assert "Nothing to be done" in tiny.snakemake(folder, *targets)
