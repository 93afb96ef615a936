"""Which students one job trains, and what that job reads and asks for."""

import json

import pytest

from dad.study.cells import load_study
from dad.study.config import StudyConfig
from dad.study.jobs import Jobs
from dad.study.layout import Layout
from dad.study.needs import training_gib, training_hours
from dad.study.together import Lanes, groups, largest


def study(name="mini", **changes) -> StudyConfig:
    return load_study(f"config/{name}.yaml").model_copy(update=changes)


def jobs(root, name="mini", lanes=None, targets=(), **changes) -> Jobs:
    layout = Layout(study(name, **changes), results=root / "results", reports=root / "reports")
    return Jobs(layout, lanes=lanes, targets=targets)


def groups_of(made, table) -> list[list[str]]:
    return [list(one.cells) for name, one in made.together.items() if name.startswith(f"{table}-")]


def test_one_student_per_job_is_one_student_per_job(tmp_path):
    plain = jobs(tmp_path)
    assert plain.together == {}
    assert plain.alone == list(plain.cells)


@pytest.mark.parametrize("most", [2, 3, 8, 100])
def test_groups_read_the_same_labels_and_hold_everyone_once(tmp_path, most):
    made = jobs(tmp_path, students_per_job=most)
    grouped = [name for group in made.together.values() for name in group.cells]
    assert sorted(grouped + made.alone) == sorted(made.cells)
    for group in (one.cells for one in made.together.values()):
        assert 1 < len(group) <= most
        assert len({made.cells[name].label_plans["teacher"] for name in group}) == 1
        assert len({of.model for name in group if (of := made.cells[name].assistant)}) <= 1
    table1 = made.table_cells("table1")
    of_table1 = [name for group in groups_of(made, "table1") for name in group]
    assert of_table1 == table1[: len(of_table1)] and len(of_table1) >= 8 - 8 % most


def test_two_assistants_are_two_groups(tmp_path):
    made = jobs(tmp_path)
    guided = next(cell for cell in made.cells.values() if cell.assistant)
    other = guided.model_copy(update={"assistant": guided.assistant.model_copy(update={"model": "zoo/vit-small"})})
    plain = guided.model_copy(update={"assistant": None, "supervision": "teacher"})
    assert groups({"a": plain, "b": guided, "c": other, "d": plain}, 4) == [["a", "b", "d"], ["c"]]


def test_a_group_costs_one_teacher_and_every_students_weights():
    """By hand from needs.yaml: ViT-L is 335 million parameters, 1.25 GiB in float32."""
    paper = study("paper")
    cells = [cell for cell in Jobs(Layout(paper)).cells.values() if cell.mode == "shared" and not cell.assistant][:4]
    one, four = training_gib(cells[0]), training_gib(*cells)
    assert four - one == pytest.approx(3 * 4 * 335e6 * 4 / 2**30)
    alone = [training_hours(cell, rates=paper.rates) for cell in cells]
    passes = 20_000 * 8 / 60 / 3600
    assert sum(alone) - training_hours(*cells, rates=paper.rates) == pytest.approx(3 * passes)


def test_a_groups_job_names_its_students_once(tmp_path):
    made = jobs(tmp_path, students_per_job=4)
    name, cells = next((name, one.cells) for name, one in made.together.items())
    options = made.together_options(name)
    assert [option for option in options if option.startswith("--cell=")] == [f"--cell={cell}" for cell in cells]
    assert len([option for option in options if option.startswith("--labels=")]) == 1
    assert set(made.together_reads(name)["labels"]) == {path for cell in cells for path in made.label_caches(cell)}


@pytest.mark.parametrize(
    ("sizes", "jobs", "expected"),
    # by hand: four at a time are two jobs; three GPUs take 3, 3 and 2; eight take one each; twelve jobs of four stay so
    [
        ([8], 1, 4),
        ([8], 2, 4),
        ([8], 3, 3),
        ([8], 4, 2),
        ([8], 8, 1),
        ([8], 100, 1),
        ([8, 4], 4, 4),
        ([8, 4], 6, 2),
        ([12] * 4, 8, 4),
    ],
)
def test_a_job_has_as_many_students_as_leave_a_job_for_every_gpu(sizes, jobs, expected):
    assert largest(sizes, 4, jobs) == expected


@pytest.mark.parametrize(("gpus", "sizes"), [(1, [4, 4]), (2, [4, 4]), (3, [3, 3, 2]), (4, [2, 2, 2, 2]), (8, [])])
def test_the_papers_table_1_uses_the_gpus_there_are(tmp_path, gpus, sizes):
    target = str(tmp_path / "reports" / "paper" / "table1.csv")
    made = jobs(tmp_path, "paper", lanes=Lanes(gpus=gpus), targets=[target])
    assert [len(group) for group in groups_of(made, "table1")] == sizes
    assert (set(made.table_cells("table1")) <= set(made.alone)) == (gpus == 8)


def test_where_there_is_enough_to_do_nothing_is_divided(tmp_path):
    """All of the paper's study is more jobs than eight GPUs: each further one would be one more pass of a teacher."""
    made = jobs(tmp_path, "paper", lanes=Lanes(gpus=8))
    assert [len(group) for group in groups_of(made, "table1")] == [4, 4]


def test_cores_count_where_no_gpu_is_asked_for(tmp_path):
    made = jobs(
        tmp_path, lanes=Lanes(gpus=1, cores=4), targets=[str(tmp_path / "reports" / "table1.csv")], students_per_job=8
    )
    assert [len(group) for group in groups_of(made, "table1")] == [2, 2, 2, 2]


def test_gpus_count_where_the_call_gives_one_to_every_training(tmp_path):
    target = str(tmp_path / "reports" / "table1.csv")
    made = jobs(tmp_path, lanes=Lanes(gpus=8, cores=1, each=2), targets=[target], students_per_job=8)
    assert [len(group) for group in groups_of(made, "table1")] == [2, 2, 2, 2]


def test_students_that_have_no_room_together_are_fewer_in_a_job(tmp_path):
    made = jobs(tmp_path, "paper")
    four = groups_of(made, "table1")[0]
    gib = training_gib(*(made.cells[name] for name in four))
    less = jobs(tmp_path, "paper", lanes=Lanes(gpu_gib=gib - 1))
    assert [len(group) for group in groups_of(less, "table1")] == [3, 3, 2]
    assert groups_of(jobs(tmp_path, "paper", lanes=Lanes(gpu_gib=gib)), "table1") == groups_of(made, "table1")


def finish(made, *cells, company=()):
    """The files of trained students, as far as planning looks at them."""
    for cell in cells:
        for path in made.layout.run_files(cell):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"company": list(company)}))


def test_trained_students_stay_as_they_were_trained(tmp_path):
    before = jobs(tmp_path, students_per_job=4)
    name, company = next((name, one) for name, one in before.together.items() if name.startswith("table1-"))
    lonely = next(cell for cell in before.table_cells("table1") if cell not in company.cells)
    finish(before, *company.cells, company=company.whole)
    finish(before, lonely, company=[lonely])
    for most in (1, 2, 4, 8):
        now = jobs(tmp_path, students_per_job=most)
        assert now.together[name] == company
        assert lonely in now.alone
        grouped = [cell for one in now.together.values() for cell in one.cells]
        assert sorted(grouped + now.alone) == sorted(now.cells)


def test_one_that_is_gone_is_trained_without_the_others(tmp_path):
    before = jobs(tmp_path, students_per_job=4)
    name, company = next((name, one) for name, one in before.together.items() if name.startswith("table1-"))
    finish(before, *company.cells, company=company.whole)
    before.layout.weights(company.cells[1]).unlink()
    now = jobs(tmp_path, students_per_job=1)
    assert now.together[name].cells == (company.cells[0], *company.cells[2:])
    assert now.together_reads(name) == before.together_reads(name)
    assert company.cells[1] in now.alone


def test_a_damaged_record_is_no_company(tmp_path):
    before = jobs(tmp_path, students_per_job=4)
    name, company = next((name, one) for name, one in before.together.items())
    finish(before, *company.cells, company=company.whole)
    before.layout.run_files(company.cells[0])[-1].write_text("{")
    now = jobs(tmp_path, students_per_job=1)
    assert company.cells[0] in now.alone
    assert now.together[name].cells == company.cells[1:]


def test_a_node_of_a_cluster_knows_a_job_by_the_name_it_was_given(tmp_path):
    planned = jobs(tmp_path, "paper", lanes=Lanes(gpus=3), targets=[str(tmp_path / "reports" / "paper" / "table1.csv")])
    planned.trainings.write()
    other = jobs(tmp_path, "paper")
    other.trainings.write()
    node = jobs(tmp_path, "paper")
    node.trainings.read()
    assert planned.together.items() <= node.together.items()
