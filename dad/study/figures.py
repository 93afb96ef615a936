"""What figures are made from: the methods they show, which are rows of tables, and the files these need.

The pictures of a figure are drawn from the cells of the study's first seed, its numbers from those of all seeds.
"""

from dataclasses import dataclass

from dad.study.cells import Row, dataset_group, model_slug, table_rows
from dad.study.config import StudyConfig
from dad.study.photos import manifest_name
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


def is_stand_in(model: str) -> bool:
    """Whether a model is one of the small networks that stand in for published ones."""
    return model.startswith("zoo/")


def what_model(model: str) -> str:
    """A model as readers know it; a network of the procedural zoo is called the stand-in that it is."""
    return ("stand-in " if is_stand_in(model) else "") + model_slug(model)


@dataclass(frozen=True)
class Method:
    """One method of a figure: what stands in a table's row, and what it is to the figure, one of `TITLES`."""

    role: str
    row: Row

    @property
    def heading(self) -> str:
        """Its name in the paper and, on a line of its own, which model it is here."""
        return TITLES[self.role] + (f"\n{what_model(self.row.model)}" if self.row.model else "")

    @property
    def title(self) -> str:
        """The same on one line: `GenPercept (stand-in genpercept)`."""
        name = TITLES[self.role].replace("\n", " ")
        return f"{name} ({what_model(self.row.model)})" if self.row.model else name


@dataclass(frozen=True)
class Needs:
    """Everything a figure is made from; with a `reason` it cannot be made in this study, and nothing is needed.

    cells: ids of cells whose weights are loaded. models: names or paths of models that are loaded. scores: (group,
    subject) of score files. datasets: benchmarks of which images are shown. manifest: file name of the photos' manifest
    under the study's results.
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

    def used(self, method: Method) -> list[str]:
        """The cells of a method that the figure is made from: all seeds' where it shows scores, else the first's."""
        return list(method.row.cells)[: None if self.scores else 1]


def method_in(study: StudyConfig, role: str, table: str, **factors: str) -> Method:
    """The first row of a table with these levels, as a figure's method."""
    return Method(role, next(row for row in table_rows(study, table) if factors.items() <= row.factors.items()))


def other_methods(study: StudyConfig) -> tuple[Method, ...]:
    """The estimators beside ours that the study names."""
    methods = (method_in(study, role, "table5", method=method) for role, method in ESTIMATORS.items())
    return tuple(method for method in methods if method.row.model)


def our_method(study: StudyConfig) -> Method:
    """The student shown as ours: of teacher and assistant, as the paper's; without an assistant, of Table 5 or 2."""
    methods = (
        method_in(study, "ours", "table4", supervision="select"),
        method_in(study, "ours", "table5", method="ours-depth-anything-v2"),
        method_in(study, "ours", "table2", mode="cross"),
    )
    return next((method for method in methods if method.row.cells), methods[-1])


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
    rows = [method.row for method in methods]
    if reason := next((f"{row.name} of {row.table}: {row.reason}" for row in rows if row.reason), None):
        return Needs(reason=reason)
    cells = tuple(next(iter(row.cells)) for row in rows if row.cells)
    return Needs(methods, cells, tuple(row.model for row in rows if row.model), (), datasets, manifest)


def teacher_on_photos(study: StudyConfig) -> Needs:
    """The needs of a figure of labels: the teacher and the training photos."""
    return maps_of(
        (method_in(study, "teacher", "table4", supervision="teacher"),), manifest=manifest_name(study.photos)
    )
