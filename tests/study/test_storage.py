"""Shared labels: on disk where two or more jobs are going to read them, else in the loop."""

import json

import pytest

from dad.study.cells import all_cells, label_id, label_views, load_study
from dad.study.cost import estimate
from dad.study.jobs import Jobs
from dad.study.layout import Layout
from dad.study.storage import read_by_several, stored_views


def study(**changes):
    found = load_study("config/mini.yaml")
    return found.model_copy(
        update={"labels": found.labels.model_copy(update={"mode": "shared"}), "scaling": (500,)} | changes
    )


def jobs(root, targets=(), **changes) -> Jobs:
    return Jobs(Layout(study(**changes), root / "results", root / "reports"), targets=targets)


def reads(made, cell):
    return made.label_caches(cell), made.label_options(cell)


def test_what_several_jobs_read_is_stored_and_the_rest_is_not():
    cells = list(all_cells(study()).values())
    squares = [cell for cell in cells if label_views(cell) == ("square",) and cell.label_plans == cells[0].label_plans][
        :2
    ]
    both = next(cell for cell in cells if len(label_views(cell)) == 2 and cell.label_plans == cells[0].label_plans)
    plan = label_id(cells[0].label_plans["teacher"])
    assert read_by_several([[squares[0]]]) == frozenset()
    assert read_by_several([squares]) == frozenset(), "one job of two students reads once"
    assert read_by_several([[squares[0]], [squares[1]]]) == {(plan, "square")}
    several = read_by_several([[squares[0]], [both]])
    assert several == {(plan, "square")}, "one job reads the patches"
    assert stored_views(both, several) == {"teacher": ["square"]}
    for mode, expected in (("cached", {"teacher": list(label_views(both))}), ("online", {})):
        assert (
            stored_views(both.model_copy(update={"labels": both.labels.model_copy(update={"mode": mode})}), several)
            == expected
        )


def test_the_workflow_reads_what_is_shared_and_gives_the_rest_to_the_loop(tmp_path):
    made = jobs(tmp_path)
    readers = {}
    own = all_cells(made.study)
    for cell in own.values():
        for plan in cell.label_plans.values():
            for view in label_views(cell):
                key = str(made.layout.labels(label_id(plan), view) / "index.json")
                readers[key] = readers.get(key, 0) + 1
    assert {1} < set(readers.values())
    found = {path for cell in own for path in made.label_caches(cell)}
    assert found == {path for path, count in readers.items() if count > 1}
    lonely = next(name for name, cell in own.items() if not made.label_caches(name))
    assert made.label_options(lonely) == []
    assert set(made.trained_from(lonely)) > set(made.weights(own[lonely].student.model))


def trained(made, cell, stored):
    for path in made.layout.run_files(cell):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"company": [cell], "labels_stored": stored}))


def test_trained_students_keep_what_they_read(tmp_path):
    """Another table that reads the same labels, or one less, trains nothing again."""
    made = jobs(tmp_path)
    first, second, *_ = made.table_cells("table1")
    before = reads(made, first)
    assert before[0]
    trained(made, first, {"teacher": list(label_views(made.cells[first]))})
    trained(made, second, {})
    again = jobs(tmp_path)
    assert reads(again, first) == before
    assert reads(again, second) == ([], [])


def test_one_job_is_one_reader_and_what_is_there_is_read(tmp_path):
    target = str(tmp_path / "reports" / "table1.csv")
    alone = jobs(tmp_path, [target], students_per_job=8)
    plan = alone.cells[alone.table_cells("table1")[0]].label_plans["teacher"]
    place = alone.layout.labels(label_id(plan), "patches") / "index.json"
    readers = [name for name in alone.table_cells("table1") if "patches" in label_views(alone.cells[name])]
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    there = jobs(tmp_path, [target], students_per_job=8)
    assert all(str(place) in there.label_caches(name) for name in readers)


@pytest.mark.parametrize("together", [1, 8])
def test_cost_by_hand(together):
    """Eight students of Table 1: four read squares, four patches; two patches a photo."""
    shared = study()
    cells = list(all_cells(shared, ["table1"]).values())
    crops = 160 * 8
    cost = estimate(cells, None, together)
    assert cost.labelled == 3 * crops
    assert cost.storage == (3 * crops * 112 * 112 * 2 if together == 1 else 0)
    one = estimate(cells[:1], None, together)
    assert (one.storage, one.labelled) == (
        0,
        crops * sum({"square": 1, "patches": 2}[view] for view in label_views(cells[0])),
    )
