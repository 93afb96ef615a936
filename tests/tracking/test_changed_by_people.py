"""What people do in MLflow's pages between imports, and what a kill leaves: afterwards there is one run per cell."""

import os
import shutil
import sqlite3
import sys

import pytest

from dad import files
from dad.errors import UserError
from dad.tracking import connect


def one_run_per_cell(kit, uri):
    """Every cell of the results is shown once, below the one run of its table, with what its files say."""
    client = kit.client(uri)
    runs = [run for experiment in client.search_experiments() for run in client.search_runs([experiment.experiment_id])]
    (parent,) = [run for run in runs if "dad.table" in run.data.tags]
    cells = [run for run in runs if "dad.cell" in run.data.tags]
    assert sorted(run.data.tags["dad.cell"] for run in cells) == sorted(kit.NAMES)
    assert {run.data.tags["mlflow.parentRunId"] for run in cells} == {parent.info.run_id}
    for run in cells:
        assert kit.history(uri, run, "loss") == kit.curve(run.data.tags["dad.cell"])
    return True


def delete_a_run(kit, client, runs):
    client.delete_run(runs[0].info.run_id)


def delete_the_tables_run(kit, client, runs):
    client.delete_run(runs[0].data.tags["mlflow.parentRunId"])


def delete_the_experiment(kit, client, runs):
    client.delete_experiment(runs[0].info.experiment_id)


def rename_the_experiment(kit, client, runs):
    client.rename_experiment(runs[0].info.experiment_id, "what I look at")


def rename_and_take_the_name(kit, client, runs):
    client.rename_experiment(runs[0].info.experiment_id, "what I look at")
    client.create_experiment("mini/table1")


def rename_and_delete_the_experiment(kit, client, runs):
    client.rename_experiment(runs[0].info.experiment_id, "what I looked at")
    client.delete_experiment(runs[0].info.experiment_id)


def rename_a_run(kit, client, runs):
    client.update_run(runs[0].info.run_id, name="the best")


def take_a_runs_digest(kit, client, runs):
    client.delete_tag(runs[0].info.run_id, "dad.digest")


CHANGES = [delete_a_run, delete_the_tables_run, delete_the_experiment, rename_the_experiment, rename_and_take_the_name]
CHANGES += [rename_and_delete_the_experiment, rename_a_run, take_a_runs_digest]


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_people_leave_one_run_per_cell(kit, results, uri, change):
    kit.bring_in(results, uri)
    change(kit, kit.client(uri), kit.active_runs(uri))
    kit.bring_in(results, uri)
    assert one_run_per_cell(kit, uri)
    assert str(kit.bring_in(results, uri)) == "3 unchanged"


def test_a_run_that_is_restored_beside_its_successor_goes_again(kit, results, uri):
    kit.bring_in(results, uri)
    client, (first, second) = kit.client(uri), kit.active_runs(uri)
    for run in (first, second):
        client.delete_run(run.info.run_id)
    kit.bring_in(results, uri)
    for run in (first, second):
        client.restore_run(run.info.run_id)
    assert str(kit.bring_in(results, uri)) == "3 unchanged, 2 removed"
    assert one_run_per_cell(kit, uri)


def test_a_run_that_an_import_left_half_written_is_made_anew(kit, results, uri):
    kit.bring_in(results, uri)
    run = kit.active_runs(uri)[0]
    client = kit.client(uri)
    tags = {key: value for key, value in run.data.tags.items() if key != "dad.digest"}
    host = tags["dad.process"].split()[0]
    client.create_run(run.info.experiment_id, tags=tags | {"dad.process": f"{host} 999999999 0"})
    client.delete_run(run.info.run_id)
    assert str(kit.bring_in(results, uri)) == "1 replaced, 2 unchanged"
    assert one_run_per_cell(kit, uri)


def test_two_studies_in_one_store_do_not_meet(kit, results, uri):
    from dad.tracking import import_results

    other = kit.STUDY.model_copy(update={"name": "other"})
    shutil.copytree(results / "mini", results / "other")
    assert str(import_results(results, uri, studies=[kit.STUDY, other])) == "6 new"
    assert {run.data.tags["dad.study"] for run in kit.active_runs(uri)} == {"mini"}
    assert {run.data.tags["dad.study"] for run in kit.active_runs(uri, experiment="other/table1")} == {"other"}
    assert str(import_results(results, uri, studies=[kit.STUDY, other])) == "6 unchanged"


@pytest.mark.parametrize("left", ["nothing in the file", "the first tables", "a new one beside it"])
def test_a_database_whose_making_was_killed_is_made_anew(tmp_path, blank_database, left):
    database = tmp_path / "mlflow.db"
    if left == "a new one beside it":
        folder = tmp_path / files._temporary_name().replace(
            f"-{os.getpid()}-", "-999999999-"
        )  # of a process that is gone
        folder.mkdir()
        (folder / "mlflow.db").write_bytes(b"half")
    with sqlite3.connect(database) as connection:
        if left == "the first tables":
            connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
            connection.execute("CREATE TABLE runs (run_uuid TEXT)")
            connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    store = connect(f"sqlite:///{database}")
    assert [experiment.name for experiment in store.client.search_experiments()] == ["Default"]
    assert {path.name for path in tmp_path.iterdir()} <= {"mlflow.db", "mlflow.db.lock"}


def test_a_database_of_something_else_is_never_replaced(tmp_path):
    database = tmp_path / "bank.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE accounts (owner TEXT)")
    before = database.read_bytes()
    with pytest.raises(UserError, match="not MLflow's"):
        connect(f"sqlite:///{database}")
    assert database.read_bytes() == before


def test_without_mlflow_there_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match="MLflow is not installed"):
        connect(f"sqlite:///{tmp_path / 'm.db'}")
