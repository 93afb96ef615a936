"""One job that trains several students: what Snakemake plans, what comes of it, and how one that failed goes on."""

import json
from pathlib import Path

import pytest

from dad.study.cells import load_study
from dad.study.jobs import Jobs
from dad.study.layout import Layout

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, tiny):
    """The miniature study with two students a job."""
    tiny.write_study(tmp_path, students_per_job=2)
    return tmp_path


def test_a_group_is_one_job_and_goes_on_after_a_failure(folder, tiny):
    plan = tiny.planned(tiny.snakemake(folder, "-n", "reports/tiny/table1.csv"))
    jobs = Jobs(Layout(load_study(str(folder / "study.yaml"))))
    of_table1 = [name for name in jobs.together if name.startswith("table1-")]
    assert len(of_table1) == 4
    assert trainings(plan) == {f"train_{name}".replace("-", "_"): 1 for name in of_table1}
    cells = list(jobs.together[of_table1[0]].cells)
    assert cells == jobs.table_cells("table1")[:2]
    # the second student's work folder cannot be made at first
    blocked = folder / "results/tiny/work" / cells[1]
    blocked.parent.mkdir(parents=True)
    blocked.write_text("")
    targets = [str(jobs.layout.weights(cell)) for cell in cells]
    # by themselves they would be a job for each of two cores
    one_lane = [*targets, "--cores", "1"]
    assert f"train_{of_table1[0]}".replace("-", "_") in tiny.snakemake(folder, *one_lane, check=False)
    runs = [folder / Path(target).parent for target in targets]
    assert not any(run.exists() and any(run.iterdir()) for run in runs)
    blocked.unlink()
    tiny.snakemake(folder, *one_lane)
    facts = [json.loads((run / "provenance.json").read_text()) for run in runs]
    assert [(one["cell"], one["students_together"], one["company"]) for one in facts] == [
        (cell, 2, cells) for cell in cells
    ]
    assert not any(blocked.parent.iterdir())
    assert "Nothing to be done" in tiny.snakemake(folder, *targets)
    # results belong to the students: whatever the grouping is from now on, these two are trained
    for most in (1, 8):
        tiny.write_study(folder, students_per_job=most)
        assert "Nothing to be done" in tiny.snakemake(folder, "-n", *targets)
    plan = trainings(tiny.planned(tiny.snakemake(folder, "-n", "reports/tiny/table1.csv")))
    assert sorted(plan.values()) == [1, 1] and "train" not in plan
    # one that is gone is trained alone, and the other one is left as it is
    Path(folder, targets[0]).unlink()
    plan = tiny.planned(tiny.snakemake(folder, "-n", *targets))
    assert trainings(plan) == {"train": 1}


def test_what_was_trained_alone_is_not_trained_again_in_company(tmp_path, tiny):
    tiny.write_study(tmp_path)
    jobs = Jobs(Layout(load_study(str(tmp_path / "study.yaml"))))
    first = jobs.table_cells("table1")[0]
    target = str(jobs.layout.weights(first))
    tiny.snakemake(tmp_path, target)
    tiny.write_study(tmp_path, students_per_job=4)
    output = tiny.snakemake(tmp_path, "-n", "reports/tiny/table1.csv")
    assert sorted(trainings(tiny.planned(output)).values()) == [1, 1]
    assert f"runs/{first}/" not in "".join(line for line in output.splitlines() if line.lstrip().startswith("output:"))


def test_more_cores_are_more_jobs_and_what_is_set_for_train_holds_for_all(folder, tiny):
    tiny.write_study(folder, students_per_job=8)
    table = "reports/tiny/table1.csv"
    assert len(trainings(tiny.planned(tiny.snakemake(folder, "-n", table, "--cores", "4")))) == 4
    of_profile = ["--profile", str(ROOT / "profiles" / "gpu"), "--resources", "gpu=2"]
    set_here = ["--set-resources", "train:gpu=1", "train:mem_mb=attempt*1234", "--resources", "gpu=4"]
    for options, count, memory in ((of_profile, 2, "mem_mb=2500"), (set_here, 4, "mem_mb=1234")):
        output = tiny.snakemake(folder, "-n", table, "--cores", "8", *options)
        jobs = [block.split("\nrule ")[0] for block in output.split("\nrule train_table1")[1:]]
        assert len(jobs) == count
        assert all("gpu=1" in job and memory in job for job in jobs)


def trainings(plan):
    return {rule: count for rule, count in plan.items() if rule.startswith("train")}
