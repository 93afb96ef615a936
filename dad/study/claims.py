"""What the paper says about its tables (`claims.yaml`), as comparisons between rows that our cells can be asked."""

import functools
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dad.study.base import Frozen, parse_model, read_yaml
from dad.study.paper import paper

FILE = Path(__file__).with_name("claims.yaml")


class Comparison(Frozen):
    """Each of `rows` against each of `others`, on each of `datasets`."""

    relation: Literal["better", "close"]
    rows: Annotated[tuple[dict[str, str], ...], Field(min_length=1)]
    others: Annotated[tuple[dict[str, str], ...], Field(min_length=1)]
    datasets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Columns of the paper's table."""
    metric: str = "abs_rel"
    factor: Annotated[float, Field(ge=1)] = 1.0
    """`better`: of the two values, the larger is at least this many times the smaller."""
    margin: Annotated[float, Field(gt=0)] | None = None
    """`close`: the largest difference, as a share of the value of `rows`."""

    @model_validator(mode="after")
    def _fits_relation(self) -> "Comparison":
        if (self.relation == "close") != (self.margin is not None):
            raise ValueError("margin belongs to relation: close, and only to it")
        if self.relation == "close" and self.factor != 1.0:
            raise ValueError("factor belongs to relation: better")
        return self


class Claim(Frozen):
    """One statement of the paper. It holds when all its comparisons do."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    table: str
    text: str
    source: str
    """Where the paper says so."""
    headline: bool = False
    """Told in words of its own above the list."""
    comparisons: Annotated[tuple[Comparison, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_the_table(self) -> "Claim":
        table = paper().table(self.table)
        rows = [row.row for row in table.rows]
        columns = [(column.dataset, column.metric) for column in table.columns]
        for comparison in self.comparisons:
            if strange := [row for row in (*comparison.rows, *comparison.others) if row not in rows]:
                raise ValueError(f"{self.id}: {self.table} has no row {strange[0]}")
            if strange := [name for name in comparison.datasets if (name, comparison.metric) not in columns]:
                raise ValueError(f"{self.id}: {self.table} has no column {strange[0]}, {comparison.metric}")
        return self


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
