"""What became of the paper's statements, in words and numbers: the section of a table's page, and the lines of `claims.md`."""

import math

from dad.report.findings import Check, Finding, findings
from dad.report.orderings import Ordering, orderings
from dad.report.results import TableResult
from dad.report.statistics import Interval
from dad.report.text import NOTHING, markdown_table, number, signed, with_interval
from dad.report.trends import Trend
from dad.report.verdicts import ORDER
from dad.study.cells import Row
from dad.study.paper import paper


def findings_section(result: TableResult) -> list[str]:
    """Verdicts, the reversed orderings, and every comparison with its interval, as lines of Markdown."""
    found = sorted(findings(result), key=lambda finding: ORDER.index(finding.verdict))
    lines = [f"Of the paper's {len(found)} statements about this table: {counts_of(found)}.", ""]
    for finding in found:
        if finding.claim.headline:
            lines += [f"{finding.claim.text} **{finding.verdict.capitalize()}.** {_headline(result, finding)}", ""]
    overview = ([finding.verdict, share_held(finding), finding.claim.text, finding.claim.source] for finding in found)
    lines += markdown_table(["On our cells", "Comparisons", "The paper's statement", "Where"], overview, left=4)
    lines += ["", *_orderings(result), "", "### Every comparison in numbers", ""]
    lines += [f"{how_judged()} {coverage(result).capitalize()}.", ""]
    for finding in found:
        lines += [f"- **{finding.verdict}**: {finding.claim.text}", *comparison_lines(result, finding)]
    return lines


def how_judged() -> str:
    """How verdicts are reached, in words."""
    return (
        "Each comparison is a paired 95 % interval of our scores; by itself it held, or did not hold, when the interval excludes "
        "the border, and is undecided otherwise. A statement held when all its comparisons do, and did not hold as soon as one "
        "does not. The intervals are not corrected for their number. The paper's own noise floor is about "
        f"{number(paper().noise_floor)} (D2)."
    )


def counts_of(found: list[Finding]) -> str:
    """How many statements have which verdict, e.g. `1 did not hold, 2 undecided, 5 held`."""
    counts = {verdict: sum(finding.verdict == verdict for finding in found) for verdict in ORDER}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count or verdict != ORDER[-1])


def comparison_lines(result: TableResult, finding: Finding) -> list[str]:
    """A line of Markdown per comparison, indented under the statement, and one for those that could not be made."""
    lines = [f"  - {_trend(result, check) if isinstance(check, Trend) else _check(result, check)}" for check in finding.checks]
    if finding.missing:
        more = f"{finding.missing} more" if finding.checks else f"{finding.missing}"
        lines.append(f"  - {more} comparisons could not be made: the row or the data set is not in this study.")
    return lines


def share_held(finding: Finding) -> str:
    """How many of a claim's comparisons held, e.g. `3 of 4 held, 1 not possible`."""
    if not finding.checks:
        return f"none of {finding.missing} possible" if finding.missing else "not run"
    held = sum(check.verdict == "held" for check in finding.checks)
    return f"{held} of {len(finding.checks)} held" + (f", {finding.missing} not possible" if finding.missing else "")


def _headline(result: TableResult, finding: Finding) -> str:
    """The means of all rows of a claim, ours and printed, data set by data set."""
    parts = []
    for column in dict.fromkeys(check.column for check in finding.checks):
        checks = [check for check in finding.checks if check.column == column]
        other = checks[0].other
        ours = ", ".join(f"{_short(result, check.row, other)} {number(check.ours[0])}" for check in checks)
        verdict = Finding(finding.claim, tuple(checks), missing=0).verdict
        said = f"On {column.dataset} ({verdict}): {_short(result, other, checks[0].row)} {number(checks[0].ours[1])} against {ours}"
        if all(check.printed for check in checks):
            theirs = ", ".join(number(check.printed[0]) for check in checks)
            said += f" (printed for {column.paper}: {number(checks[0].printed[1])} against {theirs})"
        parts.append(said)
    return ". ".join(parts) + "." if parts else "No cell of this study can answer it."


def _short(result: TableResult, row: Row, other: Row) -> str:
    """A row's label without the factors it shares with `other`."""
    different = [factor for factor, level in row.factors.items() if other.factors[factor] != level]
    return ", ".join(result.layout.label(factor, row.factors[factor]) for factor in different)


def _shared(result: TableResult, row: Row, other: Row) -> str:
    """The label of the factors that two rows share, with a colon, or nothing."""
    same = [result.layout.label(factor, level) for factor, level in row.factors.items() if other.factors[factor] == level]
    return f"{', '.join(same)}: " if same else ""


def _check(result: TableResult, check: Check) -> str:
    comparison = check.comparison
    row, other = _short(result, check.row, check.other), _short(result, check.other, check.row)
    factor = f"{comparison.factor:g} × " if comparison.factor != 1 else ""
    metric = "" if comparison.metric == "abs_rel" else f" {paper().metrics[comparison.metric].label}"
    shared = _shared(result, check.row, check.other)
    line = f"{check.column.dataset}{metric}, {shared}" if shared else f"{check.column.dataset}{metric}: "
    line += f"{other} {number(check.ours[1])} against {factor}{number(check.ours[0])} of {row}, "
    line += with_interval(check.interval, signs=True)
    if comparison.margin is not None:
        line += f" with a margin of ±{number(comparison.margin * abs(check.ours[0]), more=1)}"
    return f"{line}: {check.verdict}.{_as_printed(check)}"


def _as_printed(check: Check) -> str:
    """The printed pair and what it says by itself; nothing where the paper does not print both."""
    if check.printed is None:
        return ""
    noise = ", within its noise floor" if check.within_noise else ""
    against = "" if check.printed_holds else ", which contradicts the statement"
    return f" Printed ({check.column.paper}): {number(check.printed[1])} against {number(check.printed[0])}{noise}{against}."


def _trend(result: TableResult, found: Trend) -> str:
    factor = found.comparison.along
    levels = ", ".join(f"{result.layout.label(factor, str(level))}" for level in found.levels)
    write = signed if found.others else number
    series = ", ".join(write(value) for value in found.series)
    subject = _shared(result, found.rows[0], found.rows[-1]).removesuffix(": ")
    heading = result.layout.headings[factor].lower()
    if found.others:
        other = _shared(result, found.others[0], found.others[-1]).removesuffix(": ")
        what = f"by how much {other} is worse than {subject} at {levels} {heading}: {series}"
    else:
        what = f"{subject} at {levels} {heading}: {series}"
    better = "wider" if found.others else "better"
    gain = f"{better} at the largest than at the smallest by {with_interval(found.interval, signs=True)}"
    rank = NOTHING if math.isnan(found.spearman) else signed(found.spearman, more=-1)
    slope = f"per doubling {with_interval(found.slope, signs=True)}, rank correlation {rank}"
    return f"{found.column.dataset}: {what}; {gain}: {found.verdict}. Over all levels {slope}."


def _orderings(result: TableResult) -> list[str]:
    pairs = orderings(result)
    if not pairs:
        return []
    by_verdict = {verdict: [pair for pair in pairs if pair.verdict == verdict] for verdict in ORDER}
    reversed_pairs = by_verdict["did not hold"]
    lines = [
        f"All pairs of rows that the paper prints more than {number(paper().noise_floor)} apart, {len(pairs)} over the data sets: "
        f"ours are in the same order in {len(by_verdict['held'])}, undecided in {len(by_verdict['undecided'])}, reversed in "
        f"{len(reversed_pairs)}" + (":" if reversed_pairs else "."),
        "",
    ]
    return lines + [f"- {_ordering(result, pair)}" for pair in reversed_pairs]


def _ordering(result: TableResult, pair: Ordering) -> str:
    better, worse = result.label(pair.better), result.label(pair.worse)
    if result.block(pair.better) == result.block(pair.worse) and result.layout.row_factors:
        block = ", ".join(result.layout.label(factor, pair.better.factors[factor]) for factor in result.layout.block)
        better, worse = _short(result, pair.better, pair.worse), _short(result, pair.worse, pair.better)
        better = f"{block}: {better}" if block else better
    return (
        f"{pair.column.dataset}: {better} {number(pair.ours[0])} is worse than {worse} {number(pair.ours[1])}, by "
        f"{with_interval(_negative(pair.interval), signs=True)}; printed ({pair.column.paper}) {number(pair.printed[0])} and "
        f"{number(pair.printed[1])}."
    )


def coverage(result: TableResult) -> str:
    """What the intervals cover, in words."""
    if result.scored and not result.trained:
        return "nothing was trained: the intervals cover the images only"
    if result.seeds == 1:
        return "one seed: the intervals cover the images only, and say nothing about how far another training would end up"
    return f"{result.seeds} seeds: the intervals cover images and seeds, roughly, as so few seeds say little about their spread"


def _negative(interval: Interval) -> Interval:
    return Interval(-interval.mean, -interval.high, -interval.low)
