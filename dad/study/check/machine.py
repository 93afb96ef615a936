"""Whether this machine has room for a study: writable folders, disk for labels, memory; and what it will cost."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dad.study.cells import all_cells
from dad.study.check.finding import Finding, stop, warning
from dad.study.config import Cell, StudyConfig
from dad.study.cost import cost_lines, duration, estimate, size
from dad.study.layout import Layout
from dad.study.needs import labelling_gib, needs_of, training_gib, training_hours
from dad.study.together import groups

_SPARE = 2 * 10**9
"""Bytes that must be left beside the labels, for runs, scores and reports."""


def check_machine(
    study: StudyConfig, results: Path | str = "results", reports: Path | str = "reports"
) -> Iterator[Finding]:
    """What stands in the way of writing the results, and the estimates of memory and time."""
    layout = Layout(study, results, reports)
    parts = [layout.root / name for name in ("labels", "runs", "scores", "work", "logs", "photos", "benchmarks")]
    blocked = False
    for folder in [Path(results), layout.root, *parts, Path(reports), layout.reports]:
        if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
            blocked = True
            yield stop("machine", f"{folder} is a file, and the study needs a folder of this name: move it away")
    database = Path(study.tracking_uri.removeprefix("sqlite:///").split("?", 1)[0])
    if study.tracking_uri.startswith("sqlite:///") and database.is_dir():
        yield stop("machine", f"tracking_uri: {database} is a folder: name the database's file in it")
    if not blocked:
        for folder in dict.fromkeys(_existing(path) for path in (layout.root, layout.reports)):
            if not writable(folder):
                yield stop(
                    "machine",
                    f"nothing can be written to {folder.absolute()}: change its permissions or work in another folder",
                )
        yield from _check_disk(study, layout)
    yield from _check_memory(study)
    for line in cost_lines(study):
        yield Finding("note", "machine", line)


def _existing(path: Path) -> Path:
    """The nearest folder above a path, or itself, that is there."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def writable(folder: Path) -> bool:
    """Whether files can be made in a folder, by permissions and because its file system is not read-only."""
    return os.access(folder, os.W_OK | os.X_OK) and not os.statvfs(folder).f_flag & os.ST_RDONLY


def _check_disk(study: StudyConfig, layout: Layout) -> Iterator[Finding]:
    needed = estimate(all_cells(study).values(), study.rates, study.students_per_job).storage
    if not needed:
        return
    labels = layout.root / "labels"
    there = sum(file.stat().st_size for file in labels.rglob("*.safetensors")) if labels.is_dir() else 0
    free = shutil.disk_usage(_existing(layout.root)).free
    left = max(0, needed - there)
    if left + _SPARE > free and left:
        line = (
            f"labels.mode: cached labels need {size(left)} more, {_existing(layout.root)} has {size(free)} free: "
            "take labels.mode: shared or online, fewer steps, or another disk"
        )
        yield stop("machine", line) if left > free else warning("machine", line)


def _check_memory(study: StudyConfig) -> Iterator[Finding]:
    """The largest and the longest training and the largest labelling of each network, beside what this machine has."""
    students: dict[str, list[Cell]] = {}
    teachers: dict[str, float] = {}
    for cell in all_cells(study).values():
        students.setdefault(cell.student.model, []).append(cell)
        if cell.labels.mode != "online":
            for plan in cell.label_plans.values():
                teachers[plan.teacher] = max(teachers.get(plan.teacher, 0.0), labelling_gib(plan))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    for model, cells in students.items():
        together = groups({str(number): cell for number, cell in enumerate(cells)}, study.students_per_job)
        gib = max(training_gib(*(cells[int(number)] for number in group)) for group in together)
        large = needs_of(model).gpu
        hours = [hours for cell in cells if (hours := training_hours(cell, rates=study.rates)) is not None]
        times = f", {duration(min(hours))} to {duration(max(hours))} a student" if hours else ""
        if large or hours:
            of = "a GPU's memory" if large else "memory"
            yield Finding("note", "machine", f"training {model}: up to {gib:.1f} GiB of {of}{times} (estimated)")
        if not large and gib > memory:
            yield warning(
                "machine", f"training {model} takes about {gib:.1f} GiB of memory, this machine has {memory:.1f}"
            )
    for model, gib in teachers.items():
        if needs_of(model).gpu:
            yield Finding(
                "note", "machine", f"labelling with {model}: up to {gib:.1f} GiB of a GPU's memory (estimated)"
            )
