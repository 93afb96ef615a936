"""A table as a page: laid out as the paper's, ours and the printed numbers side by side, with what was found and what was run."""

import math
from collections.abc import Mapping, Sequence

from dad.report.findings_text import coverage, findings_section
from dad.report.provenance import Provenance, run_details, summary_line
from dad.report.results import Column, TableResult
from dad.report.statistics import Interval
from dad.report.text import NOTHING, bounds, markdown_table, number, p_value, signed, with_interval
from dad.study.cells import Row
from dad.study.paper import Printed, paper

TeacherMeans = Mapping[str, Mapping[str, float]]
"""Data set -> metric -> the teacher's mean under the table's protocol."""


def markdown(result: TableResult, provenance: Mapping[str, Provenance], teacher: TeacherMeans | None = None) -> str:
    """The whole page, with the teacher's own scores above its students' where given. The same results give the same text."""
    layout = result.layout
    sections = [
        [f"# Table {layout.number}: {layout.title}", "", layout.caption, "", summary_line(result, provenance)],
        _value_table(result, "abs_rel", teacher),
        _how_to_read(result),
        ["## What came out otherwise than in the paper", "", *findings_section(result)],
        ["## Differences to the table's best", "", *_differences(result, "abs_rel")],
        [f"## {paper().metrics['delta1'].label}", "", *_value_table(result, "delta1", teacher)],
        _notes(result),
        ["## What was run", "", *(f"- {what}: {value}" for what, value in run_details(result, provenance))],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _interval(result: TableResult, row: Row, column: Column, metric: str) -> Interval:
    values = result.statistics.loc[(row.name, column.dataset, metric)]
    return Interval(values["mean"], values["ci_low"], values["ci_high"])


def _value_table(result: TableResult, metric: str, teacher: TeacherMeans | None) -> list[str]:
    """Blocks and rows as in the paper; per data set ours with its interval, and beside it the printed number where there is one."""
    layout, measure = result.layout, paper().metrics[metric]
    beside = {column.dataset: any(result.printed(row, column, metric) for row in result.rows) for column in result.columns}
    header = [layout.headings[factor] for factor in layout.factors]
    for column in result.columns:
        header.append(f"ours: {column.title if column.stand_in else column.dataset}, {measure.arrow}")
        if beside[column.dataset]:
            header.append(f"printed: {column.paper}, {measure.arrow}")
    lines: list[list[str]] = []
    if teacher is not None:
        cells = [f"the teacher, `{result.study.teacher}`"] + [""] * (len(layout.factors) - 1)
        for column in result.columns:
            cells.append(number(teacher[column.dataset][metric]))
            cells += [NOTHING] * beside[column.dataset]
        lines.append(cells)
    previous = None
    for row in result.rows:
        block = result.block(row)
        cells = [
            "" if factor in layout.block and block == previous else layout.label(factor, row.factors[factor])
            for factor in layout.factors
        ]
        previous = block
        for column in result.columns:
            cells.append(_ours(result, row, column, metric))
            if beside[column.dataset]:
                cells.append(_theirs(result, row, column, metric))
        lines.append(cells)
    return markdown_table(header, lines, left=len(layout.factors))


def _is_best(values: Sequence[float], value: float, metric: str) -> bool:
    """Whether a value reads as the best one: ties after rounding are all best, as in the paper."""
    known = [float(f"{one:.{paper().decimals}f}") for one in values if not math.isnan(one)]
    choose = min if paper().metrics[metric].better == "lower" else max
    return bool(known) and float(f"{value:.{paper().decimals}f}") == choose(known)


def _ours(result: TableResult, row: Row, column: Column, metric: str) -> str:
    if not row.cells:
        return "not trained"
    rivals = [other for other in result.trained if result.block(other) == result.block(row)]
    interval = _interval(result, row, column, metric)
    best = _is_best([_interval(result, other, column, metric).mean for other in rivals], interval.mean, metric)
    value = f"**{number(interval.mean)}**" if best else number(interval.mean)
    return f"{value} {bounds(interval.low, interval.high)}".rstrip()


def _theirs(result: TableResult, row: Row, column: Column, metric: str) -> str:
    printed = result.printed(row, column, metric)
    if printed is None:
        return NOTHING
    rivals = [result.printed(other, column, metric) for other in result.rows if result.block(other) == result.block(row)]
    best = _is_best([other.value for other in rivals if other], printed.value, metric)
    value = f"**{number(printed.value)}**" if best else number(printed.value)
    return f"{value} ({', '.join(printed.notes)})" if printed.notes else value


def _how_to_read(result: TableResult) -> list[str]:
    lines = [
        f"- Mean over images{' and seeds' if result.seeds > 1 else ''} and its 95 % bootstrap interval; {coverage(result)}.",
        f"- Bold: the best of its block{'' if result.layout.block else ' (the table)'}, ours among ours and printed among printed.",
    ]
    for reason in dict.fromkeys(row.reason for row in result.rows if not row.cells):
        labels = "; ".join(result.label(row) for row in result.rows if not row.cells and row.reason == reason)
        lines.append(f"- Not trained, because {reason}: {labels}")
    if stand_ins := [column for column in result.columns if column.stand_in]:
        names = ", ".join(f"`{column.dataset}` stands in the place of {column.paper}" for column in stand_ins)
        lines.append(
            f"- {names}: other images, so only the order of the rows can be compared with the printed numbers, not the values."
        )
    if extra := [column.dataset for column in result.columns if column.paper is None]:
        lines.append(f"- {', '.join(extra)}: not in the paper.")
    for column in result.columns:
        lines += _scene_warning(result, column)
    lines.append(
        "- Ours is never subtracted from the printed numbers: data, scale and training differ. D1, D2, ... are "
        "notes on printed numbers, below."
    )
    return lines


def _scene_warning(result: TableResult, column: Column) -> list[str]:
    images = result.scores[result.scores["dataset"] == column.dataset].drop_duplicates("image")
    scenes = images["scene"].nunique()
    if scenes == len(images):
        return []
    return [
        f"- {column.dataset}: {len(images)} images from {scenes} scenes. Images of one scene resemble each other, which "
        "the intervals do not know: they are too narrow."
    ]


def _differences(result: TableResult, metric: str) -> list[str]:
    lines = [
        f"Paired differences in {paper().metrics[metric].label} to the best row of the whole table, image by image and seed by "
        "seed: mean with its 95 % interval, p of Wilcoxon's signed-rank test after Holm's correction over the rows of one data "
        "set, and the matched-pairs rank-biserial correlation r (+1: larger on every image). The best row was chosen from these "
        "same scores.",
        "",
    ]
    header = ["Row"]
    for column in result.columns:
        header += [f"{column.dataset}: difference", "p", "r"]
    table = []
    for row in result.trained:
        cells = [result.label(row)]
        for column in result.columns:
            values = result.statistics.loc[(row.name, column.dataset, metric)]
            if values["difference_to_best"] == 0 and math.isnan(values["p_holm"]):
                cells += ["best", NOTHING, NOTHING]
                continue
            interval = Interval(values["difference_to_best"], values["diff_low"], values["diff_high"])
            effect = NOTHING if math.isnan(values["effect"]) else signed(values["effect"], more=-1)
            cells += [with_interval(interval, signs=True), p_value(values["p_holm"]), effect]
        table.append(cells)
    return lines + markdown_table(header, table)


def _notes(result: TableResult) -> list[str]:
    printed: list[Printed] = [
        number
        for row in result.rows
        for column in result.columns
        for metric in paper().metrics
        if (number := result.printed(row, column, metric))
    ]
    ids = {note for number in printed for note in number.notes} | {"D2"}
    ordered = [note for note in paper().notes if note in ids]
    return [
        "## Notes on the printed numbers",
        "",
        f"From {paper().source}.",
        "",
        *(f"- {note}: {paper().notes[note].text}" for note in ordered),
    ]
