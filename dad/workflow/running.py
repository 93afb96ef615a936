"""Starting Snakemake as a process of its own, following what it says, and telling how it ended."""

import contextlib
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from dad.errors import UserError
from dad.files import write_json
from dad.study.cells import load_study
from dad.study.config import StudyConfig
from dad.study.folder import DEFAULT, default_study, find_snakefile
from dad.study.layout import Layout
from dad.study.settings import with_settings
from dad.workflow.events import Events, Job
from dad.workflow.outcome import outcome
from dad.workflow.progress import RunProgress

_MEMORY_PER_JOB = 3 * 2**30


@dataclass(frozen=True)
class Request:
    """What is to be made, and how: see `dad run --help`."""

    targets: tuple[str, ...] = ()
    config: str | None = None
    settings: tuple[str, ...] = ()
    cores: int | None = None
    profile: str | None = None
    dry_run: bool = False
    verbose: bool = False


def run_workflow(request: Request) -> int:
    """Run the workflow in the current folder; the exit code: 0, 1 where jobs failed, 2 where it would not start.

    Raises UserError for a study that cannot be read or a folder without a workflow.
    """
    if request.config and "=" in request.config and not Path(request.config).exists():
        raise UserError(f"--config takes a study file; for single values write --set {request.config}")
    snakefile = find_snakefile()
    file = request.config or default_study()
    study = with_settings(load_study(file), request.settings, what=file)
    layout = Layout(study)
    tell = partial(
        outcome,
        layout.reports,
        request.targets,
        config=request.config,
        settings=request.settings,
        uri=study.tracking_uri,
    )
    cores = request.cores or usable_cores()
    command = [sys.executable, "-m", "snakemake", *_arguments(request, study, snakefile, cores)]
    if request.dry_run or request.verbose:
        code = subprocess.run(command, check=False).returncode
        if code == 0 and not request.dry_run:
            print("\n" + tell())
        return code
    log = layout.root / "logs" / "snakemake.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"dad: up to {cores} jobs at a time; what Snakemake says: {log}", file=sys.stderr, flush=True)
    events = Events()
    code = _followed(command, log, events, RunProgress(events, Path(), cores))
    if code:
        return _told(events, code, log)
    if events.idle:
        print("dad: everything is there already", file=sys.stderr)
    print(tell())
    return 0


def usable_cores() -> int:
    """How many jobs fit on this machine: a processor and 3 GB of memory each, at least one."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(available, psutil.virtual_memory().total // _MEMORY_PER_JOB))


def _arguments(request: Request, study: StudyConfig, snakefile: Path, cores: int) -> list[str]:
    """Snakemake's command line. Targets stand first: several of its options take any number of words behind them."""
    arguments = [*request.targets, "--cores", str(cores), "--nocolor", "--rerun-incomplete"]
    if snakefile != Path("Snakefile"):
        arguments += ["--snakefile", str(snakefile)]
    if request.settings:
        # a file of its own: Snakemake would merge a replaced mapping with the one it replaces
        changed = Layout(study).root / "logs" / "study.json"
        write_json(changed, study.model_dump(mode="json"))
        arguments += ["--configfile", str(changed)]
    elif request.config or not DEFAULT.is_file():  # without it the Snakefile reads that of the current folder
        arguments += ["--configfile", request.config or default_study()]
    if request.profile:
        arguments += ["--profile", request.profile]
    if request.dry_run:
        # of a dry run the study's cost, what is missing and the number of jobs are asked for, not a page for each job
        arguments += ["--dry-run", *([] if request.verbose else ["--quiet", "host", "reason", "rules"])]
    return arguments


def _followed(command: list[str], log: Path, events: Events, progress: RunProgress) -> int:
    """Run the command with its output into `log` and `events`; Ctrl-C reaches it, and it is waited for."""
    with open(log, "a", encoding="utf-8") as file, progress:
        file.write(f"\n$ {shlex.join(command)}\n")
        # a session of its own: Ctrl-C comes to this process alone, which hands it on once
        process = subprocess.Popen(
            command,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        ended_by(signal.SIGTERM)
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
        interrupted = ended = False
        while not ended:
            try:
                for line in _waiting(lines):
                    ended = line is None
                    if line is not None:
                        file.write(line)
                        file.flush()
                        events.feed(line)
                progress.show()
            except KeyboardInterrupt:
                # the second time nothing is waited for any more
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL if interrupted else signal.SIGINT)
                interrupted = True
        code = process.wait()
    if interrupted:
        raise KeyboardInterrupt
    return code


def ended_by(number: signal.Signals) -> None:
    """Let a signal end this process as Ctrl-C does, so that what it started ends with it."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # not in the main thread: the signals are somebody else's
        signal.signal(number, interrupt)


def _pump(process: subprocess.Popen[str], lines: "queue.Queue[str | None]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def _waiting(lines: "queue.Queue[str | None]") -> Iterator[str | None]:
    """The lines that are there, after waiting a moment for the first."""
    with contextlib.suppress(queue.Empty):
        yield lines.get(timeout=0.25)
        while True:
            yield lines.get_nowait()


def _told(events: Events, code: int, log: Path) -> int:
    """Say in one line each what failed; the exit code."""
    for job in _distinct(events.failed):
        last = _last_line(job.log) if job.log else ""
        where = f" (all of it: {job.log})" if job.log else ""
        print(f"dad: {job.name} failed{': ' + last if last else ''}{where}", file=sys.stderr)
    if events.failed:
        print("dad: the same command continues once this is mended", file=sys.stderr)
        return 1
    reason = " ".join(events.refused)
    print(f"dad: {reason}" if reason else f"dad: Snakemake ended with {code}; what it says: {log}", file=sys.stderr)
    return 2 if reason else 1


def _distinct(jobs: Iterable[Job]) -> list[Job]:
    return list({job.name: job for job in jobs}.values())


def _last_line(path: Path) -> str:
    """The last line of a log that says something; empty where there is none."""
    with contextlib.suppress(OSError):
        text = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.strip()[:300] for line in reversed(text) if line.strip()), "")
    return ""
