"""What stands in a table's columns, and what its rows are called."""

from collections.abc import Iterable
from dataclasses import dataclass

from dad.errors import UserError
from dad.study.cells import Row, dataset_group, study_groups
from dad.study.config import BenchmarkConfig, StudyConfig
from dad.study.paper import AVERAGE, paper
from dad.study.table import Table
from dad.study.tables import table_of

BESIDE_LABELS = {
    "teacher": "the teacher",
    "source": "the student's network as shipped",
    "no-skill:constant": "no skill: the best constant",
    "no-skill:gradient": "no skill: a gradient from sky to ground",
}
"""What is above the rows, in words, by role or by model."""


@dataclass(frozen=True)
class Column:
    """One data set of a table or the average over several, and the paper's column it is shown beside."""

    dataset: str
    """Name of the data set, or `AVERAGE`."""
    paper: str | None
    """The paper's benchmark, or None for an extra column."""
    stand_in: bool = False
    """`dataset` is shown for `paper` without being it."""
    over: tuple[str, ...] = ()
    """The data sets that an average is over; empty for a data set itself."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets whose scores the column shows."""
        return self.over or (self.dataset,)

    @property
    def title(self) -> str:
        """The data set's name, with what it stands in for."""
        return f"{self.dataset} (for {self.paper})" if self.stand_in else self.paper or self.dataset


def table_columns(study: StudyConfig, table: str) -> tuple[Column, ...]:
    """The columns of a table: the average where it has one, the study's data sets of the table's groups in the paper's
    order, then the ones that the paper's table does not have.
    """
    layout, groups = table_of(study, table), study_groups(study, table)
    known = list(layout.datasets)
    every = [_column(benchmark) for benchmark in study.scored]
    single = [column for column in every if dataset_group(study, column.dataset) in groups]
    single.sort(key=lambda column: known.index(column.paper) if column.paper in known else len(known))
    averaged = tuple(column.dataset for column in single if column.paper in known)
    average = [Column(AVERAGE, AVERAGE, over=averaged)] if layout.average and averaged else []
    return (*average, *single)


def _column(benchmark: BenchmarkConfig) -> Column:
    itself = paper().dataset_name(benchmark.dataset)
    if benchmark.stands_for is None:
        return Column(benchmark.dataset, itself)
    if benchmark.stands_for not in paper().datasets:
        raise UserError(
            f"{benchmark.dataset}: stands_for {benchmark.stands_for!r} is not a benchmark of the paper; "
            f"those are {', '.join(paper().datasets)}"
        )
    return Column(benchmark.dataset, benchmark.stands_for, stand_in=benchmark.stands_for != itself)


def beside_label(row: Row) -> str:
    """What a model above the rows is to the table, in words."""
    return BESIDE_LABELS.get(row.model or "") or BESIDE_LABELS[row.role]


def row_label(layout: Table, row: Row) -> str:
    """A row in a table's words."""
    return ", ".join(layout.label(factor, level) for factor, level in row.factors.items())


def reasons(layout: Table, rows: Iterable[Row]) -> dict[str, list[str]]:
    """Why rows of a table were not run -> their labels."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.reason:
            found.setdefault(row.reason, []).append(row_label(layout, row))
    return found
