"""The paper's figures. A figure is a module `figN.py` of this folder, and the folder is the registry.

Such a module holds TITLE and CAPTION (the paper's, shortened), TABLES (whose rows it shows), NOTES (a Jinja template:
what its caption says beyond the paper's), `needs(study)` (what it is made from, or why it cannot be made) and
`draw(job)`. Importing this package and asking for needs loads neither torch nor matplotlib: the workflow does so for
every job. Fig. 1 and 3 are a teaser and a diagram; nothing in them is computed.
"""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from dad.errors import UserError
from dad.report.figures.job import Job, save, unmade
from dad.study.config import StudyConfig
from dad.study.figures import Needs


def _found() -> dict[str, ModuleType]:
    """Name of the target (`reports/fig7.png`) -> its module, in the paper's order."""
    names = [one.name for one in pkgutil.iter_modules(__path__) if one.name.startswith("fig")]
    return {name: importlib.import_module(f"{__name__}.{name}") for name in sorted(names, key=figure_number)}


def figure_number(name: str) -> int:
    """The paper's number of a figure."""
    return int(name.removeprefix("fig"))


FIGURES = _found()


def figure_needs(study: StudyConfig, name: str) -> Needs:
    """What a figure needs of a study, or why it cannot be made. Raises UserError for an unknown figure."""
    if name not in FIGURES:
        raise UserError(f"unknown figure {name!r}; known: {', '.join(FIGURES)}, and contact-sheet")
    return FIGURES[name].needs(study)


def figures_of(table: str) -> list[str]:
    """The figures that show rows of a table."""
    return [name for name, figure in FIGURES.items() if table in figure.TABLES]


def write_paper_figure(study: StudyConfig, name: str, results: Path, out: Path) -> None:
    """Write a figure of the paper: OUT/<name>.png, .svg, .md and, where there are numbers in it, .csv.

    RESULTS/<study> holds the cells' weights and scores, the benchmarks and the manifests of photos. Where the study
    cannot give the figure, a placeholder says why. The same files give the same bytes. Raises UserError for an unknown
    name and for files that are missing.
    """
    from dad.report.style import styled

    needs = figure_needs(study, name)
    job = Job(study, name, f"Figure {figure_number(name)}: {FIGURES[name].TITLE}", needs, results, out)
    with styled():
        save(job, FIGURES[name], unmade(job) if needs.reason else FIGURES[name].draw(job))
