"""A table's results: the scores of its cells read from files, checked to be comparable, and their statistics."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dad.errors import UserError
from dad.evaluation import load_protocol
from dad.report.statistics import table_statistics
from dad.study.cells import Row, table_rows
from dad.study.config import BenchmarkConfig, StudyConfig
from dad.study.paper import PaperTable, Printed, paper

METRICS = ("abs_rel", "delta1")
"""What tables report: the paper's two metrics."""


@dataclass(frozen=True)
class Column:
    """One data set of a table, and the paper's column it is shown beside."""

    dataset: str
    paper: str | None
    """The paper's benchmark, or None for an extra column."""
    stand_in: bool
    """`dataset` is shown in the place of `paper` without being it."""

    @property
    def title(self) -> str:
        """The data set's name, with what it stands in for."""
        return f"{self.dataset} (in the place of {self.paper})" if self.stand_in else self.paper or self.dataset


@dataclass(frozen=True)
class TableResult:
    """Everything a table, its figure and its findings are rendered from."""

    study: StudyConfig
    table: str
    layout: PaperTable
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    protocol: str
    """Id of the protocol, e.g. `marigold@1`."""
    protocol_hash: str
    scores: pd.DataFrame
    """Tidy: row, seed, dataset, image, scene, n and the metrics; images without a scored pixel are left out."""
    statistics: pd.DataFrame
    """As `dad.report.statistics.table_statistics` gives it, indexed by (row, dataset, metric)."""
    empty: dict[str, int]
    """Data set -> images without a scored pixel."""

    @property
    def trained(self) -> tuple[Row, ...]:
        """The rows that have cells."""
        return tuple(row for row in self.rows if row.cells)

    @property
    def seeds(self) -> int:
        """How many trainings of each row there are."""
        return len(self.trained[0].cells)

    def block(self, row: Row) -> tuple[str, ...]:
        """The levels that say which block of the table a row is in; empty where the table has no blocks."""
        return tuple(row.factors[factor] for factor in self.layout.block)

    def printed(self, row: Row, column: Column, metric: str) -> Printed | None:
        """The paper's number beside ours, or None."""
        return None if column.paper is None else paper().number(self.table, row.factors, column.paper, metric)

    def row_of(self, factors: Mapping[str, str]) -> Row | None:
        """The row with these factors, or None if this study's table has none."""
        return next((row for row in self.rows if row.factors == dict(factors)), None)

    def label(self, row: Row) -> str:
        """A row in the paper's words, e.g. `Shared-Context Distillation, Hybrid Norm.`"""
        return ", ".join(self.layout.label(factor, level) for factor, level in row.factors.items())


def score_paths(study: StudyConfig, table: str, results: Path) -> dict[str, Path]:
    """Cell id -> where its per-image scores are written."""
    return {cell: results / study.name / "scores" / f"{cell}.csv" for row in table_rows(study, table) for cell in row.cells}


def provenance_paths(study: StudyConfig, table: str, results: Path) -> dict[str, Path]:
    """Cell id -> where its training's provenance is written."""
    return {
        cell: results / study.name / "runs" / cell / "provenance.json" for row in table_rows(study, table) for cell in row.cells
    }


def table_columns(study: StudyConfig, table: str) -> tuple[Column, ...]:
    """The study's data sets in the order of the paper's table, then the ones the paper's table does not have."""
    known = list(dict.fromkeys(column.dataset for column in paper().table(table).columns))
    columns = [_column(benchmark) for benchmark in study.scored]
    return tuple(sorted(columns, key=lambda column: known.index(column.paper) if column.paper in known else len(known)))


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


def load_table(study: StudyConfig, table: str, scores: Mapping[str, Path]) -> TableResult:
    """Read the scores of a table's cells under the study's first protocol and compute the statistics.

    scores: cell id -> per-image CSV as `dad evaluate` writes it. Raises UserError if a cell's file is missing, unreadable, of
    another model or without one of the data sets, or if two cells were scored on different images or under different rules.
    """
    rows = tuple(table_rows(study, table))
    columns = table_columns(study, table)
    protocol = load_protocol(study.protocols[0]).id
    frames = []
    for row in rows:
        for cell, config in row.cells.items():
            frame = _read_scores(cell, scores.get(cell), protocol, columns)
            frames.append(frame.assign(row=row.name, cell=cell, seed=config.seed))
    if not frames:
        raise UserError(f"{table} of study {study.name} has no row that can be trained: {rows[0].reason}")
    everything = pd.concat(frames, ignore_index=True)
    hashes = sorted(set(everything["protocol_hash"]))
    if len(hashes) != 1:
        raise UserError(f"{table} mixes scores under different rules of {protocol} ({', '.join(hashes)}); evaluate all cells again")
    _check_same_images(everything)
    first = everything[everything["cell"] == everything["cell"].iloc[0]]
    empty = {column.dataset: int(((first["dataset"] == column.dataset) & (first["n"] == 0)).sum()) for column in columns}
    tidy = everything[everything["n"] > 0][["row", "seed", "dataset", "image", "scene", "n", *METRICS]]
    for column in columns:
        if not (tidy["dataset"] == column.dataset).any():
            raise UserError(f"no image of {column.dataset} has a scored pixel")
    statistics = table_statistics(tidy, {metric: paper().metrics[metric].better for metric in METRICS})
    return TableResult(
        study=study,
        table=table,
        layout=paper().table(table),
        rows=rows,
        columns=columns,
        protocol=protocol,
        protocol_hash=hashes[0],
        scores=tidy,
        statistics=statistics.set_index(["row", "dataset", "metric"]),
        empty=empty,
    )


def _read_scores(cell: str, path: Path | None, protocol: str, columns: tuple[Column, ...]) -> pd.DataFrame:
    """One cell's lines under one protocol, data sets in the order of `columns`."""
    if path is None or not path.is_file():
        raise UserError(f"there are no scores of cell {cell}{f' at {path}' if path else ''}; evaluate it first")
    needed = ["model", "dataset", "protocol", "protocol_hash", "image", "scene", "n", *METRICS]
    types = dict.fromkeys(needed[:6], str) | {"n": "int64"} | dict.fromkeys(METRICS, "float64")
    try:
        frame = pd.read_csv(path, usecols=needed, dtype=types, float_precision="round_trip")
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path} is not a table of scores: {' '.join(str(error).split())}") from None
    if strange := sorted(set(frame["model"]) - {cell}):
        raise UserError(f"{path} holds the scores of {strange[0]}, not of cell {cell}")
    parts = []
    for column in columns:
        part = frame[(frame["dataset"] == column.dataset) & (frame["protocol"] == protocol)]
        if part.empty:
            raise UserError(f"{path} has no scores on {column.dataset} under {protocol}; evaluate cell {cell} again")
        if part["image"].duplicated().any():
            raise UserError(f"{path} has two lines for {part['image'][part['image'].duplicated()].iloc[0]} on {column.dataset}")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _check_same_images(everything: pd.DataFrame) -> None:
    """Rows are compared image by image, so every cell must have scored the same pixels of the same images."""
    for dataset, lines in everything.groupby("dataset", sort=False):
        counts = lines.pivot(index="image", columns="cell", values="n")
        different = counts[counts.nunique(axis=1, dropna=False) > 1]
        if not different.empty:
            raise UserError(
                f"the cells were not scored on the same pixels of {dataset} (image {different.index[0]}); evaluate all cells again"
            )
