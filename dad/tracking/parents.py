"""What MLflow shows of a table as a whole: its parent run, with the rendered table and figures where there are any."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dad.errors import UserError
from dad.report.figures import figures_of
from dad.study.cells import table_rows
from dad.study.config import StudyConfig
from dad.tracking.content import RunContent, code_tags, digest_of, source_tags
from dad.tracking.places import Place, table_title
from dad.tracking.store import PARENT, metric_key

NOTE_LENGTH = 7500
"""MLflow holds 8000 characters of a description."""


def report_files(reports: Path, table: str) -> dict[str, Path]:
    """A table's rendered files that exist, by artifact path: `table1.*`, `table1_*`, and the figures made of its cells."""
    patterns = [f"{name}{rest}" for name in (table, *figures_of(table)) for rest in (".*", "_*.*")]
    endings = (".csv", ".md", ".png", ".svg", ".pdf")
    return {path.name: path for pattern in patterns for path in sorted(reports.glob(pattern)) if path.suffix in endings}


def read_lines(path: Path, study: StudyConfig, table: str) -> list[tuple[str, dict[str, str]]]:
    """The lines of a rendered table with the names of their rows.

    Raises UserError when the table was rendered for other cells than the study's (reports of another study, or of an older
    version of this one), ValueError or KeyError when it is not a table.
    """
    rows = {tuple(row.factors.values()): row for row in table_rows(study, table)}
    factors = list(next(iter(rows.values())).factors)
    lines = []
    with open(path, newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            row = rows.get(tuple(line[factor] for factor in factors))
            if row is None or (row.cells and line["mean"] and line["cell"] != "+".join(row.cells)):
                raise UserError(f"{path} was not rendered from these cells of study {study.name}; render it again")
            lines.append((row.name, line))
    if not lines:
        raise ValueError("no rows")
    return lines


def line_points(lines: Iterable[tuple[str, Mapping[str, str]]]) -> dict[tuple[str, int], float]:
    """The means of a rendered table as `table/<row> <dataset> <metric>`; rows without results are left out.

    One slash, because MLflow's charts make a section of everything before the last one.
    """
    values = {(f"table/{row} {line['dataset']} {line['metric']}", 0): float(line["mean"]) for row, line in lines if line["mean"]}
    return {(metric_key(key), step): value for (key, step), value in values.items() if math.isfinite(value)}


def describe(markdown: str) -> str:
    """What the UI shows as the run's description: the rendered page up to its second heading, which is the table."""
    lines = markdown.splitlines()
    end = next((number for number, line in enumerate(lines) if line.startswith("## ")), len(lines))
    text = "\n".join(lines[:end]).strip()
    return text if len(text) <= NOTE_LENGTH else text[:NOTE_LENGTH].rsplit("\n", 1)[0] + "\n\n..."


def read_table(
    study: StudyConfig, table: str, places: Mapping[str, Place], children: Sequence[RunContent], reports: Path | None
) -> RunContent:
    """The parent run of a table; `children` are its runs that have results. A rendered table belongs to it only if it was made from
    this study's cells; raises as `read_lines` does, OSError too.
    """
    files = {} if reports is None else report_files(reports, table)
    lines = read_lines(files[f"{table}.csv"], study, table) if f"{table}.csv" in files else []
    if not lines:
        # figures without their table can be of any study
        files = {}
    tags = _tags(study, table, places, children)
    if protocols := dict.fromkeys(line["protocol"] for _, line in lines if line["protocol"]):
        tags["protocol"] = ", ".join(protocols)
    page = files.get(f"{table}.md")
    tags["mlflow.note.content"] = table_title(study, table) if page is None else describe(page.read_text(encoding="utf-8"))
    started = min((child.started for child in children), default=0)
    return RunContent(
        subject=PARENT,
        name=table,
        digest=digest_of((), None, files, tags=tags),
        tags=tags,
        params={},
        points=line_points(lines),
        started=started,
        finished=max((child.finished for child in children), default=0),
        files=files,
    )


def bare_table(study: StudyConfig, table: str, places: Mapping[str, Place], children: Sequence[RunContent]) -> RunContent:
    """The parent run without the rendered table."""
    return read_table(study, table, places, children, None)


def _tags(study: StudyConfig, table: str, places: Mapping[str, Place], children: Sequence[RunContent]) -> dict[str, str]:
    cells = {subject for subject, place in places.items() if place.model is None}
    done = sum(child.subject in cells for child in children)
    tags = {
        "dad.study": study.name,
        "dad.table": table,
        "title": table_title(study, table),
        "seeds": ", ".join(map(str, study.seeds)),
    }
    tags |= {"cells": str(len(cells)), "cells finished": str(done), "models": str(len(places) - len(cells))}
    tags |= source_tags(f"dad table {table}")
    tags["protocol"] = ", ".join(dict.fromkeys(child.tags["protocol"] for child in children if "protocol" in child.tags))
    commits = list(dict.fromkeys(child.tags["git_commit"] for child in children if "git_commit" in child.tags))
    if len(commits) == 1:
        dirty = any(child.tags.get("git_dirty") == "true" for child in children)
        tags |= code_tags(commits[0], dirty)
    elif commits:
        tags["git_commit"] = ", ".join(commits)
    return tags
