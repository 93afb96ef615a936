"""The claims about a study's tables held against its results, and each comparison as a line of `claims.csv`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dad.analysis.claims import Check, Finding, findings
from dad.analysis.frame import Frame, load_frame
from dad.analysis.scores import score_paths
from dad.study.cells import table_rows
from dad.study.config import StudyConfig
from dad.study.table import Table
from dad.study.tables import table_of

COLUMNS = [
    "claim",
    "table",
    "verdict",
    "relation",
    "dataset",
    "metric",
    "row",
    "other",
    "row_mean",
    "other_mean",
    "difference",
    "low",
    "high",
    "factor",
    "margin",
    "comparison",
    "slope",
    "slope_low",
    "slope_high",
    "spearman",
    "printed_row",
    "printed_other",
    "printed_holds",
    "protocol",
    "n",
    "seeds",
    "p",
    "p_against",
    "visible",
    "needed_seeds",
    "needed_images",
    "reason",
    "other_metric",
]


@dataclass(frozen=True)
class Judged:
    """The claims about one table, and its results where it was run."""

    table: str
    layout: Table
    findings: list[Finding]
    frame: Frame | None


def judge(study: StudyConfig, table: str, results: Path) -> Judged:
    """The claims about one table. Raises UserError where its score files exist but cannot be compared."""
    layout, paths = table_of(study, table), score_paths(study, table, results)
    own = {name for row in table_rows(study, table) for name in row.subjects}
    paths = {place: path for place, path in paths.items() if place[1] in own}
    absent = [path for path in paths.values() if not path.is_file()]
    if not paths or absent:
        why = f"{len(absent)} of {len(paths)} score files are missing" if paths else "no benchmark"
        reason = f"{layout.name} was not run: {why}"
        return Judged(table, layout, [Finding(claim, (), 0, reason) for claim in layout.claims], None)
    frame = load_frame(study, table, results)
    return Judged(table, layout, findings(frame), frame)


def csv_lines(one: Judged) -> Iterator[dict[str, Any]]:
    """One line per comparison, and one for a claim without any, with its reason."""
    for finding in one.findings:
        claim = {"claim": finding.claim.id, "table": one.table, "verdict": finding.verdict}
        if one.frame is None or not finding.checks:
            yield claim | {"reason": finding.reason or "no row or data set of the claim is in this study"}
            continue
        counts = {column.dataset: count for column, count in one.frame.images().items()}
        claim |= {"protocol": one.frame.protocol, "seeds": one.frame.repeats}
        claim |= {"reason": f"{finding.missing} more comparisons could not be made" if finding.missing else ""}
        for check in finding.checks:
            yield claim | check_line(check) | {"n": sum(counts.get(name, 0) for name in check.column.datasets)}


def check_line(check: Check) -> dict[str, Any]:
    """A comparison as its line of the CSV, numbers with six digits after the point; what it lacks is left out."""
    asked, shown, judged = check.comparison, check.interval, check.judged
    needed = check.needed if check.verdict == "undecided" and not check.says_nothing else None
    line: dict[str, Any] = {
        **{
            "relation": asked.relation,
            "dataset": check.column.dataset,
            "metric": asked.metric,
            "comparison": check.verdict,
        },
        **{"row": "+".join(row.name for row in check.rows), "other": "+".join(row.name for row in check.others)},
        **{"difference": shown.mean, "low": shown.low, "high": shown.high, "visible": judged.visible},
        **{"p": check.evidence.held, "p_against": check.evidence.against, "other_metric": asked.other_metric or ""},
        **({"needed_seeds": needed.seeds, "needed_images": needed.images} if needed else {}),
    }
    if asked.relation == "trend":
        line |= {"slope": judged.mean, "slope_low": judged.low, "slope_high": judged.high, "spearman": check.spearman}
    else:
        line |= dict(zip(("row_mean", "other_mean"), check.ours, strict=True))
    if asked.relation in ("better", "close"):
        line |= {"factor": asked.factor, "margin": "" if asked.margin is None else asked.margin}
    if check.printed is not None:
        line |= dict(zip(("printed_row", "printed_other"), check.printed, strict=True)) | {
            "printed_holds": check.printed_holds
        }
    numbers = {name: round(value, 6) for name, value in line.items() if isinstance(value, float)}
    return line | {name: "" if math.isnan(value) else value for name, value in numbers.items()}
