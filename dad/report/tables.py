"""A table's files, rendered from its frame: CSV for programs, Markdown and pictures for people, LaTeX for papers."""

import math
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from dad.analysis.claims import ORDER, counts_of, findings, orderings
from dad.analysis.columns import Column, beside_label
from dad.analysis.contrasts import MEANS, TO_BEST, TO_REFERENCE
from dad.analysis.effects import effects_of
from dad.analysis.frame import Frame, load_frame
from dad.analysis.provenance import (
    FACTS,
    commits,
    devices,
    distinct,
    photos_fact,
    read_run_record,
    run_facts,
    scale_fact,
    shared_facts,
    short_name,
    student_fact,
    teacher_fact,
    total_time,
)
from dad.files import write_text
from dad.report.plots import write_table_figure
from dad.report.templates import render
from dad.study.cell import Cell
from dad.study.config import StudyConfig
from dad.study.modes import TERMS
from dad.study.paper import paper

SUFFIXES = (".csv", ".md", "_details.md", ".tex", ".png", ".svg")
"""The files of a table, behind its name."""


def table_files(study: StudyConfig, table: str, results: Path, out: Path) -> list[Path]:
    """Render a table from RESULTS/<study>/scores and runs into OUT, a file per suffix; the same inputs give the same
    bytes.

    Raises UserError as `load_frame` does; an absent provenance file or key is written as unknown.
    """
    frame = load_frame(study, table, results)
    write_texts(frame, out)
    write_table_figure(frame, out / f"{table}.png")
    return [out / f"{table}{suffix}" for suffix in SUFFIXES]


def write_texts(frame: Frame, out: Path) -> None:
    """The files of a table that hold no picture."""
    facts = page_facts(frame)
    write_text(out / f"{frame.table}.csv", csv_text(frame))
    for template, suffix in (("table.md.j2", ".md"), ("details.md.j2", "_details.md"), ("table.tex.j2", ".tex")):
        write_text(out / f"{frame.table}{suffix}", render(template, **facts))


def csv_text(frame: Frame) -> str:
    """The frame's rows, numbers with six digits after the point, what does not exist empty.

    `cell` is the ids of the row's cells or of its model; `paper` is the number printed for the benchmark in
    `stands_for` (empty: for `dataset` itself); `difference_to_best` is to the best row of the table in this column and
    metric, `ref_difference` to the row named by `reference`; `percent` is relative to the base row, as the paper's
    `paper_percent`.
    """
    columns = [
        *("cell", *frame.layout.factors, "dataset", "protocol", "metric", *MEANS, "paper", *TO_BEST),
        *("stands_for", "reason", "reference", *TO_REFERENCE, "percent", "paper_percent", "notes"),
    ]
    rows = frame.lines.loc[frame.lines["role"] == "row", columns]
    return rows.astype({"n": "Int64", "seeds": "Int64"}).round(6).to_csv(index=False, lineterminator="\n")


def page_facts(frame: Frame) -> dict[str, Any]:
    """Everything that the templates of a table are handed."""
    found = sorted(findings(frame), key=lambda finding: ORDER.index(finding.verdict))
    pairs = orderings(frame)
    notes = {note for line in frame.lines["notes"] for note in line.split()} | ({"D2"} if frame.printed else set())
    # a cell can stand in two rows
    runs = [
        read_run_record(frame.files, name)
        for name in dict.fromkeys(name for row in frame.trained for name in row.cells)
    ]
    cells = [next(iter(row.cells.values())) for row in frame.trained]  # seeds differ in nothing that is told of them
    return {
        "frame": frame,
        "layout": frame.layout,
        "heads": {metric: heads_of(frame, metric) for metric in paper().metrics},
        "letters": dict(zip(frame.reasons, ascii_lowercase, strict=False)),
        "found": found,
        "verdicts": counts_of(found),
        "pairs": {verdict: [pair for pair in pairs if pair.verdict == verdict] for verdict in ORDER},
        "notes": [(name, note.text) for name, note in paper().notes.items() if name in notes],
        "effects": effects_of(frame),
        "students": len(runs),
        "student": distinct(cells, student_fact),
        "teacher": distinct(cells, teacher_fact),
        "scale": distinct(cells, scale_fact),
        "photos": distinct(cells, photos_fact),
        "devices": devices(runs),
        "time": total_time(runs),
        "commits": commits(runs),
        "shared": shared_facts(cells),
        "trainings": run_facts(runs) if cells else [],
        "differing": _differing(frame, cells),
        "shown_terms": [term for term in TERMS if any(term in of for of in frame.shares.values())],
        "beside_label": beside_label,
        "isnan": math.isnan,
    }


def heads_of(frame: Frame, metric: str) -> list[tuple[Column, str]]:
    """A metric's value columns, `ours` or `printed` each; last the printed ones that this study has no data set for."""
    lines = frame.lines[(frame.lines["metric"] == metric) & frame.lines["paper"].notna()]
    printed = set(lines["dataset"])
    heads = []
    for column in frame.columns:
        heads += [(column, "ours"), *([(column, "printed")] if column.dataset in printed else [])]
    return heads + [(column, "printed") for column in frame.absent if column.dataset in printed]


def _differing(frame: Frame, cells: Sequence[Cell]) -> list[list[str]]:
    """Header and lines of the facts in which the rows differ; nothing where the table's own factors say it all."""
    names = [name for name, fact in FACTS.items() if len(set(map(fact, cells))) > 1]
    if not set(names) - {"Mode, normalization", "Crops"}:
        return []
    lines = [["Row", *names]]
    for row in frame.scored:
        own = [FACTS[name](cell) for cell in list(row.cells.values())[:1] for name in names]
        as_is = [f"scored as is: `{short_name(row.model or '')}`", *[""] * (len(names) - 1)]
        lines.append([frame.label(row), *(own or as_is)])
    return lines
