"""A table's files, all rendered from its frame: CSV for programs, Markdown and pictures for people, LaTeX for papers."""

import math
from collections.abc import Mapping
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from dad.files import write_csv, write_text
from dad.report.claims import ORDER, Finding, findings, orderings
from dad.report.effects import effects_of, heading, level_label
from dad.report.frame import METRICS, Column, Frame, Line, beside_label, load_frame
from dad.report.plots import write_table_figure
from dad.report.provenance import (
    FACTS,
    Facts,
    Provenance,
    commits,
    devices,
    distinct,
    photos_fact,
    read_provenance,
    run_facts,
    scale_fact,
    shared_facts,
    short_name,
    student_fact,
    teacher_fact,
    total_time,
)
from dad.report.statistics import MEANS, TO_BEST, TO_REFERENCE
from dad.report.templates import render
from dad.study.config import Cell, StudyConfig
from dad.study.layout import Layout
from dad.study.modes import TERMS
from dad.study.paper import paper

SUFFIXES = (".csv", ".md", "_details.md", ".tex", ".png", ".svg")
"""The files of a table, behind its name."""


def table_files(study: StudyConfig, table: str, results: Path, out: Path) -> list[Path]:
    """Render a table from RESULTS/<study>/scores and runs into OUT, a file per suffix; the same inputs give the same bytes.

    Raises UserError as `load_frame` does; an absent provenance file or key is written as unknown.
    """
    frame = load_frame(study, table, results)
    write_texts(frame, read_provenance(Layout(study, results), [cell for row in frame.trained for cell in row.cells]), out)
    write_table_figure(frame, out / f"{table}.png")
    return [out / f"{table}{suffix}" for suffix in SUFFIXES]


def write_texts(frame: Frame, provenance: Mapping[str, Provenance], out: Path) -> None:
    """The files of a table that hold no picture."""
    facts = page_facts(frame, provenance)
    write_csv(out / f"{frame.table}.csv", csv_lines(frame), csv_columns(frame))
    for template, suffix in (("table.md.j2", ".md"), ("details.md.j2", "_details.md"), ("table.tex.j2", ".tex")):
        write_text(out / f"{frame.table}{suffix}", render(template, **facts))


def csv_columns(frame: Frame) -> list[str]:
    """The columns of the CSV. `cell` is the ids of the row's cells or of its model; `paper` is the number printed for the benchmark
    in `stands_for` (empty: for `dataset` itself); `difference_to_best` is to the best row of the table in this column and metric,
    `ref_difference` to the row named by `reference`; `percent` is relative to the base row, as the paper's `paper_percent`.
    """
    return [
        *("cell", *frame.layout.factors, "dataset", "protocol", "metric", *MEANS, "paper", *TO_BEST),
        *("stands_for", "reason", "reference", *TO_REFERENCE, "percent", "paper_percent", "notes"),
    ]


def csv_lines(frame: Frame) -> list[Line]:
    """The frame's rows as they are written: numbers of ours with six digits after the point, what does not exist empty."""
    return [
        {name: _written(name, line[name]) for name in csv_columns(frame)}
        for line in frame.lines[frame.lines["role"] == "row"].to_dict("records")
    ]


def _written(name: str, value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return ""
    if name in ("n", "seeds"):
        return int(value)
    return value if name.startswith("paper") else round(value, 6)


def page_facts(frame: Frame, provenance: Mapping[str, Provenance]) -> dict[str, Any]:
    """Everything that the templates of a table are handed."""
    layout = frame.layout
    found = sorted(findings(frame), key=lambda finding: ORDER.index(finding.verdict))
    pairs = orderings(frame)
    notes = {note for line in frame.lines["notes"] for note in line.split()} | ({"D2"} if frame.printed else set())
    return {
        "frame": frame,
        "layout": layout,
        "paper": paper(),
        "metrics": layout.metrics,
        "further": [metric for metric in METRICS if metric not in layout.metrics],
        "heads": {metric: heads_of(frame, metric) for metric in METRICS},
        "letters": dict(zip(frame.reasons, ascii_lowercase, strict=False)),
        "found": found,
        "verdicts": counts_of(found),
        "pairs": {verdict: [pair for pair in pairs if pair.verdict == verdict] for verdict in ORDER},
        "scenes": scenes_of(frame),
        "notes": [(name, note.text) for name, note in paper().notes.items() if name in notes],
        "effects": effects_of(frame),
        "heading": heading,
        "level_label": level_label,
        "run": _run_line(frame, list(provenance.values())),
        "details": _details(frame, list(provenance.values())),
        "differing": _differing(frame),
        "shown_terms": [term for term in TERMS if any(term in of for of in frame.shares.values())],
        "short_name": short_name,
        "beside_label": beside_label,
        "isnan": math.isnan,
    }


def heads_of(frame: Frame, metric: str) -> list[tuple[Column, str]]:
    """The value columns of a metric, `ours` or `printed` each; at the end the printed ones that this study has no data set for."""
    lines = frame.lines[(frame.lines["metric"] == metric) & frame.lines["paper"].notna()]
    printed = set(lines["dataset"])
    heads = []
    for column in frame.columns:
        heads += [(column, "ours"), *([(column, "printed")] if column.dataset in printed else [])]
    return heads + [(column, "printed") for column in frame.absent if column.dataset in printed]


def counts_of(found: list[Finding]) -> list[tuple[int, str]]:
    """How many claims have which verdict."""
    counts = [(sum(finding.verdict == verdict for finding in found), verdict) for verdict in ORDER]
    return [(count, verdict) for count, verdict in counts if count or verdict != ORDER[-1]]


def scenes_of(frame: Frame) -> list[tuple[str, int, int]]:
    """(data set, images, scenes) where several images are of one scene."""
    images = frame.scores.drop_duplicates(["dataset", "image"]).groupby("dataset", sort=False)
    counts = [(name, len(lines), lines["scene"].nunique()) for name, lines in images]
    return [one for one in counts if one[1] != one[2]]


def _cells(frame: Frame) -> list[Cell]:
    """The first seed's cell of every trained row."""
    return [next(iter(row.cells.values())) for row in frame.trained]


def _run_line(frame: Frame, runs: list[Provenance]) -> dict[str, Any]:
    """The parts of the one sentence on what was run."""
    cells = _cells(frame)
    return {
        "students": len(runs),
        "student": distinct(cells, student_fact),
        "teacher": distinct(cells, teacher_fact),
        "scale": distinct(cells, scale_fact),
        "photos": distinct(cells, photos_fact),
        "models": sum(row.model is not None for row in frame.scored),
        "images": [(count, column.dataset) for column, count in frame.images().items()],
        "devices": devices(runs),
        "time": total_time(runs),
        "commits": commits(runs),
    }


def _details(frame: Frame, runs: list[Provenance]) -> Facts:
    """(what, value) pairs on what was run: what all rows have in common."""
    study, cells = frame.study, _cells(frame)
    details = [("Study", f"`{study.name}`: {study.description}"), *(shared_facts(cells) if cells else [])]
    if cells:
        details.append(("Seeds", ", ".join(map(str, frame.seeds))))
    if models := [f"`{short_name(row.model)}` ({frame.label(row)})" for row in (*frame.beside, *frame.scored) if row.model]:
        details.append(("Scored as is", ", ".join(models)))
    measured = [f"{column.title}: {count} images" for column, count in frame.images().items()]
    details += [
        ("Benchmarks", ", ".join(measured) or "none: no row has scores"),
        ("Protocol", f"`{frame.protocol}` (rules {frame.protocol_hash})"),
        *(run_facts(runs) if cells else []),
    ]
    if empty := {name: count for name, count in frame.empty.items() if count}:
        details.append(("Images left out", ", ".join(f"{count} of {name} (no scored pixel)" for name, count in empty.items())))
    return details


def _differing(frame: Frame) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the facts in which the rows differ; nothing where the table's own factors say it all."""
    cells = _cells(frame)
    shared = {name for name, _ in shared_facts(cells)} if cells else set()
    names = [name for name in FACTS if name not in shared]
    if not set(names) - {"Mode, normalization", "Crops"} or not cells:
        return [], []
    lines = []
    for row in frame.scored:
        if row.model:
            lines.append([frame.label(row), f"scored as is: `{short_name(row.model)}`", *[""] * (len(names) - 1)])
        else:
            lines.append([frame.label(row), *(FACTS[name](next(iter(row.cells.values()))) for name in names)])
    return ["Row", *names], lines
