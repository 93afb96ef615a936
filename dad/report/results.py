"""A table's results: the scores in its rows read from files, checked to be comparable, and their statistics."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dad.errors import UserError
from dad.evaluation import load_protocol
from dad.report.columns import Column, table_columns
from dad.report.scores import METRICS, ScoreFiles, check_comparable, read_rows, score_paths
from dad.report.statistics import Interval
from dad.report.table_statistics import table_statistics
from dad.study.cells import Row, table_rows, teacher_rows
from dad.study.config import StudyConfig
from dad.study.layout import Layout
from dad.study.paper import Printed, Table, paper
from dad.study.tables import table_of

__all__ = ["METRICS", "Column", "TableResult", "load_table", "provenance_paths", "score_paths", "table_columns"]


def provenance_paths(study: StudyConfig, table: str, results: Path) -> dict[str, Path]:
    """Cell id -> where its training's provenance is written."""
    layout = Layout(study, results)
    return {cell: layout.run(cell) / "provenance.json" for row in table_rows(study, table) for cell in row.cells}


@dataclass(frozen=True)
class TableResult:
    """Everything a table, its figure and its findings are rendered from."""

    study: StudyConfig
    table: str
    layout: Table
    rows: tuple[Row, ...]
    teachers: tuple[Row, ...]
    """The teachers that are not among the rows, as rows; empty where they have not been scored."""
    columns: tuple[Column, ...]
    protocol: str
    """Id of the protocol, e.g. `marigold@1`."""
    protocol_hash: str
    scores: pd.DataFrame
    """Tidy: row, seed, dataset, image, scene, n and the metrics; images without a scored pixel are left out."""
    statistics: pd.DataFrame
    """As `dad.report.table_statistics` gives it, indexed by (row, dataset, metric); the teachers have no differences."""
    empty: dict[str, int]
    """Data set -> images without a scored pixel."""

    @property
    def trained(self) -> tuple[Row, ...]:
        """The rows that have cells."""
        return tuple(row for row in self.rows if row.cells)

    @property
    def scored(self) -> tuple[Row, ...]:
        """The rows that have scores: those with cells, and those with a model that is scored as it is."""
        return tuple(row for row in self.rows if row.subjects)

    @property
    def seeds(self) -> int:
        """How many trainings of each row there are; 1 without trained rows."""
        return max((len(row.cells) for row in self.trained), default=1)

    @property
    def unscored(self) -> tuple[str, ...]:
        """Benchmarks that the paper's table prints and this study has nothing for."""
        return tuple(name for name in self.layout.datasets if name not in {column.paper for column in self.columns})

    def block(self, row: Row) -> tuple[str, ...]:
        """The levels that say which block of the table a row is in; empty where the table has no blocks."""
        return tuple(row.factors[factor] for factor in self.layout.block)

    def interval(self, row: Row, column: Column, metric: str) -> Interval:
        """The mean and its interval of a scored row or a teacher."""
        values = self.statistics.loc[(row.name, column.dataset, metric)]
        return Interval(float(values["mean"]), float(values["ci_low"]), float(values["ci_high"]))

    def printed(self, row: Row, column: Column, metric: str) -> Printed | None:
        """The paper's number beside ours, or None."""
        return None if column.paper is None else paper().number(self.table, row.factors, column.paper, metric)

    def percent(self, row: Row, column: Column, metric: str) -> float | None:
        """The change of our mean in per cent of the row that the paper's percentages are relative to, or None without one."""
        base = self.row_of({**row.factors, **self.layout.base}) if self.layout.base else None
        if base is None or base == row or not base.subjects or not row.subjects:
            return None
        return 100 * (self.interval(row, column, metric).mean / self.interval(base, column, metric).mean - 1)

    def row_of(self, factors: Mapping[str, str]) -> Row | None:
        """The row with these factors, or None if this study's table has none."""
        return next((row for row in self.rows if row.factors == dict(factors)), None)

    def reference(self, row: Row) -> Row | None:
        """The row that this one is compared with, or None."""
        factors = self.layout.reference_of(row.factors)
        return None if factors is None else self.row_of(factors)

    def label(self, row: Row) -> str:
        """A row in the paper's words, e.g. `Shared-Context Distillation, Hybrid Norm.`"""
        if row in self.teachers:
            return "the teacher" if len(self.teachers) == 1 else f"the teacher {row.model}"
        return ", ".join(self.layout.label(factor, level) for factor, level in row.factors.items())


def load_table(study: StudyConfig, table: str, scores: ScoreFiles) -> TableResult:
    """Read the scores in a table's rows under the study's first protocol and compute the statistics.

    scores: as `score_paths` gives them. A teacher's file may be missing. Raises UserError if another is missing, if one is
    unreadable, of another model or without one of the data sets, or if two were scored on different images or under different
    rules.
    """
    layout, rows, columns = table_of(study, table), tuple(table_rows(study, table)), table_columns(study, table)
    if not columns:
        raise UserError(f"study {study.name} has no benchmark that {table} reports ({', '.join(layout.datasets)})")
    protocol = load_protocol(study.protocols[0])
    teachers = tuple(row for row in teacher_rows(study, table) if _is_there(row, scores))
    everything = read_rows(study, (*teachers, *rows), columns, scores, protocol.id)
    check_comparable(table, protocol.id, everything)
    first = everything[everything["subject"] == everything["subject"].iloc[0]] if len(everything) else everything
    tidy = everything[everything["n"] > 0][["row", "seed", "dataset", "image", "scene", "n", *METRICS]]
    is_row = tidy["row"].isin([row.name for row in rows])
    return TableResult(
        study=study,
        table=table,
        layout=layout,
        rows=rows,
        teachers=teachers,
        columns=columns,
        protocol=protocol.id,
        protocol_hash=first["protocol_hash"].iloc[0] if len(first) else protocol.hash,
        scores=tidy[is_row].reset_index(drop=True),
        statistics=_statistics(layout, rows, columns, tidy[is_row], tidy[~is_row]),
        empty={name: int(((first["dataset"] == name) & (first["n"] == 0)).sum()) for name in dict.fromkeys(first["dataset"])},
    )


def _is_there(row: Row, scores: ScoreFiles) -> bool:
    """Whether all score files of a row exist."""
    paths = [path for (_, subject), path in scores.items() if subject in row.subjects]
    return bool(paths) and all(path.is_file() for path in paths)


def _statistics(
    layout: Table, rows: tuple[Row, ...], columns: tuple[Column, ...], scores: pd.DataFrame, teachers: pd.DataFrame
) -> pd.DataFrame:
    """Those of the rows, then those of the teachers, indexed by (row, dataset, metric)."""
    better = {metric: paper().metrics[metric].better for metric in METRICS}
    datasets = {column.dataset: column.datasets for column in columns}
    names = {tuple(row.factors.items()): row.name for row in rows}
    references = {
        row.name: names[tuple(other.items())]
        for row in rows
        if (other := layout.reference_of(row.factors)) and tuple(other.items()) in names
    }
    own = table_statistics(scores, better, columns=datasets, references=references)
    means = table_statistics(teachers, better, columns=datasets)
    means = means.reindex(columns=["row", "dataset", "metric", "mean", "ci_low", "ci_high", "n", "seeds"])
    both = [frame for frame in (own, means) if len(frame)]
    return pd.concat(both or [own], ignore_index=True).set_index(["row", "dataset", "metric"])
