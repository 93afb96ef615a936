"""`dad run`: what Snakemake says becomes a few lines of progress, and the table at the end."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dad.workflow import events as events_module
from dad.workflow import progress as progress_module
from dad.workflow.events import Events
from dad.workflow.outcome import outcome, table_text
from dad.workflow.progress import RunProgress, span

ROOT = Path(__file__).parents[2]
STUDY = {
    "name": "tiny",
    "description": "a miniature for the tests",
    "seeds": [0],
    "teacher": "zoo/vit-large",
    "student": {"model": "zoo/vit-small", "init": "encoder"},
    "photos": {"source": "scenes", "kinds": ["indoor"], "count": 4, "seed": 100000, "height": 72, "width": 96},
    "crop": {"size": 48, "min_crop": 64, "patches": 2, "flip": True},
    "optim": {"steps": 3, "batch": 2, "encoder_rate": 1e-4, "head_rate": 1e-3, "warmup": 1, "checkpoint_every": 2},
    "benchmarks": [
        {"dataset": "scenes-indoor", "count": 2, "seed": 500000, "height": 48, "width": 64, "stands_for": "ETH3D"}
    ],
}
SAID = """\
Building DAG of jobs...
Job stats:
job         count
--------  -------
label           1
train           2
total           3

Select jobs to execute...
Execute 1 jobs...

[Wed Nov 25 20:17:18 2026]
localrule label:
    input: results/tiny/photos-4.jsonl
    log: results/tiny/logs/labels/a.log
    jobid: 7
    wildcards: labels=a, view=square
[Wed Nov 25 20:17:28 2026]
Finished jobid: 7 (Rule: label)
1 of 3 steps (33%) done
[Wed Nov 25 20:17:28 2026]
localrule train:
    log: results/tiny/logs/train/one.log
    jobid: 8
    wildcards: cell=one
[Wed Nov 25 20:17:28 2026]
localrule train:
    log: results/tiny/logs/train/two.log
    jobid: 9
    wildcards: cell=two
"""
FAILED = """\
[Wed Nov 25 20:18:54 2026]
Error in rule train:
    message: None
    jobid: 9
    log: results/tiny/logs/train/two.log (check log file(s) for error details)
    shell:
        python -m dad train
Shutting down, this might take some time.
"""


def fed(text: str) -> Events:
    events = Events()
    for line in text.splitlines(keepends=True):
        events.feed(line)
    return events


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so."""
    now = [100.0]
    monkeypatch.setattr(events_module.time, "monotonic", lambda: now[0])
    return now


def test_jobs_are_counted_and_named():
    events = fed(SAID)
    assert (events.done, events.total) == (1, 3)
    assert {number: job.name for number, job in events.running.items()} == {"8": "train one", "9": "train two"}
    assert events.running["8"].log == Path("results/tiny/logs/train/one.log")
    assert events.planned == {"label": 0, "train": 2}


def test_a_failed_job_is_no_longer_running_and_keeps_its_log():
    events = fed(SAID + FAILED)
    (job,) = events.failed
    assert (job.name, job.log) == ("train two", Path("results/tiny/logs/train/two.log"))
    assert set(events.running) == {"8"}


def test_time_left_is_what_the_rules_took(clock):
    events = Events()
    for line in SAID.splitlines():
        if line.startswith("Finished jobid: 7"):
            clock[0] += 10
        events.feed(line)
    # nothing is known of training: as long as it is typically, times how much slower labelling was (10 s instead of 5)
    assert events.time_left({"label": 5.0, "train": 20.0}, parallel=1) == pytest.approx(2 * 20 * 2)
    assert events.time_left({"label": 5.0, "train": 20.0}, parallel=2) == pytest.approx(40)
    clock[0] += 15  # both trainings have run for 15 s
    assert events.time_left({"label": 5.0, "train": 20.0}, parallel=2) == pytest.approx((80 - 30) / 2)
    events.feed("Finished jobid: 8 (Rule: train)")
    assert events.time_left({"label": 5.0, "train": 20.0}, parallel=1) == pytest.approx(15 - 15)


def test_nothing_is_estimated_before_something_has_finished():
    assert fed(SAID.split("Finished")[0]).time_left({"train": 20.0}, 1) is None


def test_what_snakemake_would_not_start_for_is_one_line():
    events = fed(
        'WorkflowError in file "/x/common.smk", line 47:\nstudy.yaml: crop.size: 50 is\n'
        'no multiple\n  File "/x", line 3\n\nmore\n'
    )
    assert events.refused == ["study.yaml: crop.size: 50 is", "no multiple"]


def test_elsewhere_than_on_a_terminal_progress_is_plain_lines(tmp_path, monkeypatch, capsys):
    log = tmp_path / "results/tiny/logs/train/one.log"
    log.parent.mkdir(parents=True)
    log.write_text("training: 40 of 160 steps, 8.0/s, 90 s left\ntraining: 80 of 160 steps, 8.0/s, 10 s left\n")
    events = fed(SAID)
    progress = RunProgress(events, tmp_path, 2)
    progress._spoke -= 60
    progress.show()
    progress.show()
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith("1 of 3 jobs done, about ")
    assert told[0].endswith("train one: 80 of 160 steps, 8.0/s, 10 s left")


def test_on_a_terminal_two_lines_are_drawn_over(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(progress_module.sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    events = fed(SAID)
    progress = RunProgress(events, tmp_path, 1)
    progress.show()
    first = terminal.getvalue()
    assert first.count("\n") == 2 and "1/3 jobs" in first and "█" in first
    events.feed("2 of 3 steps (67%) done")
    progress.show()
    assert terminal.getvalue().removeprefix(first).startswith("\x1b[2F")
    assert max(len(line.split("\x1b[2K")[-1]) for line in terminal.getvalue().splitlines()) <= 80


@pytest.mark.parametrize(
    ("seconds", "text"), [(8, "8 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (1800, "30 min"), (7500, "2 h 5 min")]
)
def test_spans_are_read_at_a_glance(seconds, text):
    assert span(seconds) == text


def test_the_table_is_shown_with_where_it_lies_and_what_is_next(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "table1.md").write_text(
        "# Table 1: Title\n\nText.\n\n| Method | ours: ETH3D, AbsRel↓ |\n| :--- | ---: |\n"
        "| the teacher, `zoo/x` | 0.155 [0.137, 0.177] |\n| Shared | **0.057** (D2) |\n\n"
        "| other | table |\n| --- | --- |\n| no | no |\n"
    )
    (tmp_path / "table1.csv").write_text("")
    told = outcome(tmp_path, [str(tmp_path / "table1.csv")], config="my.yaml", uri="sqlite:///m.db")
    assert told.startswith("Table 1: Title\n")
    assert "the teacher, zoo/x  0.155 [0.137, 0.177]" in told
    assert "0.057* (D2)" in told and "no  no" not in told
    assert f"{tmp_path / 'table1.md'}" in told
    assert f"dad run {tmp_path / 'index.html'} --config my.yaml" in told
    assert "dad mlflow --config my.yaml --uri sqlite:///m.db" in told
    told = outcome(tmp_path, [], settings=["name=other", "optim={steps: 8}"])
    assert f"dad run {tmp_path / 'index.html'} --set name=other --set 'optim={{steps: 8}}'" in told
    assert "dad mlflow --set name=other --set 'optim={steps: 8}'" in told
    assert "in the paper" not in told  # nothing of this page says so
    with (tmp_path / "table1.md").open("a") as page:
        page.write("\n## What came out otherwise than in the paper\n")
    told = outcome(tmp_path, [str(tmp_path / "table1.csv")])
    assert "table1.md  with intervals, notes and what came out otherwise than in the paper" in told
    monkeypatch.setenv("COLUMNS", "36")
    assert "[0.137" not in table_text(tmp_path / "table1.md")


@pytest.mark.parametrize("columns", [80, 100, 120, 160])
def test_a_table_fits_the_terminal_and_our_numbers_are_never_left_out(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    page = ROOT / "docs/results/small/table1.md"
    shown = table_text(page)
    assert max(map(len, shown.splitlines())) <= columns
    best = [line for line in page.read_text().splitlines() if line.startswith("|  | No Norm. | **0.")]
    assert best and all(re.search(r"\*\*(0\.\d+)\*\*", line)[1] + "*" in shown for line in best)
    assert ("printed" in shown) == (columns > 80)


def started(folder: Path, *arguments: str, **options) -> subprocess.Popen:
    (folder / "study.yaml").write_text(json.dumps(STUDY))
    command = [sys.executable, "-m", "dad", "run", *arguments, "--config", "study.yaml", "--cores", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )


def test_a_run_says_a_few_lines_and_keeps_the_rest_in_a_file(tmp_path):
    target = "results/tiny/benchmarks/scenes-indoor/scenes.json"
    out, error = (process := started(tmp_path, target)).communicate(timeout=120)
    assert process.returncode == 0, error
    assert (tmp_path / target).is_file()
    assert error.splitlines()[-1].startswith("1 of 1 jobs done")
    assert len(error.splitlines()) < 12 and max(map(len, error.splitlines())) < 200
    assert out.splitlines()[0] == target
    assert "Job stats:" in (tmp_path / "results/tiny/logs/snakemake.log").read_text()
    out, error = (process := started(tmp_path, target)).communicate(timeout=120)
    assert process.returncode == 0 and "everything is there already" in error


def test_a_study_that_cannot_run_is_one_line_and_exit_code_2(tmp_path):
    _, error = (process := started(tmp_path, "--set", "crop.size=50")).communicate(timeout=120)
    assert process.returncode == 2
    (line,) = [line for line in error.splitlines() if "crop.size: 50" in line]
    assert line.startswith("dad: ") and "take 48 or 64" in line


def test_ctrl_c_ends_what_was_started(tmp_path):
    process = started(tmp_path, "results/tiny/photos-4.jsonl")
    log = tmp_path / "results/tiny/logs/snakemake.log"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (log.is_file() and "localrule" in log.read_text()):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert not [line for line in _processes() if str(tmp_path) in line]


def _processes() -> list[str]:
    import psutil

    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(f"{process.cwd()} {' '.join(process.cmdline())}")
        except psutil.Error:
            continue
    return lines


def test_a_cell_may_hold_a_bar(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "t.md").write_text("# T\n\n| Method | ours |\n| :--- | ---: |\n| a \\| b | 0.155 |\n| | 0.2 |\n")
    assert [line.split() for line in table_text(tmp_path / "t.md").splitlines()[-2:]] == [
        ["a", "|", "b", "0.155"],
        ["0.2"],
    ]
