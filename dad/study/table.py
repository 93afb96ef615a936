"""The form of a table: what stands in its rows, how it is laid out, what the paper prints in it and says about it.

The paper's tables (`dad/study/tables/*.yaml`), a study's own (its key `tables`) and the library's
(`config/tables/*.yaml`) have it.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dad.errors import UserError
from dad.study.base import Frozen, did_you_mean
from dad.study.claims import ENDS, MEASURED, Claim, distinct
from dad.study.grid import SHORT, full_form

ABLATION, ZERO_SHOT = "ablation", "zero-shot"
"""Groups of benchmarks: Tables 1 to 4 report the first (ETH3D and DIODE), Table 5 and Fig. 7 all."""
AVERAGE = "average"
"""Name of the column that averages over the benchmarks."""

TAKEN = (
    "id",
    "table",
    "role",
    "row",
    "label",
    "block",
    "cell",
    "seed",
    "seeds",
    "steps",
    "dataset",
    "title",
    "benchmark",
    "stands_for",
    "image",
    "scene",
    "metric",
    "protocol",
    "mean",
    "ci_low",
    "ci_high",
    "n",
    "best",
    "percent",
    "paper",
    "paper_best",
    "paper_percent",
    "notes",
    "foreign",
    "reason",
    "difference_to_best",
    "diff_low",
    "diff_high",
    "p_holm",
    "effect",
    "reference",
    "ref_difference",
    "ref_low",
    "ref_high",
    "ref_p_holm",
    "ref_effect",
    "ref_verdict",
)
"""What stands beside a row's factors in a table's CSV and in lists of cells: no factor is called so."""

Changes = dict[str, Any]
"""What differs from the study's plain student: dotted field of `Cell` -> value (short words: `dad.study.changes`)."""


def row_name(levels: Mapping[str, str]) -> str:
    """Readable slug of a row's levels, e.g. `shared-hybrid`: what it is called in scores, statistics and MLflow."""
    return "-".join(re.sub(r"[^A-Za-z0-9.+_]+", "-", level).strip("-") for level in levels.values())


class TableColumn(Frozen):
    """One column."""

    dataset: str
    """A benchmark, in the paper's spelling."""
    metric: str


class TableRow(Frozen):
    """One row; the sequences stand in the order of the table's columns."""

    row: dict[str, str]
    """Its factors and their levels."""
    train: Changes | None = None
    """What its student changes beside what its levels say."""
    score: tuple[str, ...] = ()
    """A model that is scored as is, instead of a student: `teacher`, `assistant`, the name of an architecture
    (`midas-l`), a model, or `estimator`, what the study's `estimators` name under this row. Of several, the first that
    the study has.
    """
    values: tuple[float | None, ...] = ()
    """What the paper prints; None: a dash in print; empty: the row is not in print."""
    percent: tuple[float | None, ...] | None = None
    """The change in per cent as printed beside the values."""
    notes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Id of a note -> the data sets whose numbers in this row it is about; `all` stands for all of the table's."""

    @model_validator(mode="after")
    def _trained_or_scored(self) -> "TableRow":
        if self.score and self.train is not None:
            raise ValueError(f"row {self.row} has train and score: a row is trained, or a model is scored as is")
        return self

    @property
    def name(self) -> str:
        """Readable slug of its levels."""
        return row_name(self.row)


class Reference(Frozen):
    """Which row the others of a table are compared with."""

    of: dict[str, str] = Field(default_factory=dict)
    """The rule is for rows with these levels; empty: for all."""
    against: dict[str, str]
    """Their reference is the row with these factors replaced."""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


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


class Curves(Frozen):
    """How a table is drawn as curves: the error relative to each row's reference against a factor that is a number."""

    along: str
    """The factor on the axis."""
    lines: str
    """The factor with a line for each level."""
    facets: str
    """The factor with a panel for each level."""


class Table(Frozen):
    """One table. Its file may also hold `grid`, `where` and `except` (`dad.study.grid`), from which rows are made."""

    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    """Name of its files, from the file or key it stands in."""
    number: Annotated[int, Field(gt=0)] | None = None
    """Of the table in the paper; null: not the paper's."""
    printed_as: str | None = None
    """What it is called in print where that is not `Table N`."""
    title: str
    caption: str = ""
    factors: Annotated[tuple[str, ...], Field(min_length=1)]
    """Which factors make a row, in print order. One that is a field of a cell changes that field to its level."""
    block: tuple[str, ...] = ()
    """The factors whose levels group the rows into blocks, each with its own best value."""
    headings: dict[str, str] = Field(default_factory=dict)
    """Heading of each factor's column; by default its name."""
    labels: dict[str, dict[str, str]] = Field(default_factory=dict)
    """How each level of each factor is written; without a label, as is."""
    levels: dict[str, dict[str, Changes]] = Field(default_factory=dict)
    """What a level changes, for factors that are no field of a cell."""
    groups: tuple[Literal["ablation", "zero-shot"], ...] = ()
    """The groups of benchmarks that are reported; by default those of the columns."""
    columns: tuple[TableColumn, ...] = ()
    """The benchmarks and metrics of print; by default AbsRel on the ablations' benchmarks."""
    average: bool = False
    """Whether the mean over the benchmarks is a column of its own (`AVERAGE`)."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Every row is trained once per seed; by default the study's seeds."""
    base: Changes = Field(default_factory=dict)
    """What all rows change; what nothing changes is the paper's method, `mode: cross` with `normalization: hybrid`."""
    percent_of: dict[str, str] | None = None
    """The percentages are relative to the row with these factors replaced."""
    reference: tuple[Reference, ...] = ()
    """What paired differences are taken to, by the first rule that fits a row; none at all: the table's best row.

    Levels alone are one rule for all rows.
    """
    rows: Annotated[tuple[TableRow, ...], Field(min_length=1)]
    """All rows, those of the grid first."""
    claims: tuple[Claim, ...] = ()
    curves: Curves | None = None
    """Its picture is of curves; null: points with intervals, or heat maps of a grid."""

    @model_validator(mode="before")
    @classmethod
    def _full(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        keys = [*cls.model_fields, *SHORT]
        if unknown := [key for key in value if key not in keys]:
            raise ValueError(f"{unknown[0]}: unknown key{did_you_mean(str(unknown[0]), keys)}")
        return full_form(value)

    @model_validator(mode="after")
    def _whole(self) -> "Table":
        for row in self.rows:
            for sequence in filter(None, (row.values, row.percent)):
                if len(sequence) != len(self.columns):
                    raise ValueError(f"row {row.row} has {len(sequence)} numbers for {len(self.columns)} columns")
            if row.percent is not None and self.percent_of is None:
                raise ValueError(f"row {row.row} has percentages but the table names no percent_of")
            if strange := {name for names in row.notes.values() for name in names} - set(self.datasets):
                raise ValueError(f"row {row.row}, notes: no column {', '.join(sorted(strange))}")
        if twice := sorted({seed for seed in self.seeds if self.seeds.count(seed) > 1}):
            raise ValueError(f"seeds: {twice[0]} is there twice")
        names = [row.name for row in self.rows]
        if twice := [row.row for row in self.rows if names.count(row.name) > 1]:
            raise ValueError(f"two rows have the same factors: {twice[0]}")
        self._known_factors()
        self._told_apart()
        for levels in (self.percent_of, *(rule.against for rule in self.reference)):
            if levels and not self._rows_with(levels):
                raise ValueError(f"{'percent_of' if levels is self.percent_of else 'reference'}: no row has {levels}")
        distinct(self.claims)
        for claim in self.claims:
            self.check_claim(claim)
        return self

    def _known_factors(self) -> None:
        named = {"block": self.block, "headings": self.headings, "labels": self.labels, "levels": self.levels}
        named |= {"percent_of": self.percent_of or ()}
        named |= {"curves": tuple(self.curves.model_dump().values()) if self.curves else ()}
        named |= {f"reference.{part}": getattr(rule, part) for rule in self.reference for part in ("of", "against")}
        for key, factors in named.items():
            if strange := [factor for factor in factors if factor not in self.factors]:
                raise ValueError(
                    f"{key}: {strange[0]} is no factor of this table; its factors are {', '.join(self.factors)}"
                )

    def _told_apart(self) -> None:
        """Refuse names and labels under which two things would be one, and levels that are no numbers but should be."""
        if twice := [factor for factor in self.factors if self.factors.count(factor) > 1]:
            raise ValueError(f"factors: {twice[0]} is there twice")
        if taken := [factor for factor in self.factors if factor in TAKEN]:
            raise ValueError(f"factors: {taken[0]} is a column of every table: choose another name")
        for factor, labels in self.labels.items():
            shown = [labels.get(level, level) for level in dict.fromkeys(row.row[factor] for row in self.rows)]
            if twice := [label for label in shown if shown.count(label) > 1]:
                raise ValueError(f"labels.{factor}: two levels are both written {twice[0]!r}")
        if self.curves and not self.reference:
            raise ValueError(
                "curves: they are of the error relative to each row's reference, and this table has no reference"
            )
        if self.curves:
            self._numbers("curves.along", self.curves.along, self.rows)

    def _numbers(self, key: str, factor: str, rows: Iterable[TableRow]) -> None:
        for level in (row.row[factor] for row in rows):
            if level != "each" and not _is_number(level):  # `each` stands for the sizes of a study's `scaling`
                raise ValueError(f"{key}: {factor} has the level {level!r}, which is no number")

    def check_claim(self, claim: Claim) -> None:
        """Raise UserError for a claim about missing rows or columns; columns left to the default are not known yet."""
        columns = {(column.dataset, column.metric) for column in self.columns}
        if self.average:
            columns |= {(AVERAGE, metric) for metric in self.metrics}
        for comparison in claim.comparisons:
            if strange := [row for row in (*comparison.rows, *comparison.others) if not self._rows_with(row)]:
                raise UserError(f"claim {claim.id}: {self.key} has no row {strange[0]}")
            for metric in filter(None, (comparison.metric, comparison.other_metric)):
                known = {(name, metric) for name, _ in columns} if metric in MEASURED else columns
                if columns and (strange := [name for name in comparison.datasets if (name, metric) not in known]):
                    raise UserError(f"claim {claim.id}: {self.key} has no column {strange[0]}, {metric}")
            if comparison.along not in (None, *self.factors):
                raise UserError(f"claim {claim.id}: {self.key} has no factor {comparison.along}")
            for levels in (*comparison.rows, *comparison.others):
                ends = [factor for factor, level in levels.items() if level in ENDS]
                for factor in (*ends, *filter(None, [comparison.along])):
                    self._numbers(f"claim {claim.id}", factor, self._rows_with(levels))

    def _rows_with(self, levels: Mapping[str, str]) -> list[TableRow]:
        """The rows with these levels; the ends of a factor are not looked at."""
        named = {factor: level for factor, level in levels.items() if level not in ENDS}
        return [row for row in self.rows if levels.keys() <= row.row.keys() and named.items() <= row.row.items()]

    @property
    def printed_rows(self) -> tuple[TableRow, ...]:
        """The rows that are in print."""
        return tuple(row for row in self.rows if row.values)

    @property
    def row_factors(self) -> tuple[str, ...]:
        """The factors that tell the rows of one block apart."""
        return tuple(factor for factor in self.factors if factor not in self.block)

    @property
    def name(self) -> str:
        """What it is called, e.g. `Table 1` or `Fig. 7`; `Table lambda` for a table of one's own."""
        return self.printed_as or f"Table {self.number or self.key}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it prints, in the order of its columns."""
        return tuple(dict.fromkeys(column.metric for column in self.columns))

    @property
    def datasets(self) -> tuple[str, ...]:
        """The benchmarks it prints, in the order of its columns."""
        return tuple(dict.fromkeys(column.dataset for column in self.columns))

    def reference_of(self, factors: Mapping[str, str]) -> dict[str, str] | None:
        """The factors of the row that one with these factors is compared with, or None; no row is its own reference."""
        for rule in self.reference:
            if rule.of.items() <= factors.items():
                reference = {**factors, **rule.against}
                return None if reference == dict(factors) else reference
        return None

    def heading(self, factor: str) -> str:
        """What a factor's column is called."""
        return self.headings.get(factor, factor)

    def label(self, factor: str, level: str) -> str:
        """How a level is written."""
        return self.labels.get(factor, {}).get(level, level)

    def numbers(self) -> Iterator[Printed]:
        """Every printed number, in the order of print; dashes are left out."""
        for row in self.printed_rows:
            percentages = row.percent or (None,) * len(self.columns)
            for column, value, percent in zip(self.columns, row.values, percentages, strict=True):
                if value is not None:
                    notes = tuple(note for note, datasets in row.notes.items() if column.dataset in datasets)
                    yield Printed(self.key, row.row, column.dataset, column.metric, value, percent, notes)

    def printed(self, row: Mapping[str, str], dataset: str, metric: str) -> Printed | None:
        """The number printed for these factors in this column, or None."""
        wanted = (dict(row), dataset, metric)
        return next(
            (number for number in self.numbers() if (number.row, number.dataset, number.metric) == wanted), None
        )
