"""A study's results as published: what was rendered, and every per-image score, so that anyone can redo an interval."""

import itertools
import shutil
from pathlib import Path

import pandas as pd
from PIL import Image

from dad.analysis.frame import load_frame
from dad.analysis.provenance import commits, read_run_record, span
from dad.errors import UserError
from dad.evaluation.summary import MEASURED
from dad.files import atomic_path, write_text
from dad.provenance import git_state
from dad.report.figures import FIGURES
from dad.report.templates import render
from dad.study.cells import all_cells, study_groups
from dad.study.config import StudyConfig
from dad.study.layout import Layout
from dad.study.tables import known_tables

RENDERED = (".md", ".csv", ".tex", ".png", ".svg")
"""Endings of reports that are published; the page holds all of them once more."""


def publish(study: StudyConfig, results: Path, reports: Path, out: Path) -> list[Path]:
    """Copy a study's tables, figures and claims from REPORTS and its premises into OUT; write OUT/scores.csv.xz and
    OUT/README.md.

    The scores are of every table that has been rendered: a line per table, row, seed, data set and image, with all that
    was measured of it under the study's first protocol, to seven digits. The same files give the same bytes. Raises
    UserError where nothing is there.
    """
    tables = [name for name in known_tables(study) if (reports / f"{name}.csv").is_file()]
    if not tables:
        raise UserError(f"{reports} holds no table of study {study.name}: make one first, e.g. reports/table1.csv")
    layout = Layout(study, results)
    names = sorted(
        path for path in reports.iterdir() if path.is_file() and path.suffix in RENDERED and path.name != "README.md"
    )
    # figures are pictures of maps and photographs, which are larger as SVG and no sharper
    names = [path for path in names if not (path.suffix == ".svg" and path.stem in FIGURES)]
    names += sorted(layout.premises.glob("premises.*")) if layout.premises.is_dir() else []
    commit, dirty = git_state()  # before what is written makes the checkout another
    # what can be refused comes before anything is written
    scores = pd.concat([_scores(study, table, results) for table in tables], ignore_index=True)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for path in names:
        sheet = path.name.endswith("_photos.png")
        target = out / (path.with_suffix(".webp").name if sheet else path.name)
        with atomic_path(target) as place:
            if sheet:
                _compress(path, place)
            else:
                shutil.copyfile(path, place)
        written.append(target)
    with atomic_path(out / "scores.csv.xz") as place:
        scores.to_csv(
            place, index=False, lineterminator="\n", float_format="%.7g", compression={"method": "xz", "preset": 6}
        )
    runs = [run for cell in all_cells(study, tables) if (run := read_run_record(layout, cell))]
    facts = {
        "when": span(run["finished"][:10] for run in runs if run.get("finished")),
        "commits": commits(runs),
        "here": commits([{"git_commit": commit, "git_dirty": dirty}]),
        "lines": len(scores),
    }
    write_text(out / "README.md", render("published.md.j2", study=study, tables=tables, **facts))
    return [*written, out / "scores.csv.xz", out / "README.md"]


def _compress(path: Path, place: Path) -> None:
    """A sheet of photographs and maps as WebP, a fifth of the size and no different to the eye."""
    with Image.open(path) as picture:
        picture.convert("RGB").save(place, "WEBP", quality=88, method=6)


def _scores(study: StudyConfig, table: str, results: Path) -> pd.DataFrame:
    """The per-image scores in a table's rows."""
    frame = load_frame(study, table, results)
    parts, first = [], ["table", "row", "seed"]
    for row in (*frame.beside, *frame.scored):
        for subject, group in itertools.product(row.subjects, study_groups(study, table)):
            lines = pd.read_csv(frame.files.scores(group, subject), dtype=str, keep_default_na=False)
            lines = lines[lines["protocol"] == frame.protocol]
            parts.append(
                lines.assign(table=table, row=row.name, seed=str(row.cells[subject].seed) if row.cells else "")
            )
    scores = pd.concat(parts, ignore_index=True)
    measured = [name for name in MEASURED if name in scores]
    scores[measured] = scores[measured].apply(pd.to_numeric, errors="coerce")  # "nan" is no number to pandas
    return scores[[*first, *scores.columns.drop(first)]]
