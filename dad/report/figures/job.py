"""A figure's way from a study's files to its own: what it is drawn from, what was drawn, and the page beside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dad.files import write_csv, write_text
from dad.report.templates import NOTHING, number, render, render_text
from dad.study.config import StudyConfig
from dad.study.figures import Needs, is_stand_in
from dad.study.layout import Layout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dad.report.pictures import Picture


@dataclass(frozen=True)
class Job:
    """One figure to make in `out` from the files of a study under `results`."""

    study: StudyConfig
    name: str
    title: str
    """The line above the figure."""
    needs: Needs
    results: Path
    out: Path

    @property
    def layout(self) -> Layout:
        """Where the study's files lie."""
        return Layout(self.study, self.results)

    @property
    def manifest(self) -> Path:
        """The list of the photos that it shows."""
        return self.layout.root / (self.needs.manifest or "")

    @property
    def seeds(self) -> list[int]:
        """The seeds of its methods' trainings; pictures are drawn from the first."""
        return list(dict.fromkeys(cell.seed for method in self.needs.methods for cell in method.row.cells.values()))

    @property
    def protocol(self) -> str:
        """The protocol by which predictions are brought to the truth: the study's first."""
        return self.study.protocols[0]


@dataclass(frozen=True)
class Outcome:
    """One thing that the paper's figure shows, and whether ours shows it."""

    paper: str
    """In the words of the paper, e.g. `the local fit is better than the global one`."""
    ours: str
    """What ours shows, in numbers."""
    agrees: bool | None
    """None where as much speaks for it as against it."""


def better_on(
    paper: str, pairs: Sequence[tuple[float, float]], *, things: str, measure: str, names: str
) -> list[Outcome]:
    """Whether the second error of most pairs is the smaller one, as the paper's figure shows; nothing where there are
    no pairs.

    things: what the pairs are of, e.g. `photos`; measure: what the errors are; names: what the first and the second are
    of.
    """
    if not pairs:
        return []
    better = sum(second < first for first, second in pairs)
    errors = " and ".join(number(sum(values) / len(pairs), more=1) for values in zip(*pairs, strict=True))
    ours = f"it is better on {better} of {len(pairs)} {things} (mean {measure} {errors}, {names})"
    return [Outcome(paper, ours, None if 2 * better == len(pairs) else 2 * better > len(pairs))]


@dataclass
class Drawing:
    """A figure as drawn, the facts that its module's NOTES are filled with, the numbers in it as equal dicts, and what
    of the paper's figure it shows or contradicts.
    """

    figure: "Figure"
    facts: Mapping[str, Any] = field(default_factory=dict)
    numbers: Sequence[Mapping[str, Any]] = ()
    outcomes: Sequence[Outcome] = ()


def named(pictures: "Sequence[Picture]") -> str:
    """The images of a figure, for its notes."""
    return ", ".join(f"{picture.place} `{picture.id}`" for picture in pictures)


def dataset_titles(study: StudyConfig) -> dict[str, str]:
    """Data set -> its name with what it stands in for."""
    from dad.analysis.columns import table_columns

    return {column.dataset: column.title for column in table_columns(study, "table5")}


def unmade(job: Job) -> Drawing:
    """The placeholder of a figure that this study cannot give: the reason."""
    from dad.report.style import QUIET, new_figure

    figure = new_figure(7.2, 0.9)
    figure.text(0.02, 0.72, job.title, fontsize=11, fontweight="bold", va="center")
    reason = f"Not made in study {job.study.name}: {job.needs.reason}."
    figure.text(0.02, 0.3, reason, va="center", fontsize=9, color=QUIET, parse_math=False)
    return Drawing(figure)


def save(job: Job, figure: ModuleType, drawing: Drawing) -> None:
    """Write OUT/<name>.png, .svg and .md and, where there are numbers, .csv. Call inside `styled`."""
    from dad.report.style import save_figure

    save_figure(drawing.figure, job.out / f"{job.name}.png")
    write_text(job.out / f"{job.name}.md", caption(job, figure, drawing))
    numbers = job.out / f"{job.name}.csv"
    if drawing.numbers:
        write_csv(numbers, drawing.numbers, list(drawing.numbers[0]))
    else:
        numbers.unlink(missing_ok=True)  # of an earlier study, which had some


def caption(job: Job, figure: ModuleType, drawing: Drawing) -> str:
    """The page of a figure: the paper's caption, what this one shows, what was run, the numbers."""
    from dad.analysis.provenance import starts

    study, needs = job.study, job.needs
    titles = dataset_titles(study)
    models = [study.teacher, study.student.model, *(method.row.model or "" for method in needs.methods)]
    cells = [cell for method in needs.methods for cell in needs.used(method)]
    facts = {
        "job": job,
        "caption": figure.CAPTION,
        "outcomes": drawing.outcomes,
        "shown": [titles[name] for name in needs.datasets or (titles if needs.scores else ())],
        "stand_ins": any(map(is_stand_in, models)),
        "notes": ""
        if needs.reason
        else render_text(figure.NOTES, job=job, study=study, titles=titles, **drawing.facts),
        "starts": starts(job.layout, dict.fromkeys(cells)),
        "lines": [[_cell(value) for value in line.values()] for line in drawing.numbers],
        "header": list(drawing.numbers[0]) if drawing.numbers else [],
    }
    return render("figure.md.j2", **facts)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return NOTHING if math.isnan(value) else f"{value:.4f}".replace("-", "−")
    return str(value)
