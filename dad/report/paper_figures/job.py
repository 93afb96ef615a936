"""What every figure of the paper is drawn from and into: the study, its files, and the figure with its caption and numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from dad.evaluation import load_protocol
from dad.files import write_csv, write_text
from dad.report.results import table_columns
from dad.report.style import save_png, save_svg
from dad.report.text import NOTHING, markdown_table
from dad.study.cells import model_slug
from dad.study.config import StudyConfig
from dad.study.figures import FigureText, Method, Needs, figure_text

_NAMES = {
    "midas": "MiDaS v3.1",
    "teacher": "Depth Anything v2",
    "assistant": "GenPercept",
    "marigold": "Marigold",
    "base": "base",
    "ours": "ours",
    "ssi": "SSI baseline",
    "teacher-student": "student of\nthe teacher",
    "assistant-student": "student of\nthe assistant",
}


@dataclass(frozen=True)
class Job:
    """One figure to make: `root` is the study's folder of results, `out` where the figure goes."""

    study: StudyConfig
    name: str
    needs: Needs
    root: Path
    out: Path

    @property
    def text(self) -> FigureText:
        """The paper's title and caption."""
        return figure_text(self.name)

    @property
    def title(self) -> str:
        """The line above the figure."""
        return f"Figure {self.text.number}: {self.text.title}"

    @property
    def protocol(self) -> str:
        """The protocol by which predictions are brought to the truth: the study's first."""
        return self.study.protocols[0]

    @property
    def seed(self) -> int:
        """The seed whose students are shown."""
        return self.study.seeds[0]


@dataclass
class Drawing:
    """A figure as drawn, what its caption has to say beyond the paper's, and the numbers in it, as equal dicts."""

    figure: Figure
    notes: list[str]
    numbers: list[dict[str, Any]] = field(default_factory=list)


def model_title(name: str, model: str) -> str:
    """A published model's name and the model that is it here, or stands in for it: `GenPercept (stand-in genpercept)`."""
    return f"{name} ({_what(model)})"


def _what(model: str) -> str:
    return ("stand-in " if is_stand_in(model) else "") + model_slug(model)


def method_title(method: Method, *, lines: bool = True) -> str:
    """A method's name in the paper, and which model it is here; a network of the procedural zoo is called the stand-in it is."""
    name = _NAMES[method.role]
    if method.model is None:
        return name if lines else name.replace("\n", " ")
    return f"{name}\n{_what(method.model)}" if lines else model_title(name, method.model)


def is_stand_in(model: str) -> bool:
    """Whether a model is one of the small networks that stand in for published ones."""
    return model.startswith("zoo/")


def dataset_titles(study: StudyConfig) -> dict[str, str]:
    """Data set -> its name with what it stands in for."""
    return {column.dataset: column.title for column in table_columns(study, "table5")}


def save(job: Job, drawing: Drawing) -> None:
    """Write OUT/<name>.png, .svg and .md and, where there are numbers, .csv. Call inside `styled`."""
    save_png(drawing.figure, job.out / f"{job.name}.png")
    save_svg(drawing.figure, job.out / f"{job.name}.svg")
    write_text(job.out / f"{job.name}.md", caption(job, drawing))
    numbers = job.out / f"{job.name}.csv"
    if drawing.numbers:
        write_csv(numbers, drawing.numbers, list(drawing.numbers[0]))
    else:
        numbers.unlink(missing_ok=True)  # of an earlier study, which had some


def caption(job: Job, drawing: Drawing) -> str:
    """The page of a figure: the paper's caption, what this one shows, what was run, the numbers."""
    sections = [
        [f"# {job.title}", "", job.text.caption],
        [f"![{job.title}]({job.name}.png)"],
        [f"- {note}" for note in drawing.notes],
    ]
    if not job.needs.reason:
        sections.append(["## What was run", "", *(f"- {line}" for line in _run(job))])
    if drawing.numbers:
        header = list(drawing.numbers[0])
        rows = [[_cell(row[key]) for key in header] for row in drawing.numbers]
        left = next((i for i, key in enumerate(header) if isinstance(drawing.numbers[0][key], float)), len(header))
        sections.append([f"## The numbers (`{job.name}.csv`)", "", *markdown_table(header, rows, left=left)])
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return NOTHING if math.isnan(value) else f"{value:.4f}".replace("-", "−")
    return str(value)


def _run(job: Job) -> list[str]:
    study, needs = job.study, job.needs
    lines = [f"study `{study.name}`: {study.description}"]
    for method in needs.methods:
        what = f"model `{method.model}`" if method.model else ", ".join(f"`{cell}`" for cell in _used(job, method))
        lines.append(f"{method_title(method, lines=False)}: {what} (row `{method.row}` of {method.table})")
    students = any(method.cells for method in needs.methods)
    if students and needs.cells:
        lines.append(f"students of seed {job.seed}" + (f", the first of {len(study.seeds)}" if len(study.seeds) > 1 else ""))
    elif students:
        lines.append(f"{len(study.seeds)} seed{'s' * (len(study.seeds) > 1)}: {', '.join(map(str, study.seeds))}")
    datasets = dataset_titles(study)
    shown = needs.datasets or (tuple(datasets) if needs.scores else ())
    if shown:
        lines.append(f"data: {', '.join(datasets[name] for name in shown)}")
        lines.append(f"protocol: {load_protocol(job.protocol).id}")
    models = [method.model for method in needs.methods if method.model]
    if any(map(is_stand_in, [*models, study.teacher, study.student.model])):
        lines.append(
            "small networks trained on rendered scenes stand in for the paper's models: compare no number with the paper's"
        )
    return lines


def _used(job: Job, method: Method) -> Sequence[str]:
    """The cells of a method that the figure is made from: all seeds' where it shows scores, else the first's."""
    return method.cells if job.needs.scores else method.cells[:1]
