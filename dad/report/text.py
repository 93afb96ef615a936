"""How numbers are written in reports: the paper's digits, real minus signs, and a dash for what does not exist."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dad.study.paper import paper

if TYPE_CHECKING:
    from dad.report.estimates import Interval

NOTHING = "–"
TEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "−": "$-$", "δ": r"$\delta$"}
TEX |= {"‡": r"$^\ddagger$", "–": "--", "×": r"$\times$", "±": r"$\pm$", "λ": r"$\lambda$"}
"""Characters that LaTeX reads otherwise, or that its usual fonts do not have."""


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


def with_interval(interval: "Interval", *, signs: bool = False) -> str:
    """A value and its interval, e.g. `0.064 [0.055, 0.073]`, or a difference and its interval."""
    value = signed(interval.mean) if signs else number(interval.mean)
    return f"{value} {bounds(interval.low, interval.high, signs=signs)}".rstrip()


def p_value(p: float) -> str:
    """`0.031`, or `< 0.001`."""
    if math.isnan(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(change: float | None) -> str:
    """A change as the paper writes it, e.g. `(−14.6 %)`; nothing where there is none."""
    if change is None or math.isnan(change):
        return ""
    return f"({change:+.1f} %)".replace("-", "−")


def markdown_row(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def markdown_ruler(columns: int, left: int = 1) -> str:
    """The line below the header: the first `left` columns are left-aligned, the others right."""
    return markdown_row([":---" if index < left else "---:" for index in range(columns)])


def tex(text: str) -> str:
    """Plain text as LaTeX."""
    return "".join(TEX.get(letter, letter) for letter in text)


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]], *, left: int = 1) -> list[str]:
    """A Markdown table; the first `left` columns are left-aligned, the others right."""
    return [markdown_row(header), markdown_ruler(len(header), left), *map(markdown_row, lines)]
