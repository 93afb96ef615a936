"""The paper's statements and what became of them, from `claims.csv`, which has a line per comparison."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dad.errors import UserError
from dad.report.text import bounds, number, signed
from dad.report.verdicts import ORDER
from dad.study.claims import Claim, claims
from dad.study.paper import paper

COMMAND = "snakemake --cores 1 reports/claims.csv"
NEEDED = ("claim", "table", "verdict", "dataset", "row", "other", "comparison", "reason")
NUMBERS = ("row_mean", "other_mean", "difference", "low", "high", "factor", "margin", "slope", "printed_row", "printed_other")
VERDICTS = ("held", "undecided", "did not hold")
"""Counted even where there is none; whatever else the file has comes after them."""


@dataclass(frozen=True)
class ComparisonView:
    """One comparison in words and numbers."""

    dataset: str
    rows: str
    means: str
    difference: str
    verdict: str
    printed: str


@dataclass(frozen=True)
class ClaimView:
    """One statement."""

    claim: Claim
    where: str
    """Its table in words."""
    verdict: str
    share: str
    """How many of its comparisons held, or why there is none."""
    comparisons: tuple[ComparisonView, ...]


@dataclass(frozen=True)
class ClaimsView:
    """All statements, what came out otherwise first."""

    claims: tuple[ClaimView, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    command: str = COMMAND


def claims_view(reports: Path) -> ClaimsView:
    """Read REPORTS/claims.csv, if it exists. Raises UserError if it is not a file of claims."""
    path = reports / "claims.csv"
    if not path.is_file():
        return ClaimsView()
    types = dict.fromkeys(NEEDED, str) | {"metric": str, "relation": str}
    try:
        frame = pd.read_csv(path, dtype=types, keep_default_na=False, na_values={name: [""] for name in NUMBERS})
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path} is not a table of claims: {' '.join(str(error).split())}") from None
    if absent := [name for name in (*NEEDED, *NUMBERS) if name not in frame]:
        raise UserError(f"{path} has no column {', '.join(absent)}; make it again")
    lines = dict(iter(frame.groupby("claim", sort=False)))
    found = [_claim(claim, lines[claim.id]) for claim in claims() if claim.id in lines]
    found.sort(key=lambda view: ORDER.index(view.verdict) if view.verdict in ORDER else len(ORDER))
    counted = Counter(view.verdict for view in found)
    names = (*VERDICTS, *(verdict for verdict in counted if verdict not in VERDICTS))
    return ClaimsView(tuple(found), tuple((verdict, counted[verdict]) for verdict in names))


def _claim(claim: Claim, lines: pd.DataFrame) -> ClaimView:
    made = lines[lines["comparison"] != ""]
    reason = str(lines["reason"].iloc[0])
    held = int((made["comparison"] == "held").sum())
    share = f"{held} of {len(made)} comparison{'s' * (len(made) > 1)} held" if len(made) else ""
    words = "; ".join(part for part in (share, reason) if part)
    table = paper().table(claim.table)
    views = tuple(_comparison(line) for _, line in made.iterrows())
    return ClaimView(claim, table.name, str(lines["verdict"].iloc[0]), words, views)


def _comparison(line: pd.Series) -> ComparisonView:
    """One line of the file: the two rows with their means, the difference with its interval, and the printed pair."""
    factor = f" × {line['factor']:g}" if _known(line["factor"]) and line["factor"] != 1 else ""
    means = f"{number(line['row_mean'])}{factor} against {number(line['other_mean'])}" if _known(line["row_mean"]) else ""
    if _known(line["slope"]):
        means = f"slope {signed(line['slope'])}"
    difference = f"{signed(line['difference'])} {bounds(line['low'], line['high'], signs=True)}".rstrip()
    margin = f", margin ±{line['margin']:.0%}" if _known(line["margin"]) else ""
    printed = f"{number(line['printed_row'])} against {number(line['printed_other'])}" if _known(line["printed_row"]) else ""
    against = f" against {line['other']}" if line["other"] else ""
    return ComparisonView(line["dataset"], f"{line['row']}{against}", means, difference + margin, line["comparison"], printed)


def _known(value: float) -> bool:
    return not math.isnan(value)
