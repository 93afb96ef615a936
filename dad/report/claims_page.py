"""All claims of the paper held against a study's results: `claims.md` for people, `claims.csv` for programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dad.files import write_csv, write_text
from dad.report.discrepancies import discrepancies_page
from dad.report.findings import Check, Finding, findings
from dad.report.findings_text import comparison_lines, counts_of, coverage, how_judged, share_held
from dad.report.provenance import image_counts
from dad.report.results import TableResult, load_table, score_paths
from dad.report.run_facts import short_name
from dad.report.text import markdown_table, number
from dad.report.trends import Trend
from dad.study.claims import claims
from dad.study.config import StudyConfig
from dad.study.paper import paper

COLUMNS = [
    *("claim", "table", "verdict", "relation", "dataset", "metric", "row", "other", "row_mean", "other_mean", "difference", "low"),
    *("high", "factor", "margin", "comparison", "slope", "slope_low", "slope_high", "spearman", "printed_row", "printed_other"),
    *("printed_holds", "protocol", "n", "seeds", "reason"),
]


@dataclass(frozen=True)
class Judged:
    """The claims about one table, and its results where it was run."""

    table: str
    findings: list[Finding]
    result: TableResult | None


def claims_files(study: StudyConfig, results: Path, out: Path) -> list[Path]:
    """Judge every claim by the score files in RESULTS/<study>; writes OUT/claims.md, OUT/claims.csv and OUT/discrepancies.md.

    A table without score files is not an error: its claims say that it was not run. The same files give the same bytes.
    """
    judged = [judge(study, table, results) for table in dict.fromkeys(claim.table for claim in claims())]
    paths = [out / "claims.md", out / "claims.csv", out / "discrepancies.md"]
    write_text(paths[0], claims_markdown(study, judged))
    write_csv(paths[1], [line for one in judged for line in csv_lines(one)], COLUMNS)
    write_text(paths[2], discrepancies_page())
    return paths


def judge(study: StudyConfig, table: str, results: Path) -> Judged:
    """The claims about one table. Raises UserError where its score files exist but can not be compared."""
    name, paths = paper().table(table).name, score_paths(study, table, results)
    absent = [path for path in paths.values() if not path.is_file()]
    if not paths or absent:
        reason = f"{name} was not run: " + (f"{len(absent)} of {len(paths)} score files are missing" if paths else "no benchmark")
        return Judged(table, [Finding(claim, (), 0, reason) for claim in claims(table)], None)
    result = load_table(study, table, paths)
    return Judged(table, findings(result), result)


def claims_markdown(study: StudyConfig, judged: list[Judged]) -> str:
    """The page: the verdicts first, then what was compared, then every number."""
    found = [finding for one in judged for finding in one.findings]
    lines = [
        "# The paper's claims on our cells",
        "",
        f"Study `{study.name}` ({study.description}); {len(study.seeds)} seed{'s' if len(study.seeds) > 1 else ''}; claims of "
        f"{paper().source}, each asked of our scores alone. Of {len(found)} claims: {counts_of(found)}.",
        "",
    ]
    overview = [
        [_where(one), finding.verdict, share_held(finding), finding.claim.text, _printed_agree(finding), f"`{finding.claim.id}`"]
        for one in judged
        for finding in one.findings
    ]
    header = ["Table", "On our cells", "Comparisons", "The paper's claim", "The paper's own numbers", "Id"]
    lines += markdown_table(header, overview, left=len(header))
    lines += ["", "## How a verdict is reached", "", *_method(study, judged), ""]
    for one in judged:
        lines += [f"## {_where(one)}: {paper().table(one.table).title}", "", *_asked(one), ""]
        for finding in one.findings:
            lines += _claim_lines(one, finding)
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _where(one: Judged) -> str:
    return paper().table(one.table).name


def _method(study: StudyConfig, judged: list[Judged]) -> list[str]:
    """How verdicts are reached, and what the paper itself leaves room for."""
    stand_ins = {column.dataset for one in judged if one.result for column in one.result.columns if column.stand_in}
    here = (
        f" Here {', '.join(f'`{name}`' for name in sorted(stand_ins))} stand in for its benchmarks: a verdict is about the order "
        "of methods at this scale and on these images, not about the paper's own runs."
        if stand_ins
        else ""
    )
    return [
        f"{how_judged()} A statement can not be asked where none of its rows or data sets is in this study, or its table was not "
        "run.",
        "",
        f"The paper has no seeds and no intervals. Its noise floor, {number(paper().noise_floor)}, is how far it prints one and "
        "the same cell apart in Tables 1 and 2 (D2): printed gaps up to that size, marked below, show no ordering.",
        "",
        f"The student is `{short_name(study.student.model)}` and the teacher `{short_name(study.teacher)}` unless a table says "
        f"otherwise.{here} D1, D2, ... are explained in discrepancies.md.",
    ]


def _asked(one: Judged) -> list[str]:
    """Protocol, images and seeds that the claims of one table were asked with."""
    if one.result is None:
        return [f"{one.findings[0].reason}."]
    counts = image_counts(one.result)
    images = ", ".join(f"{counts[column.dataset]} of {column.title}" for column in one.result.columns if column.dataset in counts)
    return [
        f"Protocol `{one.result.protocol}` (rules {one.result.protocol_hash}); images: {images}; seeds: "
        f"{', '.join(map(str, one.result.study.seeds))}. {coverage(one.result).capitalize()}."
    ]


def _claim_lines(one: Judged, finding: Finding) -> list[str]:
    claim = finding.claim
    notes = f" ({', '.join(claim.notes)})" if claim.notes else ""
    lines = [f"- **{finding.verdict}**, `{claim.id}`: {claim.text} {claim.source[:1].upper()}{claim.source[1:]}{notes}."]
    return lines + (comparison_lines(one.result, finding) if one.result else [f"  - {finding.reason}."])


def _printed_agree(finding: Finding) -> str:
    """How many of the comparisons the paper's printed numbers agree with, and how many of those by no more than its noise."""
    checks = [check for check in finding.checks if isinstance(check, Check) and check.printed is not None]
    if not checks:
        return "–"
    agree = [check for check in checks if check.printed_holds]
    noise = sum(check.within_noise for check in checks)
    return f"{len(agree)} of {len(checks)} agree" + (f"; {noise} within noise" if noise else "")


def csv_lines(one: Judged) -> Iterator[dict[str, Any]]:
    """One line per comparison, and one for a claim without any, with its reason."""
    for finding in one.findings:
        claim = {"claim": finding.claim.id, "table": one.table, "verdict": finding.verdict}
        if one.result is None or not finding.checks:
            yield claim | {"reason": finding.reason or "no row or data set of the claim is in this study"}
            continue
        missing = f"{finding.missing} more comparisons could not be made" if finding.missing else ""
        for check in finding.checks:
            lines = _trend_line(check) if isinstance(check, Trend) else _check_line(check)
            counts = image_counts(one.result)
            yield (
                claim
                | lines
                | {
                    "protocol": one.result.protocol,
                    "n": sum(counts.get(name, 0) for name in check.column.datasets),
                    "seeds": one.result.seeds,
                    "reason": missing,
                }
            )


def _check_line(check: Check) -> dict[str, Any]:
    comparison = check.comparison
    line = _interval_line(check) | {"row": check.row.name, "other": check.other.name}
    line |= {"row_mean": round(check.ours[0], 6), "other_mean": round(check.ours[1], 6)}
    line |= {"factor": comparison.factor, "margin": "" if comparison.margin is None else comparison.margin}
    if check.printed is not None:
        line |= {"printed_row": check.printed[0], "printed_other": check.printed[1], "printed_holds": check.printed_holds}
    return line


def _trend_line(found: Trend) -> dict[str, Any]:
    line = _interval_line(found) | {"row": "+".join(row.name for row in found.rows)}
    line |= {"other": "+".join(row.name for row in found.others), "slope": round(found.slope.mean, 6)}
    line |= {"slope_low": round(found.slope.low, 6), "slope_high": round(found.slope.high, 6)}
    return line | {"spearman": round(found.spearman, 6)}


def _interval_line(check: Check | Trend) -> dict[str, Any]:
    ends = {"difference": check.interval.mean, "low": check.interval.low, "high": check.interval.high}
    return {
        "relation": check.comparison.relation,
        "dataset": check.column.dataset,
        "metric": check.comparison.metric,
        "comparison": check.verdict,
        **{name: round(value, 6) for name, value in ends.items()},
    }
