import csv
import json
import math
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from dad.errors import CollapseError, UserError
from dad.files import read_json, write_bytes, write_csv, write_json
from dad.study.cells import Row, all_cells
from dad.study.config import StudyConfig
from dad.tracking import LiveTracker, import_results, initialise, store
from dad.tracking.content import CURVE_POINTS, is_shown, row_points, score_points
from dad.tracking.store import check_uri, experiment_name, has_ended, metric_key, tables_by_cell, this_process

STEPS = 40
STUDY = StudyConfig(
    name="mini",
    description="small",
    seeds=(0,),
    teacher="zoo/vit-large",
    student={"model": "zoo/vit-small", "init": "encoder"},
    photos={"source": "scenes", "kinds": ("indoor", "outdoor"), "count": 4, "seed": 1, "height": 64, "width": 64},
    crop={"size": 28, "min_crop": 40, "patches": 2},
    optim={"steps": STEPS, "batch": 2, "encoder_rate": 1e-4, "head_rate": 1e-3},
    benchmarks=({"dataset": "scenes-indoor", "root": "scenes"},),
)
CELLS = all_cells(STUDY)
NAMES = [name for name in CELLS if name.startswith("shared-")][:2]
STARTED = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)


def step_rows(name):
    """A step log whose values tell cell and step apart."""
    offset = sum(name.encode()) % 97 / 97
    return [
        {"step": step, "loss": offset + 1 / (step + 3), "output_median": offset + step / 7, "rate": 0.1} for step in range(STEPS)
    ]


def write_scores(folder, name, abs_rel=0.25):
    result = {"dataset": "scenes-indoor", "protocol": "marigold@1", "protocol_hash": "ab", "images": 2, "empty": 0}
    result["mean"] = {"abs_rel": abs_rel, "delta1": 0.5}
    write_json(folder / "scores" / f"{name}.json", {"model": name, "results": [result]})
    write_csv(folder / "scores" / f"{name}.csv", [{"model": name, "abs_rel": abs_rel}], ["model", "abs_rel"])


def write_run(folder, name):
    run = folder / "runs" / name
    write_json(run / "config.json", CELLS[name].model_dump(mode="json"))
    rows = step_rows(name)
    write_csv(run / "metrics.csv", rows, list(rows[0]))
    times = {"started": STARTED.isoformat(), "finished": STARTED.replace(second=52).isoformat(), "wall_seconds": 47.5}
    facts = {"photos_digest": "0123456789abcdef" * 4, "git_commit": "c" * 40, "git_dirty": True, "device": "cpu, some model"}
    write_json(run / "provenance.json", {"cell": name, "steps": STEPS} | times | facts)


@pytest.fixture
def results(tmp_path):
    """A results folder with two finished, scored cells of the study."""
    folder = tmp_path / "results" / "mini"
    for name in NAMES:
        write_run(folder, name)
        write_scores(folder, name)
        write_bytes(folder / "previews" / f"{name}.png", b"\x89PNG picture of " + name.encode())
    return folder.parent


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory):
    path = tmp_path_factory.mktemp("blank") / "mlflow.db"
    initialise(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(blank_database, tmp_path):
    """A store of its own for each test; creating one takes MLflow six seconds, copying it none."""
    path = tmp_path / "store" / "mlflow.db"
    path.parent.mkdir()
    shutil.copyfile(blank_database, path)
    return path


@pytest.fixture
def uri(database):
    return f"sqlite:///{database}"


def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def active_runs(uri, query="", experiment="mini/table1"):
    found = client(uri).get_experiment_by_name(experiment)
    return client(uri).search_runs([found.experiment_id], query) if found else []


def history(uri, run, key):
    points = client(uri).get_metric_history(run.info.run_id, key)
    return sorted((point.step, point.value) for point in points)


def curve(name, key="loss"):
    return [(row["step"], row[key]) for row in step_rows(name)]


def dump(database):
    with sqlite3.connect(database) as connection:
        return sorted(connection.iterdump())


def bring_in(results, uri):
    return import_results(results, uri, studies=[STUDY])


# ---------------------------------------------------------------- import


def test_import_shows_a_cell_as_its_files_say(results, uri):
    assert str(bring_in(results, uri)) == "2 new"
    name = NAMES[1]
    cell = CELLS[name]
    query = (
        f"tags.`dad.cell` = '{name}' and tags.mode = 'shared' and tags.normalization = '{cell.normalization}' and tags.seed = '0'"
    )
    (run,) = active_runs(uri, query)
    assert run.info.run_name == name
    assert run.info.status == "FINISHED"
    assert run.info.start_time == STARTED.timestamp() * 1000
    assert run.info.end_time - run.info.start_time == 52_000
    expected = {
        "dad.study": "mini",
        "dad.tables": "table1",
        "teacher": "zoo/vit-large",
        "student": "zoo/vit-small",
        "init": "encoder",
    }
    expected |= {"protocol": "marigold@1", "git_commit": "c" * 40, "git_dirty": "true"}
    assert expected.items() <= run.data.tags.items()
    assert run.data.params["optim.steps"] == str(STEPS)
    assert run.data.params["student.model"] == "zoo/vit-small"
    assert run.data.params["photos.kinds"] == "indoor, outdoor"
    assert run.data.params["loss.gradient"] == "2.0"
    for key in ("loss", "output_median", "rate"):
        assert history(uri, run, key) == curve(name, key)
    assert history(uri, run, "scenes-indoor/marigold/abs_rel") == [(0, 0.25)]
    assert history(uri, run, "scenes-indoor/marigold/delta1") == [(0, 0.5)]
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.digest == ("0123456789abcdef" * 4)[:36]
    (best,) = active_runs(uri, f"metrics.`scenes-indoor/marigold/abs_rel` < 0.3 and tags.`dad.cell` = '{name}'")
    assert best.info.run_id == run.info.run_id


def test_import_attaches_the_small_files_beside_the_database(results, uri, database):
    bring_in(results, uri)
    (run,) = active_runs(uri, f"tags.`dad.cell` = '{NAMES[0]}'")
    listed = {item.path for item in client(uri).list_artifacts(run.info.run_id)}
    assert listed == {"config.json", "metrics.csv", "provenance.json", "scores.csv", "scores.json", "preview.png"}
    stored = database.parent / "mlruns" / "mini" / "table1" / run.info.run_id / "artifacts"
    study = results / "mini"
    assert (stored / "config.json").read_bytes() == (study / "runs" / NAMES[0] / "config.json").read_bytes()
    assert (stored / "scores.csv").read_bytes() == (study / "scores" / f"{NAMES[0]}.csv").read_bytes()
    assert (stored / "preview.png").read_bytes() == (study / "previews" / f"{NAMES[0]}.png").read_bytes()


def test_second_import_changes_nothing(results, uri, database):
    bring_in(results, uri)
    before = dump(database)
    assert str(bring_in(results, uri)) == "2 unchanged"
    assert dump(database) == before


def test_changed_scores_replace_the_run(results, uri):
    bring_in(results, uri)
    write_scores(results / "mini", NAMES[0], abs_rel=0.125)
    assert str(bring_in(results, uri)) == "1 replaced, 1 unchanged"
    assert len(active_runs(uri)) == 2
    (run,) = active_runs(uri, f"tags.`dad.cell` = '{NAMES[0]}'")
    assert history(uri, run, "scenes-indoor/marigold/abs_rel") == [(0, 0.125)]
    assert history(uri, run, "loss") == curve(NAMES[0])


def test_scores_that_arrive_later_complete_the_same_run(results, uri):
    for path in (results / "mini" / "scores").iterdir():
        path.unlink()
    bring_in(results, uri)
    before = {run.info.run_id for run in active_runs(uri)}
    write_scores(results / "mini", NAMES[0])
    assert str(bring_in(results, uri)) == "1 updated, 1 unchanged"
    (run,) = active_runs(uri, f"tags.`dad.cell` = '{NAMES[0]}'")
    assert run.info.run_id in before
    assert history(uri, run, "scenes-indoor/marigold/abs_rel") == [(0, 0.25)]
    assert history(uri, run, "loss") == curve(NAMES[0])


def test_a_study_that_is_not_given_goes_into_one_experiment(results, uri):
    import_results(results, uri)
    assert {run.info.run_name for run in active_runs(uri, experiment="mini")} == set(NAMES)
    # once the study is known the runs move to the table's experiment
    assert str(bring_in(results, uri)) == "2 replaced"
    assert active_runs(uri, experiment="mini") == []
    assert len(active_runs(uri)) == 2


def test_unfinished_cells_wait_and_damaged_ones_are_named(results, uri):
    (results / "mini" / "runs" / NAMES[0] / "provenance.json").unlink()
    (results / "mini" / "runs" / NAMES[1] / "config.json").write_text("{")
    report = bring_in(results, uri)
    assert list(report.skipped) == [f"mini/{NAMES[1]}"]
    assert str(report) == "1 skipped"
    assert active_runs(uri) == []


def test_results_folder_must_exist_and_hold_studies(results, uri):
    with pytest.raises(UserError, match="does not exist"):
        import_results(results / "nothing", uri)
    with pytest.raises(UserError, match="folder of one study"):
        import_results(results / "mini", uri)


# ---------------------------------------------------------------- live


def tracker(uri, name=NAMES[0]):
    return LiveTracker(uri, CELLS[name], study="mini", tables=("table1",))


def feed(listener, name=NAMES[0], start=0, stop=STEPS, size=7):
    rows = step_rows(name)
    for first in range(start, stop, size):
        listener(rows[first : min(first + size, stop)])


def train_and_fail(uri, stop, error):
    with tracker(uri) as listener:
        feed(listener, stop=stop)
        raise error


def test_live_run_is_completed_by_the_import(results, uri):
    with tracker(uri) as listener:
        feed(listener)
    (live,) = active_runs(uri)
    assert live.info.status == "FINISHED"
    assert live.data.tags["normalization"] == CELLS[NAMES[0]].normalization
    assert history(uri, live, "loss") == curve(NAMES[0])
    assert str(bring_in(results, uri)) == "1 new, 1 updated"
    (run,) = active_runs(uri, f"tags.`dad.cell` = '{NAMES[0]}'")
    assert run.info.run_id == live.info.run_id
    assert history(uri, run, "loss") == curve(NAMES[0])
    assert history(uri, run, "scenes-indoor/marigold/abs_rel") == [(0, 0.25)]
    assert str(bring_in(results, uri)) == "2 unchanged"


def test_live_points_that_the_files_deny_are_replaced(results, uri):
    with tracker(uri) as listener:
        listener([{"step": 0, "loss": 99.0}])
    bring_in(results, uri)
    (run,) = active_runs(uri, f"tags.`dad.cell` = '{NAMES[0]}'")
    assert history(uri, run, "loss") == curve(NAMES[0])


def test_import_fills_a_gap_in_a_live_run(results, uri):
    with tracker(uri) as listener:
        feed(listener, stop=10)
        feed(listener, start=25)
    bring_in(results, uri)
    (run,) = active_runs(uri, f"tags.`dad.cell` = '{NAMES[0]}'")
    assert history(uri, run, "loss") == curve(NAMES[0])


def test_resumed_training_goes_on_in_its_run_without_duplicates(uri):
    with pytest.raises(CollapseError):
        train_and_fail(uri, 28, CollapseError("the output died"))
    (failed,) = active_runs(uri)
    assert failed.info.status == "FAILED"
    assert failed.data.tags["dad.error"] == "CollapseError: the output died"
    with tracker(uri) as listener:
        feed(listener, start=20)  # the checkpoint was at step 20
    (run,) = active_runs(uri)
    assert run.info.run_id == failed.info.run_id
    assert run.info.status == "FINISHED"
    assert "dad.error" not in run.data.tags
    assert history(uri, run, "loss") == curve(NAMES[0])


def test_training_a_finished_cell_anew_shows_the_new_run(uri):
    for _ in range(2):
        with tracker(uri) as listener:
            feed(listener, stop=14)
    (run,) = active_runs(uri)
    assert history(uri, run, "loss") == curve(NAMES[0])[:14]


def test_interrupt_from_the_keyboard_ends_as_killed(uri):
    with pytest.raises(KeyboardInterrupt):
        train_and_fail(uri, 7, KeyboardInterrupt())
    assert [run.info.status for run in active_runs(uri)] == ["KILLED"]


def test_training_that_fails_before_its_first_step_leaves_no_run(uri):
    with pytest.raises(UserError):
        train_and_fail(uri, 0, UserError("no photos"))
    assert active_runs(uri) == []


def test_unreachable_server_costs_one_warning_and_little_time(caplog):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    seen = 0
    begun = time.monotonic()
    with tracker(f"http://user:secret@127.0.0.1:{port}") as listener:
        for row in step_rows(NAMES[0]):
            listener([row])
            seen += 1
    assert seen == STEPS
    assert time.monotonic() - begun < 15
    (record,) = caplog.records
    message = record.getMessage()
    assert f"127.0.0.1:{port}" in message
    assert "dad track import" in message
    assert "secret" not in message
    assert "\n" not in message


def test_store_that_breaks_in_mid_training_costs_one_warning(uri, caplog):
    with tracker(uri) as listener:
        feed(listener, stop=7)
        (run,) = active_runs(uri)
        client(uri).delete_run(run.info.run_id)
        feed(listener, start=7)
    assert len(caplog.records) == 1


def test_handler_of_others_for_sigterm_is_left_alone(uri):
    def mine(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, mine)
    try:
        with tracker(uri):
            assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGTERM) is mine
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with tracker(uri):
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


CHILD = """
import json, sys, time
from dad.study.config import Cell
from dad.tracking import LiveTracker
uri, cell, rows, wait = json.load(sys.stdin)
with LiveTracker(uri, Cell.model_validate(cell), study="mini", tables=("table1",)) as listener:
    listener(rows[:20])
    print("logged", flush=True)
    time.sleep(120 if wait else 0)
    listener(rows[20:])
"""


def test_processes_that_all_open_a_missing_database_survive_and_signals_are_seen(tmp_path):
    """Four trainings at once on a database that none has created; two end, one gets SIGTERM, one SIGKILL."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    names = list(CELLS)[:4]
    children = {}
    for index, name in enumerate(names):
        command = [sys.executable, "-c", CHILD]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        children[name] = child = subprocess.Popen(command, text=True, env=environment, **pipes)
        child.stdin.write(json.dumps([uri, CELLS[name].model_dump(mode="json"), step_rows(name), index >= 2]))
        child.stdin.close()
    for child in children.values():
        assert child.stdout.readline() == "logged\n"
    children[names[2]].terminate()
    children[names[3]].kill()
    codes = [child.wait(60) for child in children.values()]
    errors = [child.stderr.read() for child in children.values()]
    for child in children.values():
        child.stdout.close()
        child.stderr.close()
    assert codes == [0, 0, 128 + signal.SIGTERM, -signal.SIGKILL]
    assert errors == [""] * 4

    def status():
        return {run.info.run_name: run.info.status for run in active_runs(uri)}

    assert status() == dict(zip(names, ["FINISHED", "FINISHED", "KILLED", "RUNNING"], strict=True))
    for run in active_runs(uri):
        name = run.info.run_name
        assert history(uri, run, "loss") == curve(name)[: STEPS if name in names[:2] else 20]
    # the sweep: no files, no process
    (tmp_path / "results" / "mini" / "runs").mkdir(parents=True)
    assert str(bring_in(tmp_path / "results", uri)) == "1 marked as killed"
    assert status()[names[3]] == "KILLED"


# ---------------------------------------------------------------- store


@pytest.mark.parametrize("uri", ["file:./mlruns", "file:///data/mlruns", "mlruns", "./mlflow.db", ""])
def test_file_stores_are_refused(uri, results):
    for use in (initialise, lambda uri: import_results(results, uri), tracker):
        with pytest.raises(UserError, match=r"use sqlite:///mlflow\.db"):
            use(uri)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "postgresql://u:secret@host/db"])
def test_other_stores_are_refused_without_showing_passwords(uri):
    with pytest.raises(UserError, match="not supported") as caught:
        initialise(uri)
    assert "secret" not in str(caught.value)


def test_relative_database_is_taken_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check_uri("sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    assert check_uri("http://server:5000") == "http://server:5000"


def test_what_is_no_database_or_of_another_version_is_refused_in_one_line(tmp_path, uri, database):
    (tmp_path / "notes.txt").write_text("not a database" * 100)
    with pytest.raises(UserError, match="can not be used as an SQLite database"):
        initialise(f"sqlite:///{tmp_path / 'notes.txt'}")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '89d4b8295536'")
    with pytest.raises(UserError, match="mlflow db upgrade"):
        initialise(uri)


def test_database_that_was_moved_is_refused(results, uri, database, tmp_path):
    bring_in(results, uri)
    database.parent.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="was the folder moved"):
        bring_in(results, f"sqlite:///{tmp_path / 'elsewhere' / 'mlflow.db'}")


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


def test_tables_of_a_shared_cell(monkeypatch):
    rows = {
        "a": [Row("a", {}, {"x": None, "y": None})],
        "b": [Row("b", {}, {}, "impossible"), Row("b", {}, {"x": None}), Row("b", {}, {"x": None})],
    }
    monkeypatch.setattr(store, "TABLES", rows)
    monkeypatch.setattr(store, "table_rows", lambda study, table: rows[table])
    assert tables_by_cell(STUDY) == {"x": ("a", "b"), "y": ("a",)}
    assert experiment_name("mini", ("a", "b")) == "mini/a"
    assert experiment_name("mini", ()) == "mini"


# ---------------------------------------------------------------- content


def test_points_leave_out_what_mlflow_can_not_hold():
    row = {"step": "3", "loss": "0.5", "loss_shared": "", "gradient_norm": "inf", "rate": "nan"}
    assert row_points(row) == {("loss", 3): 0.5}


@pytest.mark.parametrize("steps", [1, 7, CURVE_POINTS, CURVE_POINTS + 1, 20_000])
def test_long_curves_are_thinned_and_keep_their_ends(steps):
    shown = [step for step in range(steps) if is_shown(step, steps)]
    assert {0, steps - 1} <= set(shown)
    assert len(shown) == steps if steps <= CURVE_POINTS else CURVE_POINTS / 2 <= len(shown) <= CURVE_POINTS + 1


def test_scores_under_two_variants_of_a_protocol_keep_apart():
    results = [
        {"dataset": "d", "protocol": "marigold@1", "mean": {"abs_rel": 0.1, "rmse": math.nan}},
        {"dataset": "d", "protocol": "marigold@1+floor=0.5", "mean": {"abs_rel": 0.2}},
        {"dataset": "e", "protocol": "marigold@1", "mean": {"abs_rel": 0.3}},
    ]
    expected = {"d/marigold-1/abs_rel": 0.1, "d/marigold-1-floor-0.5/abs_rel": 0.2, "e/marigold/abs_rel": 0.3}
    assert score_points({"results": results}) == {(key, 0): value for key, value in expected.items()}


def test_metric_keys_are_those_mlflow_accepts():
    from mlflow.utils.validation import _validate_metric_name

    for text in ("a@b+c=d", "x" * 300, "scenes-indoor/marigold/abs_rel"):
        _validate_metric_name(metric_key(text))
    assert metric_key("scenes-indoor/marigold/abs_rel") == "scenes-indoor/marigold/abs_rel"


def test_fixture_writes_what_training_writes(results):
    """The step log of the fixture goes through CSV text and comes back exactly."""
    with open(results / "mini" / "runs" / NAMES[0] / "metrics.csv", newline="") as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == [value for _, value in curve(NAMES[0])]
    assert read_json(results / "mini" / "runs" / NAMES[0] / "config.json")["mode"] == "shared"
