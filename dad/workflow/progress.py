"""The progress of a whole run: one display on a terminal, plain lines elsewhere."""

import os
import re
import shutil
import sys
import time
from pathlib import Path
from types import TracebackType

from dad.workflow.events import Events, Job

EVERY = 10.0
"""Seconds between plain lines while nothing finishes."""

TYPICAL = {
    "photo_scenes": 10.0, "benchmark_scenes": 10.0, "manifest": 5.0, "label": 35.0, "train": 50.0, "evaluate": 4.0,
    "evaluate_model": 6.0, "contact_sheet": 6.0, "table": 8.0, "figure": 7.0, "claims": 4.0, "page": 8.0, "track": 8.0,
}  # fmt: skip
"""Seconds of a mini study's job on one core, by rule: until a rule has run, how it compares with those that have."""

_STAGE = re.compile(r"(\d+) of (\d+) (\w+), (\S+/s), (\d+) s left")
_TAIL = 4096


class RunProgress:
    """Shows the state of `events`; use as a context manager and call `show` often."""

    def __init__(self, events: Events, folder: Path, parallel: int) -> None:
        self.events, self.folder, self.parallel = events, folder, parallel
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._begun = self._spoke = time.monotonic()
        self._shown_done = -1
        self._lines = 0

    def show(self) -> None:
        """Bring the display up to date; off a terminal say a line when jobs have finished or time has passed."""
        now = time.monotonic()
        if not self.events.total:
            return
        if self._terminal:
            if now - self._spoke >= 0.2 or self.events.done != self._shown_done:
                self._draw()
                self._spoke = now
        elif now - self._spoke >= EVERY or (self.events.done != self._shown_done and now - self._spoke >= 1.0):
            print(self.line(), file=sys.stderr, flush=True)
            self._spoke = now
        else:
            return
        self._shown_done = self.events.done

    def line(self) -> str:
        """All in one line: jobs done of all, time left, and the stage that has been running longest."""
        parts = [f"{self.events.done} of {self.events.total} jobs done", *self._left("no estimate yet"), self._stage()]
        return ", ".join(filter(None, parts))

    def _left(self, unknown: str) -> list[str]:
        """How long what is left will take, in words; nothing when all is done."""
        if self.events.done >= self.events.total:
            return []
        left = self.events.time_left(TYPICAL, self.parallel)
        return [unknown if left is None else f"about {span(left)} left"]

    def _stage(self) -> str:
        """The longest running job that says how far it is, else the longest running one."""
        jobs = sorted(self.events.running.values(), key=lambda job: job.begun)
        told = [(job, found) for job in jobs if (found := self._told(job))]
        if told:
            job, found = told[0]
            done, total, unit, rate, left = found.groups()
            return f"{_short(job.name)}: {done} of {total} {unit}, {rate}, {span(float(left))} left"
        return f"{_short(jobs[0].name)}: {span(time.monotonic() - jobs[0].begun)} so far" if jobs else ""

    def _told(self, job: Job) -> re.Match[str] | None:
        """The last progress in a job's log."""
        if job.log is None:
            return None
        try:
            with open(self.folder / job.log, "rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _TAIL))
                text = file.read().decode(errors="replace")
        except OSError:
            return None
        found = list(_STAGE.finditer(text))
        return found[-1] if found else None

    def _draw(self) -> None:
        """Two lines over the two before: a bar for all jobs, and the running stage."""
        events = self.events
        width = max(40, shutil.get_terminal_size((100, 24)).columns - 1)
        counted = f"{events.done}/{events.total} jobs"
        times = ", ".join([span(time.monotonic() - self._begun), *self._left("estimating")])
        room = width - len(counted) - len(times) - 4
        filled = round(max(0, room) * events.done / max(1, events.total))
        bar = "█" * filled + "░" * (room - filled) if room > 4 else ""
        lines = [f"{counted} {bar} {times}"[:width], self._stage()[:width]]
        up = f"\x1b[{self._lines}F" if self._lines else ""
        sys.stderr.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        sys.stderr.flush()
        self._lines = len(lines)

    def __enter__(self) -> "RunProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal and self._lines:
            self._draw()
        elif self.events.done != self._shown_done and self.events.total:
            print(self.line(), file=sys.stderr, flush=True)


def _short(name: str, most: int = 60) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def span(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
