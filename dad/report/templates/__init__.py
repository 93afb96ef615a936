"""The prose of all reports: templates that are handed facts, and how numbers are written in it.

What decides anything is decided before. Numbers have the paper's digits, real minus signs, and a dash for what does not
exist.
"""

import functools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from dad.analysis.provenance import short_name, span
from dad.study.paper import paper

if TYPE_CHECKING:
    from dad.analysis.estimates import Interval

HERE = Path(__file__).parent

NOTHING = "–"
TEX = {
    "&": r"\&",
    "%": r"\%",
    "_": r"\_",
    "#": r"\#",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "−": "$-$",
    "δ": r"$\delta$",
}
TEX |= {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
TEX |= {"†": r"$^\dagger$", "‡": r"$^\ddagger$", "–": "--", "×": r"$\times$", "±": r"$\pm$", "λ": r"$\lambda$"}
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
    return "| " + " | ".join(map(markdown_cell, cells)) + " |"


def markdown_cell(text: str) -> str:
    """A text in a Markdown table: in one line, and without an end of its cell."""
    return " ".join(text.split()).replace("|", r"\|")


def markdown_ruler(columns: int, left: int = 1) -> str:
    """The line below the header: the first `left` columns are left-aligned, the others right."""
    return markdown_row([":---" if index < left else "---:" for index in range(columns)])


def tex(text: str) -> str:
    """Plain text as LaTeX."""
    return "".join(TEX.get(letter, letter) for letter in text)


@functools.cache
def environment() -> jinja2.Environment:
    """Strict about names; numbers are written by the same filters everywhere. HTML templates escape what they get."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=jinja2.select_autoescape(["html"], default_for_string=False),  # a text of its own is Markdown
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for written in (
        bounds,
        markdown_cell,
        markdown_row,
        number,
        p_value,
        percent,
        short_name,
        signed,
        span,
        tex,
        with_interval,
    ):
        made.filters[written.__name__] = written
    made.globals |= {"markdown_ruler": markdown_ruler, "paper": paper()}
    return made


def render(template: str, **facts: Any) -> str:
    """A template of this folder filled with facts; several empty lines become one."""
    return _tidy(environment().get_template(template).render(facts))


def render_text(template: str, **facts: Any) -> str:
    """The same for a template that is given as text."""
    return _tidy(environment().from_string(template).render(facts))


def _tidy(text: str) -> str:
    without_ends = re.sub(r"[^\S\n]+$", "", text.strip(), flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", without_ends) + "\n"
