"""How numbers are written in reports: the paper's digits, real minus signs, and a dash for what does not exist."""

import math
from collections.abc import Iterable, Sequence

from dad.report.statistics import Interval
from dad.study.paper import paper

NOTHING = "–"


def number(value: float | None, *, more: int = 0) -> str:
    """A value with the paper's digits (and `more`), e.g. `0.064`."""
    if value is None or math.isnan(value):
        return NOTHING
    return f"{value:.{paper().decimals + more}f}".replace("-", "−")


def signed(value: float, *, more: int = 1) -> str:
    """A difference with its sign and one digit more than a value, e.g. `+0.0083`."""
    text = number(value, more=more)
    return text if text.startswith(("−", NOTHING)) else f"+{text}"


def bounds(low: float, high: float, *, signs: bool = False) -> str:
    """`[0.055, 0.073]`, or nothing where there is no interval."""
    if math.isnan(low) or math.isnan(high):
        return ""
    write = signed if signs else number
    return f"[{write(low)}, {write(high)}]"


def with_interval(interval: Interval, *, signs: bool = False) -> str:
    """A value and its interval, e.g. `0.064 [0.055, 0.073]`, or a difference and its interval."""
    value = signed(interval.mean) if signs else number(interval.mean)
    return f"{value} {bounds(interval.low, interval.high, signs=signs)}".rstrip()


def p_value(p: float) -> str:
    """`0.031`, or `< 0.001`."""
    if math.isnan(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]], *, left: int = 1) -> list[str]:
    """A Markdown table; the first `left` columns are left-aligned, the others right."""
    ruler = [":---" if index < left else "---:" for index in range(len(header))]
    return ["| " + " | ".join(cells) + " |" for cells in (header, ruler, *lines)]


def percent(change: float | None) -> str:
    """A change as the paper writes it, e.g. `(−14.6 %)`; nothing where there is none."""
    if change is None or math.isnan(change):
        return ""
    return f"({change:+.1f} %)".replace("-", "−")
