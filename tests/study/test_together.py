"""Which students one job trains, and what that job reads and asks for."""

import pytest

from dad.study.cells import load_study
from dad.study.config import StudyConfig
from dad.study.jobs import Jobs
from dad.study.layout import Layout
from dad.study.needs import training_gib, training_hours
from dad.study.together import groups


def study(name="mini", **changes) -> StudyConfig:
    return load_study(f"config/{name}.yaml").model_copy(update=changes)


def jobs(root, **changes) -> Jobs:
    return Jobs(Layout(study(**changes), results=root / "results", reports=root / "reports"))


def test_one_student_per_job_is_one_student_per_job(tmp_path):
    plain = jobs(tmp_path)
    assert plain.together == {}
    assert plain.alone == list(plain.cells)


@pytest.mark.parametrize("most", [2, 3, 8, 100])
def test_groups_read_the_same_labels_and_hold_everyone_once(tmp_path, most):
    made = jobs(tmp_path, students_per_job=most)
    grouped = [name for group in made.together.values() for name in group]
    assert sorted(grouped + made.alone) == sorted(made.cells)
    for group in made.together.values():
        assert 1 < len(group) <= most
        assert len({made.cells[name].label_plans["teacher"] for name in group}) == 1
        assert len({of.model for name in group if (of := made.cells[name].assistant)}) <= 1
    table1 = made.table_cells("table1")
    of_table1 = [name for key, group in made.together.items() if key.startswith("table1-") for name in group]
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
    name, cells = next(iter(made.together.items()))
    options = made.together_options(name)
    assert [option for option in options if option.startswith("--cell=")] == [f"--cell={cell}" for cell in cells]
    assert len([option for option in options if option.startswith("--labels=")]) == 1
    assert set(made.together_reads(name)["labels"]) == {path for cell in cells for path in made.label_caches(cell)}
