"""A table as a page: laid out as the paper's, ours and the printed numbers side by side, with what was found and what was run."""

import math
from collections.abc import Mapping

from dad.report.findings_text import coverage, findings_section
from dad.report.provenance import Provenance, run_details, summary_line
from dad.report.results import METRICS, Column, TableResult
from dad.report.run_facts import differing_facts
from dad.report.statistics import Interval
from dad.report.text import NOTHING, markdown_table, p_value, signed, with_interval
from dad.report.value_table import FOREIGN, reasons, value_table
from dad.study.cells import Row
from dad.study.paper import AVERAGE, Printed, paper


def markdown(result: TableResult, provenance: Mapping[str, Provenance]) -> str:
    """The whole page. The same results give the same text."""
    layout = result.layout
    prominent = [value_table(result, metric) for metric in layout.metrics]
    differences = [line for metric in layout.metrics for line in _differences(result, metric)]
    further = [metric for metric in METRICS if metric not in layout.metrics]
    sections = [
        [f"# {layout.name}: {layout.title}", "", layout.caption, "", summary_line(result, provenance)],
        *prominent,
        _how_to_read(result),
        ["## What came out otherwise than in the paper", "", *findings_section(result)],
        [f"## {_differences_title(result)}", "", *differences] if differences else [],
        *([f"## {paper().metrics[metric].label}", "", *value_table(result, metric)] for metric in further),
        _notes(result),
        ["## What was run", "", *(f"- {what}: {value}" for what, value in run_details(result, provenance))],
        differing_facts(result),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _how_to_read(result: TableResult) -> list[str]:
    single = result.scored and not result.trained
    seeds = " and seeds" if result.seeds > 1 else ""
    lines = []
    if result.scored:
        lines.append(f"- Mean over images{seeds} and its 95 % bootstrap interval; {coverage(result)}.")
    lines.append(
        f"- Bold: the best of its block{'' if result.layout.block else ' (the table)'}, ours among ours and printed among printed."
    )
    if models := [row for row in result.scored if row.model]:
        every = (
            "All rows are" if single else "Rows with `here` and a model's name are" if len(models) > 1 else "The row with `here` is"
        )
        lines.append(
            f"- {every} scored as {'they are' if len(models) > 1 else 'it is'}, by us and under the same protocol as the students: "
            "re-evaluations, not copies of printed numbers. Their intervals cover images only."
        )
    lines += [
        f"- ({letter}) Not run, because {reason}: {'; '.join(result.label(row) for row in result.rows if row.reason == reason)}."
        for reason, letter in reasons(result).items()
    ]
    lines += _about_columns(result)
    if result.layout.base and any(row.subjects for row in result.rows):
        lines.append("- In parentheses: the change against the base row, ours of our means and printed as in the paper.")
    if any(paper().foreign(number) for number in _printed(result)):
        lines.append(
            f"- {FOREIGN}: this printed number follows another protocol than the paper's own, or there is good reason to think so "
            "(see its note): it can not be compared with the paper's own rows."
        )
    if _printed(result):
        lines.append(
            "- Ours is never subtracted from the printed numbers: data, scale and training differ. D1, D2, ... are "
            "notes on printed numbers, below."
        )
    else:
        lines.append("- The paper prints no numbers here, only a curve.")
    return lines


def _about_columns(result: TableResult) -> list[str]:
    """What the columns are, where that is not plain from their names."""
    lines = []
    if stand_ins := [column for column in result.columns if column.stand_in]:
        names = ", ".join(f"`{column.dataset}` stands in the place of {column.paper}" for column in stand_ins)
        lines.append(
            f"- {names}: other images, so only the order of the rows can be compared with the printed numbers, not the values."
        )
    if extra := [column.dataset for column in result.columns if column.paper is None]:
        lines.append(f"- {', '.join(extra)}: not in the paper.")
    for column in result.columns:
        if column.over:
            lines.append(
                f"- {AVERAGE}: the mean over {len(column.over)} data sets of their means, each weighing the same; images are "
                "resampled within each."
            )
        else:
            lines += _scene_warning(result, column)
    if result.unscored:
        few = f"- {', '.join(result.unscored)}: in the paper's table, but this study has no data set for it"
        lines.append(f"{few}; only the printed numbers are shown.")
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


def _differences_title(result: TableResult) -> str:
    return "Differences to the reference" if result.layout.reference else "Differences to the table's best"


def _differences(result: TableResult, metric: str) -> list[str]:
    """Paired differences to each row's reference, or to the best row where the table has no reference."""
    references = {row.name: result.reference(row) for row in result.scored}
    rows = [row for row in result.scored if not result.layout.reference or references[row.name] is not None]
    if not rows:
        return []
    what = "its reference" if result.layout.reference else "the best row of the whole table"
    chosen = "" if result.layout.reference else " The best row was chosen from these same scores."
    lines = [
        f"Paired differences in {paper().metrics[metric].label} to {what}, image by image and seed by "
        "seed: mean with its 95 % interval, p of Wilcoxon's signed-rank test after Holm's correction over the rows of one "
        "column, and the matched-pairs rank-biserial correlation r (+1: larger on every image).",
        "",
    ]
    lines[0] += chosen + (" A model that is scored as it is is paired with every seed." if result.seeds > 1 else "")
    header = ["Row", *(["Reference"] if result.layout.reference else [])]
    for column in result.columns:
        header += [f"{column.dataset}: difference", "p", "r"]
    table = []
    for row in rows:
        other = references[row.name]
        cells = [result.label(row), *([result.label(other)] if other else [])]
        for column in result.columns:
            cells += _difference(result, row, other, column, metric)
        table.append(cells)
    return [*lines, *markdown_table(header, table, left=2 if result.layout.reference else 1), ""]


def _difference(result: TableResult, row: Row, reference: Row | None, column: Column, metric: str) -> list[str]:
    """Difference with its interval, p and effect."""
    values = result.statistics.loc[(row.name, column.dataset, metric)]
    if reference is not None and not reference.subjects:
        return [f"not run ({reasons(result)[reference.reason]})", NOTHING, NOTHING]
    if reference is None and values["difference_to_best"] == 0 and math.isnan(values["p_holm"]):
        return ["best", NOTHING, NOTHING]
    names = ("ref_difference", "ref_low", "ref_high") if reference else ("difference_to_best", "diff_low", "diff_high")
    p, effect = (values["ref_p_holm"], values["ref_effect"]) if reference else (values["p_holm"], values["effect"])
    shown = NOTHING if math.isnan(effect) else signed(effect, more=-1)
    return [with_interval(Interval(*(float(values[name]) for name in names)), signs=True), p_value(p), shown]


def _printed(result: TableResult) -> list[Printed]:
    return list(paper().numbers(result.table))


def _notes(result: TableResult) -> list[str]:
    ids = {note for number in _printed(result) for note in number.notes} | {"D2"}
    ordered = [note for note in paper().notes if note in ids]
    return [
        "## Notes on the printed numbers",
        "",
        f"From {paper().source}. The whole log of discrepancies is written by `dad claims`, into discrepancies.md.",
        "",
        *(f"- {note}: {paper().notes[note].text}" for note in ordered),
    ]
