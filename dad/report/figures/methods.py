"""What figures are made from: the methods they show, found in the rows of tables, and the files these need.

The pictures of a figure are drawn from the cells of the study's first seed, its numbers from those of all seeds.
"""

from dataclasses import dataclass

from dad.study.cells import Row, dataset_group, model_id, table_rows
from dad.study.config import StudyConfig
from dad.study.tables import ABLATION

TITLES = {
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
"""What the paper calls a method, by its role."""
ESTIMATORS = {"midas": "midas-v3.1", "teacher": "depth-anything-v2", "assistant": "genpercept", "marigold": "marigold"}
"""The published methods beside ours, in the order of the paper's Fig. 6, and their rows of Table 5."""


@dataclass(frozen=True)
class Method:
    """One method of a figure: a student (its cells, one per seed) or a model as is, or the reason why there is neither."""

    role: str
    """What it is to the figure, one of `TITLES`."""
    table: str
    row: str
    cells: tuple[str, ...] = ()
    model: str | None = None
    reason: str | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of its score files."""
        return (model_id(self.model),) if self.model else self.cells


@dataclass(frozen=True)
class Needs:
    """Everything a figure is made from; with a `reason` it cannot be made in this study, and nothing is needed.

    cells: ids of cells whose weights are loaded. models: names or paths of models that are loaded. scores: (group, subject) of
    score files. datasets: benchmarks of which images are shown. manifest: file name of the photos' manifest under the study's
    results.
    """

    methods: tuple[Method, ...] = ()
    cells: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    scores: tuple[tuple[str, str], ...] = ()
    datasets: tuple[str, ...] = ()
    manifest: str | None = None
    reason: str | None = None

    def method(self, role: str) -> Method | None:
        """The method with this role, if the study has it."""
        return next((method for method in self.methods if method.role == role), None)


def method_of(role: str, row: Row) -> Method:
    """What stands in a table's row, as a figure's method."""
    return Method(role, row.table, row.name, tuple(row.cells), row.model, row.reason)


def method_in(study: StudyConfig, role: str, table: str, **factors: str) -> Method:
    """The first row of a table with these levels, as a figure's method."""
    return method_of(role, next(row for row in table_rows(study, table) if factors.items() <= row.factors.items()))


def other_methods(study: StudyConfig) -> tuple[Method, ...]:
    """The estimators beside ours that the study names."""
    methods = (method_in(study, role, "table5", method=method) for role, method in ESTIMATORS.items())
    return tuple(method for method in methods if method.model)


def our_method(study: StudyConfig) -> Method:
    """The student that is shown as ours: of teacher and assistant, as the paper's; without an assistant, of Table 5 or 2."""
    methods = (
        method_in(study, "ours", "table4", supervision="select"),
        method_in(study, "ours", "table5", method="ours-depth-anything-v2"),
        method_in(study, "ours", "table2", mode="cross"),
    )
    return next((method for method in methods if method.cells), methods[-1])


def base_and_ours(study: StudyConfig) -> tuple[Method, Method]:
    """The previous method and ours, from Table 2, where nothing else differs."""
    return method_in(study, "base", "table2", mode="baseline"), method_in(study, "ours", "table2", mode="cross")


def ablation_sets(study: StudyConfig) -> tuple[str, ...]:
    """The data sets of the ablation tables."""
    return tuple(one.dataset for one in study.scored if dataset_group(study, one.dataset) == ABLATION)


def all_sets(study: StudyConfig) -> tuple[str, ...]:
    """Every data set."""
    return tuple(one.dataset for one in study.scored)


def maps_of(methods: tuple[Method, ...], *, datasets: tuple[str, ...] = (), manifest: str | None = None) -> Needs:
    """The needs of a figure of maps; all its methods must be there."""
    reason = next((f"{method.row} of {method.table}: {method.reason}" for method in methods if method.reason), None)
    if reason:
        return Needs(reason=reason)
    cells = tuple(method.cells[0] for method in methods if method.cells)
    return Needs(methods, cells, tuple(method.model for method in methods if method.model), (), datasets, manifest)
