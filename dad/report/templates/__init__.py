"""The prose of all reports: templates that are handed facts. What decides anything is decided before."""

import functools
from pathlib import Path
from typing import Any

import jinja2

from dad.report.text import bounds, markdown_row, markdown_ruler, number, p_value, percent, signed, tex, with_interval

HERE = Path(__file__).parent


@functools.cache
def environment() -> jinja2.Environment:
    """Strict about names; numbers are written by the same filters everywhere. Templates of HTML escape what they are given."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for written in (bounds, markdown_row, number, p_value, percent, signed, tex, with_interval):
        made.filters[written.__name__] = written
    made.globals["markdown_ruler"] = markdown_ruler
    return made


def render(template: str, **facts: Any) -> str:
    """A template of this folder filled with facts; several empty lines become one."""
    return _tidy(environment().get_template(template).render(facts))


def render_text(template: str, **facts: Any) -> str:
    """The same for a template that is given as text."""
    return _tidy(environment().from_string(template).render(facts))


def _tidy(text: str) -> str:
    lines: list[str] = []
    for line in text.strip().splitlines():
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines) + "\n"
