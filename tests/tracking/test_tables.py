import pytest

from dad.errors import UserError
from dad.files import write_bytes, write_csv, write_text
from dad.study.cells import table_rows
from dad.tracking.content import describe, table_files

PARENT = "mlflow.parentRunId"


def write_report(kit, folder, table="table1", abs_rel=0.25, **changes):
    """A rendered table in which the study's trained cells have results."""
    lines = []
    for row in table_rows(kit.STUDY, table):
        known = {name for name in row.cells if name in {*kit.NAMES, kit.SHARED}}
        line = {"cell": "+".join(row.subjects), **row.factors, "dataset": "scenes-indoor", "protocol": "marigold@1"}
        lines.append(line | {"metric": "abs_rel", "mean": abs_rel if known else ""} | changes)
    write_csv(folder / f"{table}.csv", lines, list(lines[0]))
    write_text(folder / f"{table}.md", "# Title\n\n| a | b |\n\n## More\n\nlong\n")
    write_bytes(folder / f"{table}_photos.png", b"photos")


@pytest.fixture
def reports(kit, tmp_path):
    folder = tmp_path / "reports"
    write_report(kit, folder)
    return folder


def test_parent_run_stands_for_the_table(kit, results, reports, uri):
    kit.bring_in(results, uri, reports=reports)
    parent = kit.parent_run(uri)
    assert parent.info.run_name == "table1"
    expected = {"dad.study": "mini", "dad.table": "table1", "seeds": "0", "cells": "8", "cells finished": "2"}
    expected |= {
        "title": "Table 1: Analysis of Normalization Strategies",
        "protocol": "marigold@1",
        "git_commit": "c" * 40,
    }
    expected |= {"mlflow.note.content": "# Title\n\n| a | b |"}
    assert expected.items() <= parent.data.tags.items()
    assert parent.data.metrics == {
        f"table/shared-{name} scenes-indoor abs_rel": 0.25 for name in ("global", "none", "hybrid")
    }
    assert kit.artifacts(uri, parent) == {"table1.csv", "table1.md", "table1_photos.png"}
    assert {run.data.tags[PARENT] for run in kit.active_runs(uri)} == {parent.info.run_id}
    assert parent.info.start_time == kit.STARTED.timestamp() * 1000


def test_second_import_with_reports_changes_nothing(kit, results, reports, uri, database):
    kit.bring_in(results, uri, reports=reports)
    before = kit.dump(database)
    assert str(kit.bring_in(results, uri, reports=reports)) == "3 unchanged"
    assert kit.dump(database) == before


def test_report_that_comes_later_or_changes_replaces_the_parent_and_the_children_follow(kit, results, reports, uri):
    kit.bring_in(results, uri)
    assert str(kit.bring_in(results, uri, reports=reports)) == "1 replaced, 2 unchanged"
    assert kit.parent_run(uri).data.metrics["table/shared-none scenes-indoor abs_rel"] == 0.25
    write_report(kit, reports, abs_rel=0.125)
    assert str(kit.bring_in(results, uri, reports=reports)) == "1 replaced, 2 unchanged"
    parent = kit.parent_run(uri)
    assert parent.data.metrics["table/shared-none scenes-indoor abs_rel"] == 0.125
    assert {run.data.tags[PARENT] for run in kit.active_runs(uri)} == {parent.info.run_id}


def test_cell_of_two_tables_is_shown_in_both(kit, results, uri, database):
    kit.write_run(results / "mini", kit.SHARED)
    kit.write_scores(results / "mini", kit.SHARED)
    kit.write_scores(results / "mini", kit.SHARED, abs_rel=0.5, group="zero-shot", dataset="scenes-driving")
    # live tracking knows the first table only
    with kit.tracker(uri, kit.SHARED) as listener:
        kit.feed(listener, kit.SHARED)
    assert str(kit.bring_in(results, uri)) == "4 new, 2 replaced"
    query = f"tags.`dad.cell` = '{kit.SHARED}'"
    for table, name, level in (("table1", "shared-hybrid s0", "shared"), ("table2", "shared s0", "shared")):
        (run,) = kit.active_runs(uri, query, f"mini/{table}")
        assert (run.info.run_name, run.data.params["mode"]) == (name, level)
        assert run.data.tags["dad.tables"] == "table1, table2"
        assert run.data.tags[PARENT] == kit.parent_run(uri, f"mini/{table}").info.run_id
        assert kit.history(uri, run, "loss") == kit.curve(kit.SHARED)
        assert kit.history(uri, run, "abs_rel/scenes-driving marigold") == [(0, 0.5)]
        assert kit.history(uri, run, "abs_rel/scenes-indoor marigold") == [(0, 0.25)]
    before = kit.dump(database)
    assert str(kit.bring_in(results, uri)) == "6 unchanged"
    assert kit.dump(database) == before


def test_single_tables_can_be_imported(kit, results, uri):
    kit.write_run(results / "mini", kit.SHARED)
    assert str(kit.bring_in(results, uri, tables=["table2"])) == "2 new"
    assert kit.all_runs(uri) == []
    assert len(kit.active_runs(uri, experiment="mini/table2")) == 1
    assert str(kit.bring_in(results, uri)) == "4 new, 2 unchanged"


def test_model_that_is_scored_as_it_is_stands_beside_the_students(kit, results, uri):
    kit.write_scores(results / "mini", "model-vit-large", abs_rel=0.125)
    kit.bring_in(results, uri)
    (run,) = kit.active_runs(uri, experiment="mini/table4")
    assert run.info.run_name == "teacher"
    assert run.data.params == {"supervision": "teacher"}
    assert run.data.tags["supervision"] == "teacher"
    assert run.data.tags["model"] == "zoo/vit-large"
    assert run.data.metrics == {"abs_rel/scenes-indoor marigold": 0.125, "delta1/scenes-indoor marigold": 0.5}
    assert run.data.tags[PARENT] == kit.parent_run(uri, "mini/table4").info.run_id


@pytest.mark.parametrize("damage", ["another study", "no table", "a number"])
def test_report_that_does_not_fit_is_named_and_left_out(kit, results, reports, uri, damage):
    if damage == "no table":
        write_text(reports / "table1.csv", "nothing\n1\n")
    else:
        write_report(kit, reports, **({"cell": "of-another"} if damage == "another study" else {"mean": "many"}))
    report = kit.bring_in(results, uri, reports=reports)
    assert list(report.skipped) == ["mini/table1 (report)"]
    assert str(report) == "3 new, 1 skipped"
    parent = kit.parent_run(uri)
    assert parent.data.metrics == {}
    assert kit.artifacts(uri, parent) == set()


def test_figures_without_their_table_are_not_attached(kit, results, reports, uri):
    (reports / "table1.csv").unlink()
    kit.bring_in(results, uri, reports=reports)
    assert kit.artifacts(uri, kit.parent_run(uri)) == set()


def test_run_in_training_follows_its_parent(kit, results, reports, uri):
    kit.bring_in(results, uri, reports=reports)
    with kit.tracker(uri, kit.SHARED) as listener:
        kit.feed(listener, kit.SHARED, stop=10)
        write_report(kit, reports, abs_rel=0.125)
        kit.bring_in(results, uri, reports=reports)
        (run,) = kit.active_runs(uri, f"tags.`dad.cell` = '{kit.SHARED}'")
        assert run.info.status == "RUNNING"
        assert run.data.tags[PARENT] == kit.parent_run(uri).info.run_id


def test_single_table_needs_its_study(kit, results, uri):
    from dad.tracking import import_results

    with pytest.raises(UserError, match="--config"):
        import_results(results, uri, tables=["table1"])
    with pytest.raises(UserError, match="unknown table"):
        kit.bring_in(results, uri, tables=["table9"])


def test_files_of_a_table_and_of_the_figures_made_of_its_cells(tmp_path):
    names = [
        "table1.csv",
        "table1.md",
        "table1.svg",
        "table1_photos.png",
        "table1.tmp",
        "table10.csv",
        "table2.csv",
        "fig7.png",
    ]
    for name in [*names, "scaling.csv"]:
        (tmp_path / name).write_text("x")
    assert set(table_files(tmp_path, "table1")) == {"table1.csv", "table1.md", "table1.svg", "table1_photos.png"}
    assert set(table_files(tmp_path, "scaling")) == {"scaling.csv", "fig7.png"}


def test_description_is_the_page_up_to_its_second_heading():
    assert describe("# A\n\ntext\n\n## B\nmore") == "# A\n\ntext"
    assert len(describe("# A\n" + "line\n" * 5000)) < 8000
