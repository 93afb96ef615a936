"""Markdown of the reports as HTML: the same text, with tables to sort and search and links that stay on the page."""

import functools
import html
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import markupsafe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from dad.analysis.columns import BESIDE_LABELS
from dad.report.templates import environment

NUMBER = re.compile(r"^\W*([+−-]?\d[\d,]*(?:\.\d+)?)")
INTERVAL = re.compile(r"\[([+−-]?[\d.]+), ([+−-]?[\d.]+)\]")
NOTE = re.compile(r"(?<!<strong>)\bD\d+\b")
"""A mention of a discrepancy; its own entry, which is bold, is no link to itself."""


@dataclass(frozen=True)
class Value:
    """One cell of a table: its HTML, what sorting compares (None last), and its interval on the column's own range."""

    html: markupsafe.Markup
    sort: float | str | None
    interval: str = ""
    whisker: tuple[float, float, float] | None = None
    """Low end, value and high end in per cent of the column's range."""


@functools.cache
def reader() -> MarkdownIt:
    """HTML inside the text stays text, and pictures are left out, for the page must not load any."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def markdown_html(
    text: str, *, name: str = "", deeper: int = 1, extras: Sequence[str] = (), targets: Mapping[str, str] = {}
) -> markupsafe.Markup:
    """A report's Markdown without its title, its headings `deeper` levels down.

    name: makes the ids of tables. extras: HTML for a last column of the tables that have as many rows; models above
    them get nothing. targets: words of the text (notes, ids of claims, files) -> the place on the page that they lead
    to.
    """
    made: list[Token] = []
    tokens, tables = iter(reader().parse(text)), itertools.count(1)
    for token in tokens:
        if token.type == "heading_open" and token.tag == "h1":
            next(tokens)  # its text
            next(tokens)  # its end
        elif token.type == "table_open":
            table = list(itertools.takewhile(lambda one: one.type != "table_close", tokens))
            made.append(_html(_table(table, f"{name}-{next(tables)}", extras, targets)))
        elif token.type == "inline":
            made.append(_html(_linked(_inline(token), targets)))
        else:
            if token.type in ("heading_open", "heading_close"):
                token.tag = f"h{min(6, int(token.tag[1]) + deeper)}"
            made.append(token)
    shown = reader().renderer.render(made, reader().options, {})
    return markupsafe.Markup(
        re.sub(r"<li>(\s*(?:<p>)?)<strong>(D\d+)</strong>", r'<li id="\2">\1<strong>\2</strong>', shown)
    )


def report_html(path: Path, *, name: str, at: str = "## ", **options: Any) -> tuple[str, str]:
    """A report's page in two parts, each as `markdown_html` makes it: what is read at once, and what follows from the
    first heading that begins with `at`. Both are empty where there is no page.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("!["))
    first, mark, rest = text.partition(f"\n{at}")
    return markdown_html(first, name=name, **options), markdown_html(mark + rest, name=f"{name}-more", **options)


def _html(text: str) -> Token:
    return Token("html_block", "", 0, content=text)


def _inline(token: Token) -> str:
    return reader().renderer.render([token], reader().options, {})


def _linked(text: str, targets: Mapping[str, str]) -> str:
    """HTML of a line in which notes, claims and other pages of the reports are links to their places on this page."""
    text = re.sub(
        r'<a href="([^"#]*)">(.*?)</a>', lambda found: _link(found[2], targets.get(html.unescape(found[1]))), text
    )
    text = NOTE.sub(lambda found: _link(found[0], targets.get(found[0])), text)
    return re.sub(r"<code>([a-z0-9-]+)</code>", lambda found: _link(found[0], targets.get(found[1])), text)


def _link(shown: str, target: str | None) -> str:
    return f'<a href="#{target}">{shown}</a>' if target else shown


def _table(tokens: Sequence[Token], name: str, extras: Sequence[str], targets: Mapping[str, str]) -> str:
    """One table, with sorting keys; empty labels on the left are those of the row above."""
    rows: list[list[Token]] = []
    styles = [str(token.attrGet("style")) for token in tokens if token.type == "th_open"]
    left = len(list(itertools.takewhile(lambda style: "right" not in style, styles)))  # words come first, then numbers
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token)
    header, *body = rows
    columns = list(zip(*body, strict=True))
    ranges = [_range([cell.content for cell in column]) for column in columns[left:]]
    filled: list[list[Value]] = []
    for row in body:
        values = []
        for i, cell in enumerate(row):
            above = filled[-1][i] if filled and i < left - 1 and not cell.content else None
            values.append(above or (_words(cell, targets) if i < left else _value(cell, targets, ranges[i - left])))
        filled.append(values)
    words = tuple(BESIDE_LABELS.values())
    above = len(list(itertools.takewhile(lambda row: row[0].content.startswith(words), body)))
    more = [*[""] * above, *extras] if extras and len(body) - above == len(extras) else []
    return (
        environment()
        .get_template("sheet.html")
        .render(
            name=name, header=[markupsafe.Markup(_inline(cell)) for cell in header], left=left, rows=filled, extras=more
        )
    )


def _words(cell: Token, targets: Mapping[str, str]) -> Value:
    """A cell of a column of words, as it reads: an interval in it is a part of the sentence."""
    return Value(markupsafe.Markup(_linked(_inline(cell), targets)), _sort(cell))


def _sort(cell: Token) -> float | str | None:
    text = _plain(cell)
    number = NUMBER.match(text)
    return _float(number[1]) if number else text.lower() if text.strip("–") else None


def _plain(cell: Token) -> str:
    return cell.content.replace("*", "").replace("`", "")


def _value(cell: Token, targets: Mapping[str, str], ends: tuple[float, float] | None) -> Value:
    """A cell of a column of numbers: its interval stands apart, and is drawn on the column's range `ends`."""
    text = _plain(cell)
    number, interval = NUMBER.match(text), INTERVAL.search(text)
    shown = _linked(_inline(cell), targets)
    sort = None if ends and not number else _sort(cell)
    if not interval:
        return Value(markupsafe.Markup(shown), sort)
    drawn = None
    if ends and number:
        places = [_float(interval[1]), _float(number[1]), _float(interval[2])]
        low, middle, high = (round(100 * (one - ends[0]) / (ends[1] - ends[0]), 1) for one in places)
        drawn = (low, middle, high)
    return Value(markupsafe.Markup(shown.replace(interval[0], "").rstrip()), sort, interval[0], drawn)


def _range(texts: Sequence[str]) -> tuple[float, float] | None:
    """The least and largest end of a column's intervals."""
    ends = [_float(end) for text in texts for found in INTERVAL.findall(text) for end in found]
    return (min(ends), max(ends)) if ends and min(ends) < max(ends) else None


def _float(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))
