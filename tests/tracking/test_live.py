import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from dad.errors import CollapseError, UserError


def test_live_run_is_replaced_by_what_the_files_say(kit, results, uri):
    with kit.tracker(uri) as listener:
        kit.feed(listener)
    (live,) = kit.active_runs(uri)
    assert live.info.status == "FINISHED"
    assert live.data.tags["mlflow.parentRunId"] == kit.parent_run(uri).info.run_id
    assert live.data.tags["normalization"] == kit.CELLS[kit.NAMES[0]].normalization
    assert kit.history(uri, live, "loss") == kit.curve(kit.NAMES[0])
    assert str(kit.bring_in(results, uri)) == "1 new, 2 replaced"
    (run,) = kit.active_runs(uri, f"tags.`dad.cell` = '{kit.NAMES[0]}'")
    assert kit.history(uri, run, "loss") == kit.curve(kit.NAMES[0])
    assert kit.history(uri, run, "abs_rel/scenes-indoor marigold") == [(0, 0.25)]
    assert str(kit.bring_in(results, uri)) == "3 unchanged"


def test_live_points_that_the_files_deny_are_replaced(kit, results, uri):
    with kit.tracker(uri) as listener:
        listener([{"step": 0, "loss": 99.0}])
    kit.bring_in(results, uri)
    (run,) = kit.active_runs(uri, f"tags.`dad.cell` = '{kit.NAMES[0]}'")
    assert kit.history(uri, run, "loss") == kit.curve(kit.NAMES[0])


def test_import_fills_a_gap_in_a_live_run(kit, results, uri):
    with kit.tracker(uri) as listener:
        kit.feed(listener, stop=10)
        kit.feed(listener, start=25)
    kit.bring_in(results, uri)
    (run,) = kit.active_runs(uri, f"tags.`dad.cell` = '{kit.NAMES[0]}'")
    assert kit.history(uri, run, "loss") == kit.curve(kit.NAMES[0])


def test_resumed_training_goes_on_in_its_run_without_duplicates(kit, uri):
    with pytest.raises(CollapseError):
        kit.train_and_fail(uri, 28, CollapseError("the output died"))
    (failed,) = kit.active_runs(uri)
    assert failed.info.status == "FAILED"
    assert failed.data.tags["dad.error"] == "CollapseError: the output died"
    with kit.tracker(uri) as listener:
        kit.feed(listener, start=20)  # the checkpoint was at step 20
    (run,) = kit.active_runs(uri)
    assert run.info.run_id == failed.info.run_id
    assert run.info.status == "FINISHED"
    assert "dad.error" not in run.data.tags
    assert kit.history(uri, run, "loss") == kit.curve(kit.NAMES[0])


def test_training_a_finished_cell_anew_shows_the_new_run(kit, uri):
    for _ in range(2):
        with kit.tracker(uri) as listener:
            kit.feed(listener, stop=14)
    (run,) = kit.active_runs(uri)
    assert kit.history(uri, run, "loss") == kit.curve(kit.NAMES[0])[:14]


def test_interrupt_from_the_keyboard_ends_as_killed(kit, uri):
    with pytest.raises(KeyboardInterrupt):
        kit.train_and_fail(uri, 7, KeyboardInterrupt())
    assert [run.info.status for run in kit.active_runs(uri)] == ["KILLED"]


def test_training_that_fails_before_its_first_step_leaves_no_run(kit, uri):
    with pytest.raises(UserError):
        kit.train_and_fail(uri, 0, UserError("no photos"))
    assert kit.active_runs(uri) == []


def test_unreachable_server_costs_one_warning_and_little_time(kit, caplog):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    seen = 0
    begun = time.monotonic()
    with kit.tracker(f"http://user:secret@127.0.0.1:{port}") as listener:
        for row in kit.step_rows(kit.NAMES[0]):
            listener([row])
            seen += 1
    assert seen == kit.STEPS
    assert time.monotonic() - begun < 15
    (record,) = caplog.records
    message = record.getMessage()
    assert f"127.0.0.1:{port}" in message
    assert "dad track import" in message
    assert "secret" not in message
    assert "\n" not in message


def test_store_that_breaks_in_mid_training_costs_one_warning(kit, uri, caplog):
    with kit.tracker(uri) as listener:
        kit.feed(listener, stop=7)
        (run,) = kit.active_runs(uri)
        kit.client(uri).delete_run(run.info.run_id)
        kit.feed(listener, start=7)
    assert len(caplog.records) == 1


def test_handler_of_others_for_sigterm_is_left_alone(kit, uri):
    def mine(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, mine)
    try:
        with kit.tracker(uri):
            assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGTERM) is mine
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with kit.tracker(uri):
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


CHILD = """
import json, sys, time
from dad.study.config import Cell
from dad.tracking import LiveTracker
from dad.study.cells import Row
uri, cell, rows, wait = json.load(sys.stdin)
place = Row("table1", {"normalization": cell["normalization"]}, {})
with LiveTracker(uri, Cell.model_validate(cell), study="mini", tables=[place]) as listener:
    listener(rows[:20])
    print("logged", flush=True)
    time.sleep(120 if wait else 0)
    listener(rows[20:])
"""


def test_processes_that_all_open_a_missing_database_survive_and_signals_are_seen(kit, tmp_path):
    """Four trainings at once on a database that none has created; two end, one gets SIGTERM, one SIGKILL."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    names = list(kit.CELLS)[:4]
    children = {}
    for index, name in enumerate(names):
        command = [sys.executable, "-c", CHILD]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        children[name] = child = subprocess.Popen(command, text=True, env=environment, **pipes)
        child.stdin.write(json.dumps([uri, kit.CELLS[name].model_dump(mode="json"), kit.step_rows(name), index >= 2]))
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
        return {run.data.tags["dad.cell"]: run.info.status for run in kit.active_runs(uri)}

    parent = kit.parent_run(uri).info.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in kit.active_runs(uri)} == {parent}
    assert status() == dict(zip(names, ["FINISHED", "FINISHED", "KILLED", "RUNNING"], strict=True))
    for run in kit.active_runs(uri):
        name = run.data.tags["dad.cell"]
        assert kit.history(uri, run, "loss") == kit.curve(name)[: kit.STEPS if name in names[:2] else 20]
    # the sweep: no files, no process
    (tmp_path / "results" / "mini" / "runs").mkdir(parents=True)
    assert str(kit.bring_in(tmp_path / "results", uri)) == "1 marked as killed"
    assert status()[names[3]] == "KILLED"
