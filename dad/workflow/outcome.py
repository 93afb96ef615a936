"""What a run of the workflow made, for the console: the table itself, where it lies, and what can be done next."""

import itertools
import re
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

_GAP, _LABEL = "  ", 24
"""What stands between two columns, and the least width in characters to which labels are broken."""


def outcome(
    reports: Path,
    targets: Iterable[str],
    *,
    config: str | None = None,
    settings: Iterable[str] = (),
    uri: str = "sqlite:///mlflow.db",
) -> str:
    """The tables among `targets` (or, for a whole study, the first one that is there) as text, and where everything is.

    `reports` is the study's folder of reports, `config` the study's file where it is not the default, `settings` what
    --set replaced in it, `uri` its MLflow store. The commands that are named speak of the same study.
    """
    files = [Path(target) for target in targets]
    named = [target for target in files if target.suffix in (".csv", ".md") and target.parent == reports]
    pages = [target.with_suffix(".md") for target in named]
    if not files:
        pages = [page for page in (reports / "table1.md",) if page.is_file()]
    parts = [table_text(page) for page in dict.fromkeys(pages) if page.is_file()]
    parts = [part for part in parts if part]
    lies = [f"{page}  {_words(page)}" for page in pages if page.is_file()]
    lies += [f"{target}" for target in files if target not in named and target.exists()]
    if not files and (reports / "index.html").is_file():
        lies.insert(0, f"{reports / 'index.html'}  everything on one page, opens from disk")
    if lies:
        parts.append("\n".join(lies))
    following = ["next:"]
    words = ["--config", config] if config else []
    words += [word for setting in settings for word in ("--set", setting)]
    option = f" {shlex.join(words)}" if words else ""
    if not (reports / "index.html").is_file():
        following.append(
            f"  dad run {reports / 'index.html'}{option}   the whole study on one page, with what it lacks"
        )
    else:
        following.append(f"  open {reports / 'index.html'}")
    store = f" --uri {uri}" if uri != "sqlite:///mlflow.db" else ""
    following.append(f"  dad mlflow{option}{store}   the runs in MLflow")
    parts.append("\n".join(following))
    return "\n\n".join(parts)


def _words(page: Path) -> str:
    """What a page holds beside its table; only a table of the paper has something to differ from."""
    if "\n## What came out otherwise than in the paper" in page.read_text(encoding="utf-8"):
        return "with intervals, notes and what came out otherwise than in the paper"
    return "with intervals, and the rows compared with each other"


def table_text(page: Path) -> str:
    """The first table of a Markdown page for a terminal, under the page's title. Where it does not fit, long labels are
    broken into lines, and what the page says besides our numbers is left out: intervals first, then notes, then the
    printed numbers.
    """
    text = page.read_text(encoding="utf-8")
    rows = _first_table(text)
    if not rows:
        return ""
    title = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), page.stem)
    width = shutil.get_terminal_size((120, 24)).columns
    shown = _aligned(rows, width)
    for shorter in (_without_intervals, _without_notes, _without_printed):
        if max(map(len, shown.splitlines())) <= width:
            break
        rows = shorter(rows)
        shown = _aligned(rows, width)
    return f"{title}\n\n{shown}"


def _without_intervals(rows: list[list[str]]) -> list[list[str]]:
    return [[re.sub(r" \[[^\]]*\]", "", cell) for cell in row] for row in rows]


def _without_notes(rows: list[list[str]]) -> list[list[str]]:
    return [rows[0], *([re.sub(r" \(D\d+(, D\d+)*\)", "", cell) for cell in row] for row in rows[1:])]


def _without_printed(rows: list[list[str]]) -> list[list[str]]:
    ours = [i for i, heading in enumerate(rows[0]) if not heading.startswith("printed:")]
    return [[row[i] for i in ours if i < len(row)] for row in rows]


def _first_table(text: str) -> list[list[str]]:
    lines = text.splitlines()
    start = next(
        (i for i, line in enumerate(lines) if line.startswith("|") and lines[i + 1 : i + 2] and "---" in lines[i + 1]),
        None,
    )
    if start is None:
        return []
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        if not re.fullmatch(r"[|:\- ]+", line):
            rows.append([_plain(cell) for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])])
    return rows


def _plain(cell: str) -> str:
    """A cell without Markdown; the best of its block, bold there, has a star."""
    cell = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", cell.strip()).replace("`", "").replace(r"\|", "|")
    return re.sub(r"\*\*([^*]+)\*\*", r"\1*", cell)


def _aligned(rows: list[list[str]], width: int) -> str:
    """Columns under headings broken into lines of words; so is the widest column where that is wider than `width`."""
    columns = max(map(len, rows))
    head, *body = [row + [""] * (columns - len(row)) for row in rows]
    widths = [max([len(row[i]) for row in body] or [0]) for i in range(columns)]
    heads = [_wrapped(head[i], max(widths[i], 12)) for i in range(columns)]
    widths = [max([widths[i], *map(len, heads[i])]) for i in range(columns)]
    widest = widths.index(max(widths))
    over = sum(widths) + len(_GAP) * (columns - 1) - width
    widths[widest] = max(widths[widest] - max(0, over), min(widths[widest], _LABEL))
    heads[widest] = _wrapped(head[widest], widths[widest])
    deep = max(map(len, heads))
    lines = [
        [*zip(*([""] * (deep - len(one)) + one for one in heads), strict=True)],
        [["-" * width for width in widths]],
    ]
    for row in body:
        lines.append([*itertools.zip_longest(*(_wrapped(cell, widths[i]) for i, cell in enumerate(row)), fillvalue="")])
    flat = itertools.chain.from_iterable(lines)
    return "\n".join(_GAP.join(cell.ljust(widths[i]) for i, cell in enumerate(line)).rstrip() for line in flat)


def _wrapped(text: str, width: int) -> list[str]:
    lines: list[str] = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
