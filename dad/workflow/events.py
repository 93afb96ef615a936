"""What Snakemake says, line by line, as a state. Its lines are the interface: they are the same on every executor."""

import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Job:
    """A job that runs, or did."""

    rule: str
    begun: float
    log: Path | None = None
    wildcards: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The rule and what it is about."""
        about = self.wildcards.get("cell") or " ".join(self.wildcards.values())
        return f"{self.rule} {about}".strip()


_RULE = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):$")
_DETAIL = re.compile(r"    (jobid|log|wildcards): (.*)$")
_FINISHED = re.compile(r"Finished jobid: (\d+)")
_STEPS = re.compile(r"(\d+) of (\d+) steps \(.*\) done$")
_FAILED = re.compile(r"Error in rule (\w+):$")
_STAT = re.compile(r"(\w+) +(\d+)$")
_REFUSED = re.compile(r"(\w*(?:Exception|Error))(?: in .*)?:$")


class Events:
    """Reads the lines of one run of Snakemake.

    total, done: jobs. planned: jobs left by rule. running: jobs by Snakemake's number. seconds: what finished jobs
    took, by rule. failed: jobs that failed. refused: what Snakemake (or the study's check) would not start for. idle:
    nothing was to be done.
    """

    def __init__(self) -> None:
        self.total = self.done = 0
        self.planned: Counter[str] = Counter()
        self.running: dict[str, Job] = {}
        self.seconds: dict[str, list[float]] = {}
        self.failed: list[Job] = []
        self.refused: list[str] = []
        self.idle = False
        self._job: Job | None = None
        self._failing = False
        self._stats = self._reason = False

    def feed(self, line: str) -> None:
        """Take in one line."""
        line = line.rstrip()
        if self._stats:
            self._read_stat(line)
        elif line == "Job stats:":
            self._stats = True
        elif found := _RULE.match(line):
            self._job, self._failing = Job(found[1], time.monotonic()), False
        elif found := _FAILED.match(line):
            self._job, self._failing = Job(found[1], time.monotonic()), True
            self.failed.append(self._job)
        elif found := _DETAIL.match(line):
            self._read_detail(found[1], found[2])
        elif found := _FINISHED.match(line):
            self._finish(found[1])
        elif found := _STEPS.match(line):
            self.done, self.total = int(found[1]), int(found[2])
        elif line.startswith("Nothing to be done"):
            self.idle = True
        elif found := _REFUSED.match(line):
            self._reason = True
        elif self._reason and line.strip() and not line.lstrip().startswith('File "'):
            self.refused.append(line.strip())
        if not line.strip():
            self._reason = False

    def _read_stat(self, line: str) -> None:
        if found := _STAT.match(line):
            rule, count = found[1], int(found[2])
            if rule == "total":
                self.total, self._stats = count, False
            else:
                self.planned[rule] = count
        elif not line.strip() and self.planned:
            self._stats = False

    def _read_detail(self, key: str, value: str) -> None:
        job = self._job
        if job is None:
            return
        if key == "jobid" and not self._failing:
            self.running[value] = job
        elif key == "jobid" and value in self.running:
            begun = self.running.pop(value)
            job.begun, job.wildcards, job.log = begun.begun, begun.wildcards, job.log or begun.log
        elif key == "log":
            job.log = Path(value.split(" (check log file")[0].split(", ")[0])
        elif key == "wildcards":
            job.wildcards = dict(pair.split("=", 1) for pair in value.split(", ") if "=" in pair)

    def _finish(self, number: str) -> None:
        job = self.running.pop(number, None)
        if job:
            self.seconds.setdefault(job.rule, []).append(time.monotonic() - job.begun)
            self.planned[job.rule] -= 1

    def time_left(self, known: dict[str, float], parallel: int) -> float | None:
        """Estimated seconds until all jobs are done.

        A rule's jobs take what they took so far in this run; rules that have not run yet what `known` says of them,
        times how much slower than `known` this run is. None until something has finished.
        """
        if not self.seconds:
            return None
        means = {rule: sum(took) / len(took) for rule, took in self.seconds.items()}
        both = [rule for rule in means if rule in known]
        slower = sum(means[rule] for rule in both) / max(sum(known[rule] for rule in both), 1e-9) if both else 1.0
        now = time.monotonic()
        spent: defaultdict[str, float] = defaultdict(float)
        for job in self.running.values():
            spent[job.rule] += now - job.begun
        left = 0.0
        for rule, count in self.planned.items():
            each = means.get(rule, known.get(rule, 5.0) * slower)
            left += max(count * each - spent[rule], 0.0)
        return left / max(1, parallel)
