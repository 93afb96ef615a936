"""The paper's figures, each drawn from the cells of a study (`dad.study.figures` says which)."""

import importlib
from pathlib import Path

from dad.report.paper_figures.job import Drawing, Job, save
from dad.report.style import QUIET, new_figure, styled
from dad.study.config import StudyConfig
from dad.study.figures import figure_subjects

__all__ = ["write_paper_figure"]

_MODULES = {
    "fig2": "alignments",
    "fig4": "normalizations",
    "fig5": "inputs",
    "fig6": "strips",
    "fig7": "scaling",
    "fig8": "generative",
    "fig9": "scatter",
    "fig10": "clouds",
    "fig11": "strips",
}


def write_paper_figure(study: StudyConfig, name: str, results: Path, out: Path) -> None:
    """Write a figure of the paper: OUT/<name>.png, .svg, .md and, where there are numbers in it, .csv.

    RESULTS/<study> holds the cells' weights and scores, the benchmarks and the manifests of photos. Where the study can not give
    the figure, a placeholder says why. The same files give the same bytes. Raises UserError for an unknown name and for files that
    are missing.
    """
    job = Job(study, name, figure_subjects(study, name), results / study.name, out)
    with styled():
        draw = _placeholder if job.needs.reason else importlib.import_module(f"{__name__}.{_MODULES[name]}").draw
        save(job, draw(job))


def _placeholder(job: Job) -> Drawing:
    """In the place of a figure that this study can not give: the reason."""
    figure = new_figure(7.2, 0.9)
    reason = f"Not made in study {job.study.name}: {job.needs.reason}."
    figure.text(0.02, 0.72, job.title, fontsize=11, fontweight="bold", va="center")
    figure.text(0.02, 0.3, reason, va="center", fontsize=9, color=QUIET, parse_math=False)
    return Drawing(figure, [reason])
