"""The columns of a table: the study's data sets, each beside the paper's benchmark that it is or stands in for."""

from dataclasses import dataclass

from dad.errors import UserError
from dad.study.cells import dataset_group, study_groups
from dad.study.config import BenchmarkConfig, StudyConfig
from dad.study.paper import AVERAGE, paper
from dad.study.tables import table_of


@dataclass(frozen=True)
class Column:
    """One data set of a table or the average over several, and the paper's column it is shown beside."""

    dataset: str
    """Name of the data set, or `AVERAGE`."""
    paper: str | None
    """The paper's benchmark, or None for an extra column."""
    stand_in: bool
    """`dataset` is shown in the place of `paper` without being it."""
    over: tuple[str, ...] = ()
    """The data sets that an average is over; empty for a data set itself."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets whose scores the column shows."""
        return self.over or (self.dataset,)

    @property
    def title(self) -> str:
        """The data set's name, with what it stands in for."""
        return f"{self.dataset} (in the place of {self.paper})" if self.stand_in else self.paper or self.dataset


def table_columns(study: StudyConfig, table: str) -> tuple[Column, ...]:
    """The columns of a table: the average where it has one, the study's data sets of the table's groups in the paper's order, then
    the ones that the paper's table does not have.
    """
    layout, groups = table_of(study, table), study_groups(study, table)
    known = list(layout.datasets)
    every = [_column(benchmark) for benchmark in study.scored]
    single = [column for column in every if dataset_group(study, column.dataset) in groups]
    single.sort(key=lambda column: known.index(column.paper) if column.paper in known else len(known))
    averaged = tuple(column.dataset for column in single if column.paper in known)
    average = [Column(AVERAGE, AVERAGE, stand_in=False, over=averaged)] if layout.average and averaged else []
    return (*average, *single)


def _column(benchmark: BenchmarkConfig) -> Column:
    itself = paper().dataset_name(benchmark.dataset)
    if benchmark.stands_for is None:
        return Column(benchmark.dataset, itself, stand_in=False)
    if benchmark.stands_for not in paper().datasets:
        raise UserError(
            f"{benchmark.dataset}: stands_for {benchmark.stands_for!r} is not a benchmark of the paper; "
            f"those are {', '.join(paper().datasets)}"
        )
    return Column(benchmark.dataset, benchmark.stands_for, stand_in=benchmark.stands_for != itself)
