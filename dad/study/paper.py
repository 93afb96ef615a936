"""The paper's printed numbers (`paper.yaml`): every value of Tables 1-5 by table, row and column, with notes on contradictions.

These numbers are shown beside ours and never subtracted from them: another benchmark, protocol or scale is not a difference
of methods.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dad.errors import UserError
from dad.study.base import Frozen, parse_model, read_yaml

FILE = Path(__file__).with_name("paper.yaml")
AVERAGE = "average"
"""Name of the column that averages over the benchmarks."""


class Metric(Frozen):
    """How a metric is written and which direction is better."""

    label: str
    better: Literal["lower", "higher"]

    @property
    def arrow(self) -> str:
        """The label with the paper's arrow, e.g. `AbsRel↓`."""
        return self.label + ("↓" if self.better == "lower" else "↑")


class PaperColumn(Frozen):
    """One column of a printed table."""

    dataset: str
    metric: str


class PaperRow(Frozen):
    """One printed row; the sequences stand in the order of the table's columns."""

    row: dict[str, str]
    """Its factors and their levels, as in `dad.study.cells.TABLES` where we train the table."""
    values: tuple[float | None, ...]
    """None: a dash in print."""
    percent: tuple[float | None, ...] | None = None
    """The change in per cent as printed beside the values."""
    notes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Id of a note -> the data sets whose numbers in this row it is about."""


class Reference(Frozen):
    """Which row the others of a table are compared with."""

    of: dict[str, str] = Field(default_factory=dict)
    """The rule is for rows with these levels; empty: for all."""
    against: dict[str, str]
    """Their reference is the row with these factors replaced."""


class PaperTable(Frozen):
    """One printed table and how it is laid out."""

    number: Annotated[int, Field(gt=0)]
    printed_as: str | None = None
    """What it is called in print where that is not `Table N`."""
    title: str
    caption: str
    factors: tuple[str, ...]
    """Which factors make a row, in the order of print."""
    block: tuple[str, ...] = ()
    """The factors whose levels group the rows into blocks, each with its own best value."""
    headings: dict[str, str]
    """Heading of each factor's column."""
    labels: dict[str, dict[str, str]]
    """How each level of each factor is written."""
    columns: tuple[PaperColumn, ...]
    base: dict[str, str] | None = None
    """The percentages are relative to the row with these factors replaced."""
    average: bool = False
    """Whether the mean over the benchmarks is a column of its own (`AVERAGE`)."""
    reference: tuple[Reference, ...] = ()
    """What paired differences are taken to, the first rule that fits a row; none at all: the table's best row."""
    rows: tuple[PaperRow, ...]

    @model_validator(mode="after")
    def _whole(self) -> "PaperTable":
        for row in self.rows:
            if tuple(row.row) != self.factors:
                raise ValueError(f"row {row.row} must have the factors {', '.join(self.factors)} in this order")
            for sequence in (row.values, row.percent or self.columns):
                if len(sequence) != len(self.columns):
                    raise ValueError(f"row {row.row} has {len(sequence)} numbers for {len(self.columns)} columns")
            if row.percent is not None and self.base is None:
                raise ValueError(f"row {row.row} has percentages but the table names no base")
            if missing := [f"{factor}: {level}" for factor, level in row.row.items() if level not in self.labels.get(factor, {})]:
                raise ValueError(f"no label for {', '.join(missing)}")
        if len({tuple(row.row.values()) for row in self.rows}) != len(self.rows):
            raise ValueError("two rows have the same factors")
        return self

    @property
    def row_factors(self) -> tuple[str, ...]:
        """The factors that tell the rows of one block apart."""
        return tuple(factor for factor in self.factors if factor not in self.block)

    @property
    def name(self) -> str:
        """What it is called in print, e.g. `Table 1` or `Fig. 7`."""
        return self.printed_as or f"Table {self.number}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it prints, in the order of its columns."""
        return tuple(dict.fromkeys(column.metric for column in self.columns))

    @property
    def datasets(self) -> tuple[str, ...]:
        """The benchmarks it prints, in the order of its columns."""
        return tuple(dict.fromkeys(column.dataset for column in self.columns))

    def reference_of(self, factors: Mapping[str, str]) -> dict[str, str] | None:
        """The factors of the row that the row with these factors is compared with, or None; no row is its own reference."""
        for rule in self.reference:
            if rule.of.items() <= factors.items():
                reference = {**factors, **rule.against}
                return None if reference == dict(factors) else reference
        return None

    def label(self, factor: str, level: str) -> str:
        """How a level is written; a level that the paper does not have is written as it is called here."""
        return self.labels.get(factor, {}).get(level, level)


class Note(Frozen):
    """What is known about printed numbers beyond the table itself."""

    text: str
    evidence: Literal["paper", "upstream", "reported", "recalled"]
    """`paper`: follows from the paper alone; `upstream`: read in a public repository; `reported`: by a third party, named;
    `recalled`: from another paper, not looked up again."""
    between: Literal["paper", "configs", "publications", "upstream", "open"]
    """Where the discrepancy lies: within the paper; between it and its released configs, the publications it takes numbers from, or
    the code it builds on; `open`: what the paper does not say."""
    choice: str | None = None
    """What is done about it here."""
    foreign: bool = False
    """The numbers it is about follow another protocol than the paper's own, or there is good reason to think so."""


@dataclass(frozen=True)
class Printed:
    """One number as printed."""

    table: str
    row: dict[str, str]
    dataset: str
    metric: str
    value: float
    percent: float | None
    notes: tuple[str, ...]


class Paper(Frozen):
    """All printed tables."""

    title: str
    source: str
    decimals: Annotated[int, Field(ge=0)]
    """Digits after the point of every printed value."""
    noise_floor: Annotated[float, Field(gt=0)]
    """How far apart the paper prints one and the same cell: smaller gaps in print show no ordering."""
    datasets: tuple[str, ...]
    metrics: dict[str, Metric]
    tables: dict[str, PaperTable]
    notes: dict[str, Note]

    @model_validator(mode="after")
    def _known_names(self) -> "Paper":
        for name, table in self.tables.items():
            for column in table.columns:
                if column.dataset not in self.datasets or column.metric not in self.metrics:
                    raise ValueError(f"{name}: unknown column {column.dataset}, {column.metric}")
            for row in table.rows:
                for note, datasets in row.notes.items():
                    if note not in self.notes:
                        raise ValueError(f"{name}: row {row.row} has the unknown note {note}")
                    if strange := set(datasets) - {column.dataset for column in table.columns}:
                        raise ValueError(f"{name}: row {row.row}, note {note}: no column {', '.join(sorted(strange))}")
        return self

    def table(self, name: str) -> PaperTable:
        """A table by its name (`table1`). Raises UserError for an unknown one."""
        if name not in self.tables:
            raise UserError(f"the paper has no {name!r}; its tables are {', '.join(self.tables)}")
        return self.tables[name]

    def numbers(self, table: str | None = None) -> Iterator[Printed]:
        """Every printed number, of one table or of all, in the order of print; dashes are left out."""
        for name in self.tables if table is None else [table]:
            layout = self.table(name)
            for row in layout.rows:
                percentages = row.percent or (None,) * len(layout.columns)
                for column, value, percent in zip(layout.columns, row.values, percentages, strict=True):
                    if value is not None:
                        notes = tuple(note for note, datasets in row.notes.items() if column.dataset in datasets)
                        yield Printed(name, row.row, column.dataset, column.metric, value, percent, notes)

    def number(self, table: str, row: Mapping[str, str], dataset: str, metric: str) -> Printed | None:
        """The number printed for these factors in this column, or None where the paper prints none."""
        for printed in self.numbers(table):
            if (printed.row, printed.dataset, printed.metric) == (dict(row), dataset, metric):
                return printed
        return None

    def within_noise(self, first: float, second: float) -> bool:
        """Whether two printed values are no further apart than the paper prints one and the same cell."""
        return abs(first - second) <= self.noise_floor * (1 + 1e-6)

    def foreign(self, number: Printed) -> bool:
        """Whether a printed number is known, or with good reason suspected, to follow another protocol than the paper's own."""
        return any(self.notes[note].foreign for note in number.notes)

    def dataset_name(self, dataset: str) -> str | None:
        """The paper's spelling of a real benchmark's name (`eth3d` -> `ETH3D`), or None if the paper has no such benchmark."""
        return next((name for name in self.datasets if name.lower() == dataset.lower()), None)


@functools.cache
def paper() -> Paper:
    """The printed numbers as shipped in the package."""
    return parse_model(Paper, read_yaml(FILE), source=FILE.name)
