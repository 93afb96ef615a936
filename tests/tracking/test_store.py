import sqlite3
import subprocess
import sys

import pytest

from dad.errors import UserError
from dad.study.cells import Row
from dad.tracking import connect, import_results, places, tables_by_cell
from dad.tracking.places import chosen_tables
from dad.tracking.process import has_ended, this_process
from dad.tracking.store import check_uri


@pytest.mark.parametrize("uri", ["file:./mlruns", "file:///data/mlruns", "mlruns", "./mlflow.db", ""])
def test_file_stores_are_refused(kit, uri, results):
    for use in (connect, lambda uri: import_results(results, uri), kit.tracker):
        with pytest.raises(UserError, match=r"use sqlite:///mlflow\.db"):
            use(uri)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "postgresql://u:secret@host/db"])
def test_other_stores_are_refused_without_showing_passwords(uri):
    with pytest.raises(UserError, match="not supported") as caught:
        connect(uri)
    assert "secret" not in str(caught.value)


def test_relative_database_is_taken_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check_uri("sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    assert check_uri("http://server:5000") == "http://server:5000"


def test_what_is_no_database_or_of_another_version_is_refused_in_one_line(tmp_path, uri, database):
    (tmp_path / "notes.txt").write_text("not a database" * 100)
    with pytest.raises(UserError, match="cannot be used as an SQLite database"):
        connect(f"sqlite:///{tmp_path / 'notes.txt'}")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '89d4b8295536'")
    with pytest.raises(UserError, match="mlflow db upgrade"):
        connect(uri)


def test_database_that_was_moved_is_refused(kit, results, uri, database, tmp_path):
    kit.bring_in(results, uri)
    database.parent.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="was the folder moved"):
        kit.bring_in(results, f"sqlite:///{tmp_path / 'elsewhere' / 'mlflow.db'}")


def test_import_of_the_package_does_not_load_mlflow():
    code = "import sys, dad.tracking; sys.exit(bool({'mlflow', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_process_tag_tells_living_from_ended_processes():
    host, pid, created = this_process().split()
    assert not has_ended(this_process())
    assert has_ended(f"{host} {pid} {int(created) - 1000}")  # the id was given to another process since
    child = subprocess.Popen(["true"])
    child.wait()
    assert has_ended(f"{host} {child.pid} {created}")
    assert not has_ended(f"other-{host} {pid} 0")
    assert not has_ended(None)


def test_tables_of_a_shared_cell(kit, monkeypatch):
    rows = {
        "table1": [Row("table1", {"mode": "m"}, {"x": None, "y": None})],
        "table2": [
            Row("table2", {}, {}, "impossible"),
            Row("table2", {"mode": "first"}, {"x": None}),
            Row("table2", {"mode": "second"}, {"x": None}),
            Row("table2", {"mode": "as-is"}, {}, model="zoo/some"),
        ],
    }
    monkeypatch.setattr(places, "table_names", lambda study: tuple(rows))
    monkeypatch.setattr(places, "table_rows", lambda study, table: rows[table])
    found = {
        subject: [(place.table, place.name, place.model) for place in there]
        for subject, there in tables_by_cell(kit.STUDY).items()
    }
    first = ("table1", "m", None)
    assert found == {
        "x": [first, ("table2", "first", None)],
        "y": [first],
        "model-some": [("table2", "as-is", "zoo/some")],
    }


def test_tables_are_chosen_in_the_order_of_the_study(kit, tmp_path):
    assert chosen_tables(kit.STUDY, ["table2", "table1"]) == ("table1", "table2")
    assert chosen_tables(kit.STUDY, []) == ("table1", "table2", "table3", "table4", "table5", "scaling")
    with pytest.raises(UserError, match="unknown table 'table9'"):
        chosen_tables(kit.STUDY, ["table1", "table9"])


def test_a_table_of_the_library_is_shown_once_it_was_rendered(kit, tmp_path):
    (tmp_path / "library").mkdir()
    grid = "grid: {normalization: [global, hybrid]}"
    (tmp_path / "library" / "sweep.yaml").write_text(f"title: Sweep\n{grid}\nbase: {{mode: shared}}\n")
    study = kit.STUDY.model_copy(update={"library": str(tmp_path / "library")})
    assert "sweep" not in chosen_tables(study, [], tmp_path)
    assert chosen_tables(study, ["sweep"], tmp_path) == ("sweep",)
    (tmp_path / "sweep.csv").write_text("x")
    assert chosen_tables(study, [], tmp_path)[-1] == "sweep"
