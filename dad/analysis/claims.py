"""The claims about a table held against our scores: each comparison by a paired interval, each claim by its
comparisons.

A comparison is made image by image and seed by seed on our scores alone; the printed numbers are shown beside it and
enter no test. Of whatever kind it is, it is a contrast of rows (`dad.analysis.contrasts`) held against a border. It has
a p value for the claim and one against it, each one-sided; over the comparisons of a claim both are corrected by Holm's
method, so that neither `held` nor `did not hold` can come from one interval of twenty. What neither side has evidence
for is `undecided`, and says what it would take.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from dad.analysis.columns import Column
from dad.analysis.contrasts import Term, holm
from dad.analysis.estimates import CONFIDENCE, Design, Estimate, average_of, design
from dad.analysis.frame import Frame
from dad.study.cells import Row
from dad.study.claims import ENDS, Claim, Comparison
from dad.study.paper import paper

Verdict = Literal["held", "did not hold", "undecided", "cannot be asked"]

ORDER: tuple[Verdict, ...] = ("did not hold", "undecided", "held", "cannot be asked")
"""What came out otherwise is told first."""

Case = tuple[tuple[Row, ...], tuple[Row, ...]]
"""The rows and the others of one comparison."""


@dataclass(frozen=True)
class Evidence:
    """One-sided p values: small `held` speaks for the claim, small `against` against it; NaN without any spread."""

    held: float
    against: float

    @property
    def verdict(self) -> Verdict:
        """As a 95 % interval decides that excludes the border on one side or the other."""
        if self.held <= (1 - CONFIDENCE) / 2:
            return "held"
        return "did not hold" if self.against <= (1 - CONFIDENCE) / 2 else "undecided"


def better(difference: Estimate) -> Evidence:
    """On `the other is worse`, from how much worse it is."""
    return Evidence(difference.above(0.0), difference.below(0.0))


def close(difference: Estimate, margin: float) -> Evidence:
    """On `the difference is within plus or minus margin`: two one-sided tests (Schuirmann 1987)."""
    within = max(difference.above(-margin), difference.below(margin))
    return Evidence(within, min(difference.above(margin), difference.below(-margin)))


def corrected(found: Sequence[Evidence]) -> list[Evidence]:
    """The evidence of a claim's comparisons, corrected for their number in both directions."""
    held, against = holm([one.held for one in found]), holm([one.against for one in found])
    return [Evidence(*map(float, pair)) for pair in zip(held, against, strict=True)]


@dataclass(frozen=True)
class Check:
    """One comparison on one column: of a row with another (`better`, `close`), of the gap between two rows with that
    between two others (`narrower`), or of rows along a factor that is a number (`trend`).
    """

    comparison: Comparison
    column: Column
    rows: tuple[Row, ...]
    others: tuple[Row, ...]
    """Empty for a trend of `rows` by themselves."""
    ours: tuple[float, ...]
    """Means of row and other; of gaps, the widths; of a trend, per level, how much worse the other is, or our mean."""
    printed: tuple[float, float] | None
    """The paper's values of the same two, or None unless it prints all that they are made of; a trend has none."""
    interval: Estimate
    """`better`: by how much the other is worse than `factor` times the row, in the metric's unit; `close`: other minus
    row; `narrower`: by how much the others' gap is wider; `trend`: by how much better the largest level is than the
    smallest.
    """
    judged: Estimate
    """The verdict's basis: the same; of a trend the least-squares slope per doubling of the factor, over all levels."""
    evidence: Evidence
    """Corrected for the number of the claim's comparisons."""
    spearman: float = math.nan
    """Of a trend: rank correlation of level and series, turned so that 1 is as claimed; NaN below three levels."""

    @property
    def verdict(self) -> Verdict:
        """By the corrected evidence."""
        return self.evidence.verdict

    @property
    def relation(self) -> str:
        """What is claimed of the rows."""
        return self.comparison.relation

    @property
    def says_nothing(self) -> bool:
        """Whether both values lie below what the metric measures from on."""
        return self.relation in ("better", "close") and max(self.ours) < paper().metric(self.comparison.metric).floor

    @property
    def needed(self) -> Design | None:
        """What it would take to decide, were the difference as large as the one seen; None where it cannot be told."""
        margin, seen = self.comparison.margin, self.judged.mean
        return design(self.judged, seen - (0.0 if margin is None else math.copysign(margin * abs(self.ours[0]), seen)))

    @property
    def within_noise(self) -> bool:
        """The printed gap is not larger than what the paper prints for one and the same cell."""
        return self.printed is not None and paper().within_noise(*self.printed)

    @property
    def printed_holds(self) -> bool | None:
        """Whether the printed numbers by themselves agree with the claim; None where the paper does not print them."""
        if self.printed is None:
            return None
        row, other = self.printed
        if self.comparison.margin is not None:
            return abs(other - row) <= self.comparison.margin * row
        falling = self.relation == "narrower" or _is_lower(self.comparison.metric)
        high, low = (other, row) if falling else (row, other)
        return high > self.comparison.factor * low


@dataclass(frozen=True)
class Finding:
    """A claim and what became of it."""

    claim: Claim
    checks: tuple[Check, ...]
    missing: int
    """Comparisons that this study cannot make: a row or a data set is not in it."""
    reason: str | None = None
    """Why none can be made, where that has one reason for all, e.g. that the table was not run."""

    @property
    def verdict(self) -> Verdict:
        """`did not hold` as soon as one comparison does not, `held` when all do, `cannot be asked` without any.

        Where most are enough: by what more than half of the comparisons that can be made say.
        """
        verdicts = {check.verdict for check in self.checks}
        if not verdicts:
            return "cannot be asked"
        if self.claim.holds == "most":
            counts = {verdict: sum(check.verdict == verdict for check in self.checks) for verdict in verdicts}
            return next((verdict for verdict, count in counts.items() if 2 * count > len(self.checks)), "undecided")
        if "did not hold" in verdicts:
            return "did not hold"
        return "held" if verdicts == {"held"} and not self.missing else "undecided"

    @property
    def held(self) -> int:
        """How many of its comparisons held."""
        return sum(check.verdict == "held" for check in self.checks)


def findings(frame: Frame) -> list[Finding]:
    """Every claim about this table, in the order of its file."""
    return [_finding(frame, claim) for claim in frame.layout.claims]


def _finding(frame: Frame, claim: Claim) -> Finding:
    checks: list[Check] = []
    missing = 0
    for comparison in claim.comparisons:
        cases, absent = _cases(frame, comparison)
        for name in comparison.datasets:
            columns = [column for column in frame.columns if column.paper == name]
            missing += absent + (0 if columns else len(cases))
            checks += [compared(frame, comparison, *case, column) for column in columns for case in cases]
    evidence = corrected([check.evidence for check in checks])
    judged = (replace(check, evidence=one) for check, one in zip(checks, evidence, strict=True))
    return Finding(claim, tuple(judged), missing)


def counts_of(found: Sequence[Finding]) -> list[tuple[int, str]]:
    """How many claims have which verdict."""
    counts = [(sum(finding.verdict == verdict for finding in found), verdict) for verdict in ORDER]
    return [(count, verdict) for count, verdict in counts if count or verdict != ORDER[-1]]


def matching(frame: Frame, levels: dict[str, str]) -> list[Row]:
    """The rows of a table that a claim's row stands for, whether they have scores or not; as `Comparison` says."""
    named = {factor: level for factor, level in levels.items() if level not in ENDS}
    rows = [row for row in frame.rows if named.items() <= row.factors.items()]
    for factor in (factor for factor, level in levels.items() if level in ENDS and rows):
        choose = max if levels[factor] == "largest" else min
        end = choose(float(row.factors[factor]) for row in rows)
        rows = [row for row in rows if float(row.factors[factor]) == end]
    return rows


def _cases(frame: Frame, comparison: Comparison) -> tuple[list[Case], int]:
    """What a comparison compares on each data set, of rows with scores, and how many more it has outside this study."""
    if comparison.relation == "narrower":
        found = [matching(frame, levels) for levels in (*comparison.rows, *comparison.others)]
        if any(len(rows) != 1 or not rows[0].subjects for rows in found):
            return [], 1
        return [((found[0][0], found[1][0]), (found[2][0], found[3][0]))], 0
    pairs, absent = [], 0
    for one, two in itertools.product(comparison.rows, comparison.others or comparison.rows):
        left_out = [factor for factor in frame.layout.factors if factor not in one and factor not in two]
        alike = [
            (row, other)
            for row, other in itertools.product(matching(frame, one), matching(frame, two))
            if all(row.factors[factor] == other.factors[factor] for factor in left_out)
        ]
        possible = [pair for pair in alike if all(row.subjects for row in pair)]
        pairs += possible
        absent += max(1, len(alike)) - len(possible)
    if comparison.along is None:
        return [((row,), (other,)) for row, other in pairs], absent
    series = sorted(pairs, key=lambda pair: float(pair[0].factors[comparison.along or ""]))
    rows, others = tuple(row for row, _ in series), tuple(other for _, other in series if comparison.others)
    return ([(rows, others)], 0) if len(rows) > 1 else ([], 1)


def compared(frame: Frame, comparison: Comparison, rows: Sequence[Row], others: Sequence[Row], column: Column) -> Check:
    """One comparison of rows that have scores on one column, its evidence by itself."""
    metric, theirs = comparison.metric, comparison.other_metric or comparison.metric
    sign = 1.0 if _is_lower(metric) else -1.0

    def of(row: Row, weight: float, measure: str = metric) -> Term:
        return row.name, measure, weight

    def gap(row: Row, other: Row) -> list[Term]:
        """By how much the other is worse."""
        return [of(other, sign), of(row, -sign)]

    def estimate(*terms: Term) -> Estimate:
        return average_of(frame.contrast(column, terms))

    def printed(row: Row, measure: str) -> float:
        # a metric that tables do not print has no line
        return (frame.value(row, column, measure) or {"paper": math.nan})["paper"]

    spearman, slope = math.nan, None
    if comparison.relation == "trend":
        series = (
            [gap(*pair) for pair in zip(rows, others, strict=True)] if others else [[of(row, -sign)] for row in rows]
        )
        heights = [estimate(*terms).mean for terms in series]
        levels = [float(row.factors[comparison.along or ""]) for row in rows]
        slope = estimate(*_weighted(series, slope_weights(levels)))
        interval = estimate(*_weighted([series[-1], series[0]], [1.0, -1.0]))
        if len(levels) > 2 and np.ptp(heights) > 0:
            spearman = float(stats.spearmanr(levels, heights).statistic)
        ours, prints = tuple(heights if others else [-sign * height for height in heights]), [math.nan]
    elif comparison.relation == "narrower":
        both = [gap(*rows), gap(*others)]
        ours = tuple(estimate(*terms).mean for terms in both)
        interval = estimate(*_weighted(both, [-1.0, 1.0]))
        prints = [sign * (printed(other, metric) - printed(row, metric)) for row, other in (rows, others)]
    else:
        (row,), (other,) = rows, others
        # each mean is over the images that both have a value of
        ours = tuple(estimate(of(row, one), of(other, two, theirs)).mean for one, two in ((1.0, 0.0), (0.0, 1.0)))
        falling = sign > 0 or comparison.relation == "close"
        terms = ((row, metric, -comparison.factor), (other, theirs, 1.0))
        if not falling:
            terms = ((row, metric, 1.0), (other, theirs, -comparison.factor))
        interval = estimate(*(of(one, weight, measure) for one, measure, weight in terms))
        prints = [printed(row, metric), printed(other, theirs)]
    judged = slope or interval
    evidence = better(judged) if comparison.margin is None else close(judged, comparison.margin * abs(ours[0]))
    known = None if any(map(math.isnan, prints)) else (prints[0], prints[1])
    found = Check(comparison, column, tuple(rows), tuple(others), ours, known, interval, judged, evidence, spearman)
    return replace(found, evidence=Evidence(math.nan, math.nan)) if found.says_nothing else found


def _weighted(parts: Sequence[Sequence[Term]], weights: Sequence[float]) -> list[Term]:
    """The weighted sum of contrasts."""
    return [
        (row, metric, factor * weight)
        for terms, factor in zip(parts, weights, strict=True)
        for row, metric, weight in terms
    ]


def slope_weights(levels: Sequence[float]) -> list[float]:
    """Weights whose sum over the heights at these levels is the least-squares slope per doubling of the level."""
    places = np.log2(np.asarray(levels, dtype=np.float64))
    centred = places - places.mean()
    return (centred / (centred**2).sum()).tolist()


def _is_lower(metric: str) -> bool:
    return paper().metric(metric).better == "lower"


def orderings(frame: Frame, metric: str = "abs_rel") -> list[Check]:
    """All pairs of rows that the paper prints apart by more than its noise floor, on every data set with a printed
    column: whether ours are ordered likewise.

    Numbers that were not made under the paper's own protocol order nothing and are left out.
    """
    found = []
    for column, pair in itertools.product(frame.columns, itertools.combinations(frame.scored, 2)):
        lines = [frame.value(row, column, metric) for row in pair]
        if any(math.isnan(line["paper"]) or line["foreign"] for line in lines):
            continue
        if paper().within_noise(lines[0]["paper"], lines[1]["paper"]):
            continue
        in_order = (lines[0]["paper"] < lines[1]["paper"]) == _is_lower(metric)
        ahead, behind = pair if in_order else pair[::-1]
        asked = Comparison(
            relation="better", rows=(ahead.factors,), others=(behind.factors,), datasets=(column.paper,), metric=metric
        )
        found.append(compared(frame, asked, (ahead,), (behind,), column))
    return found
