"""A table's files, from score and provenance files alone: `table1.csv` for programs, `table1.md` and `table1.png` for people."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dad.files import write_csv, write_text
from dad.report.markdown import markdown
from dad.report.plots import write_table_figure
from dad.report.provenance import read_provenance
from dad.report.results import METRICS, Column, TableResult, load_table, provenance_paths, score_paths
from dad.report.scores import ScoreFiles
from dad.study.cells import Row
from dad.study.config import StudyConfig

STATISTICS = ["mean", "ci_low", "ci_high", "n", "seeds"]
DIFFERENCES = ["difference_to_best", "diff_low", "diff_high", "p_holm", "effect"]
REFERENCE = ["ref_difference", "ref_low", "ref_high", "ref_p_holm", "ref_effect"]


def table_files(study: StudyConfig, table: str, results: Path, out: Path) -> list[Path]:
    """Render a table from RESULTS/<study>/scores and runs into OUT: .csv, .md, .png and .svg. Returns their paths."""
    result = render_table(study, table, score_paths(study, table, results), provenance_paths(study, table, results), out)
    figure = out / f"{table}.png"
    write_table_figure(result, figure)
    return [out / f"{table}.csv", out / f"{table}.md", figure, figure.with_suffix(".svg")]


def render_table(study: StudyConfig, table: str, scores: ScoreFiles, provenance: Mapping[str, Path], out: Path) -> TableResult:
    """Write OUT/<table>.csv and OUT/<table>.md; the same inputs give the same bytes. Returns what they were rendered from.

    scores: as `score_paths` gives them; provenance: cell id -> file. Raises UserError as `dad.report.results.load_table` does; an
    absent provenance file or key is written as unknown.
    """
    result = load_table(study, table, scores)
    cells = [cell for row in result.trained for cell in row.cells]
    page = markdown(result, read_provenance(provenance, cells))
    columns = [
        *("cell", *result.layout.factors, "dataset", "protocol", "metric", *STATISTICS, "paper", *DIFFERENCES),
        *("stands_for", "reason", "reference", *REFERENCE, "percent", "paper_percent", "notes"),
    ]
    write_csv(out / f"{table}.csv", csv_lines(result), columns)
    write_text(out / f"{table}.md", page)
    return result


def csv_lines(result: TableResult) -> list[dict[str, Any]]:
    """One line per row, column and metric. `cell` is the ids of the row's cells or of its model; `paper` is the number printed for
    the benchmark in `stands_for` (empty: for `dataset` itself); `difference_to_best` is to the best row of the table in this column
    and metric, `ref_difference` to the row named by `reference`; `percent` is relative to the base row, as the paper's
    `paper_percent`; a row that was not run has its `reason` and no statistics. Benchmarks that the paper prints and this study has
    no data set for have lines with the printed numbers alone.
    """
    absent = [Column(name, name, stand_in=False) for name in result.unscored]
    return [
        _csv_line(result, row, column, metric, scored=column in result.columns)
        for row in result.rows
        for column in (*result.columns, *absent)
        for metric in METRICS
        if column in result.columns or result.printed(row, column, metric)
    ]


def _csv_line(result: TableResult, row: Row, column: Column, metric: str, *, scored: bool) -> dict[str, Any]:
    printed = result.printed(row, column, metric)
    line: dict[str, Any] = {
        "cell": "+".join(row.subjects),
        **row.factors,
        "dataset": column.dataset,
        "protocol": result.protocol if scored else "",
        "metric": metric,
        "paper": printed.value if printed else "",
        "stands_for": column.paper if column.stand_in else "",
        "reason": row.reason or ("" if scored else "this study has no data set for this benchmark"),
        "paper_percent": printed.percent if printed and printed.percent is not None else "",
        "notes": " ".join(printed.notes) if printed else "",
    }
    if row.subjects and scored:
        values = result.statistics.loc[(row.name, column.dataset, metric)]
        line |= {key: _rounded(values[key]) for key in (*STATISTICS, *DIFFERENCES, *REFERENCE)}
        line |= {key: int(values[key]) for key in ("n", "seeds")}
        change = result.percent(row, column, metric)
        line |= {"reference": values["reference"], "percent": "" if change is None else _rounded(change)}
    return line


def _rounded(value: float) -> float | str:
    """Six digits after the point: more than any score means, few enough to read. NaN is an empty field."""
    return "" if math.isnan(value) else round(float(value), 6)
