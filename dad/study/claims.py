"""What the paper says about its tables (`claims.yaml`), as comparisons between rows that our cells can be asked."""

import functools
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dad.study.base import Frozen, parse_model, read_yaml
from dad.study.paper import AVERAGE, PaperTable, paper

FILE = Path(__file__).with_name("claims.yaml")
ENDS = ("largest", "smallest")
"""Levels that stand for the ends of a factor that is a number."""


class Comparison(Frozen):
    """Each of `rows` against each of `others`, on each of `datasets`.

    A row is named by its factors. One that leaves a factor out stands for every row with the levels it gives; where both sides
    leave the same factor out, rows are compared at equal levels of it. `largest` and `smallest` are levels of a factor that is a
    number.
    """

    relation: Literal["better", "close", "trend"]
    """`better`: each of `rows` is better than each of `others`; `close`: they differ little; `trend`: along a factor that is a
    number, `rows` get better, or, with `others`, get farther ahead of them."""
    rows: Annotated[tuple[dict[str, str], ...], Field(min_length=1)]
    others: tuple[dict[str, str], ...] = ()
    """Empty only for a trend of `rows` by themselves."""
    datasets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Columns of the paper's table, or `average`."""
    metric: str = "abs_rel"
    factor: Annotated[float, Field(ge=1)] = 1.0
    """`better`: of the two values, the larger is at least this many times the smaller."""
    margin: Annotated[float, Field(gt=0)] | None = None
    """`close`: the largest difference, as a share of the value of `rows`."""
    along: str | None = None
    """`trend`: the factor along which it goes."""

    @model_validator(mode="after")
    def _fits_relation(self) -> "Comparison":
        if (self.relation == "close") != (self.margin is not None):
            raise ValueError("margin belongs to relation: close, and only to it")
        if (self.relation == "trend") != (self.along is not None):
            raise ValueError("along belongs to relation: trend, and only to it")
        if self.relation != "better" and self.factor != 1.0:
            raise ValueError("factor belongs to relation: better")
        if self.relation == "trend" and (len(self.rows) != 1 or len(self.others) > 1):
            raise ValueError("a trend is of one series of rows, against one or none")
        if self.relation != "trend" and not self.others:
            raise ValueError(f"relation: {self.relation} needs others")
        return self


class Claim(Frozen):
    """One statement of the paper. It holds when all its comparisons do."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    table: str
    text: str
    source: str
    """Where the paper says so."""
    notes: tuple[str, ...] = ()
    """Notes of `paper.yaml` that bear on the statement, above all where the printed numbers contradict it."""
    headline: bool = False
    """Told in words of its own above the list."""
    comparisons: Annotated[tuple[Comparison, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_the_table(self) -> "Claim":
        table = paper().table(self.table)
        columns = {(column.dataset, column.metric) for column in table.columns}
        if table.average:
            columns |= {(AVERAGE, metric) for metric in table.metrics}
        for comparison in self.comparisons:
            if strange := [row for row in (*comparison.rows, *comparison.others) if not _in_table(table, row)]:
                raise ValueError(f"{self.id}: {self.table} has no row {strange[0]}")
            if strange := [name for name in comparison.datasets if (name, comparison.metric) not in columns]:
                raise ValueError(f"{self.id}: {self.table} has no column {strange[0]}, {comparison.metric}")
            if comparison.along not in (None, *table.factors):
                raise ValueError(f"{self.id}: {self.table} has no factor {comparison.along}")
        if unknown := [note for note in self.notes if note not in paper().notes]:
            raise ValueError(f"{self.id}: unknown note {unknown[0]}")
        return self


def _in_table(table: PaperTable, row: dict[str, str]) -> bool:
    """Whether a table can have a row with these levels: one that is printed, or one of ours with a label of its own."""
    named = {factor: level for factor, level in row.items() if level not in ENDS}
    if any(named.items() <= printed.row.items() for printed in table.rows):
        return True
    own = len(table.factors) == 1 or not table.rows
    return own and all(level in table.labels.get(factor, {}) for factor, level in named.items())


class Claims(Frozen):
    """All claims, in the order in which they are reported."""

    claims: tuple[Claim, ...]

    @model_validator(mode="after")
    def _distinct(self) -> "Claims":
        ids = [claim.id for claim in self.claims]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"claims with the same id: {', '.join(twice)}")
        return self


@functools.cache
def claims(table: str | None = None) -> tuple[Claim, ...]:
    """The claims as shipped in the package, about one table or about all."""
    known = parse_model(Claims, read_yaml(FILE), source=FILE.name).claims
    return tuple(claim for claim in known if table in (None, claim.table))
