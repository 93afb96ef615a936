"""A table's files, from score and provenance files alone: `table1.csv` for programs, `table1.md` and `table1.png` for people."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dad.files import read_json, write_csv, write_text
from dad.report.figures import write_table_figure
from dad.report.markdown import markdown
from dad.report.provenance import read_provenance
from dad.report.results import METRICS, TableResult, load_table, provenance_paths, score_paths
from dad.study.config import StudyConfig

STATISTICS = ["mean", "ci_low", "ci_high", "n", "seeds"]
DIFFERENCES = ["difference_to_best", "diff_low", "diff_high", "p_holm", "effect"]


def table_files(study: StudyConfig, table: str, results: Path, out: Path) -> list[Path]:
    """Render a table from RESULTS/<study>/scores and RESULTS/<study>/runs into OUT: .csv, .md and .png. Returns their paths."""
    teacher = results / study.name / "scores" / "teacher.json"
    scores, provenance = score_paths(study, table, results), provenance_paths(study, table, results)
    result = render_table(study, table, scores, provenance, out, teacher=teacher if teacher.exists() else None)
    figure = out / f"{table}.png"
    write_table_figure(result, figure)
    return [out / f"{table}.csv", out / f"{table}.md", figure]


def render_table(
    study: StudyConfig,
    table: str,
    scores: Mapping[str, Path],
    provenance: Mapping[str, Path],
    out: Path,
    *,
    teacher: Path | None = None,
) -> TableResult:
    """Write OUT/<table>.csv and OUT/<table>.md; the same inputs give the same bytes. Returns what they were rendered from.

    scores, provenance: cell id -> file; teacher: the summary of the teacher's own scores, if it has been scored. Raises UserError
    as `dad.report.results.load_table` does; an absent provenance file or
    key is written as unknown.
    """
    result = load_table(study, table, scores)
    cells = [cell for row in result.trained for cell in row.cells]
    page = markdown(result, read_provenance(provenance, cells), _teacher_means(teacher, result))
    columns = [
        "cell",
        *result.layout.factors,
        "dataset",
        "protocol",
        "metric",
        *STATISTICS,
        "paper",
        *DIFFERENCES,
        "stands_for",
        "reason",
    ]
    write_csv(out / f"{table}.csv", csv_lines(result), columns)
    write_text(out / f"{table}.md", page)
    return result


def _teacher_means(path: Path | None, result: TableResult) -> dict[str, dict[str, float]] | None:
    """The teacher's means under the table's protocol, or None without them."""
    if path is None:
        return None
    means = {entry["dataset"]: entry["mean"] for entry in read_json(path)["results"] if entry["protocol"] == result.protocol}
    return means if all(column.dataset in means for column in result.columns) else None


def csv_lines(result: TableResult) -> list[dict[str, Any]]:
    """One line per row, data set and metric. `paper` is the number printed for the benchmark in `stands_for` (empty: for `dataset`
    itself); `difference_to_best` is to the best row of the table on this data set and metric; a row that can not be trained has its
    `reason` and no statistics.
    """
    lines = []
    for row in result.rows:
        for column in result.columns:
            for metric in METRICS:
                printed = result.printed(row, column, metric)
                line: dict[str, Any] = {
                    "cell": "+".join(row.cells),
                    **row.factors,
                    "dataset": column.dataset,
                    "protocol": result.protocol,
                    "metric": metric,
                    "paper": printed.value if printed else "",
                    "stands_for": column.paper if column.stand_in else "",
                    "reason": row.reason or "",
                }
                if row.cells:
                    values = result.statistics.loc[(row.name, column.dataset, metric)]
                    line |= {key: _rounded(values[key]) for key in (*STATISTICS, *DIFFERENCES)}
                    line |= {key: int(values[key]) for key in ("n", "seeds")}
                lines.append(line)
    return lines


def _rounded(value: float) -> float | str:
    """Six digits after the point: more than any score means, few enough to read. NaN is an empty field."""
    return "" if math.isnan(value) else round(float(value), 6)
