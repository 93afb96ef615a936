"""What is said about a table (`claims` in its file), as comparisons between rows that our cells can be asked."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dad.study.base import Frozen

MEASURED = ("boundary_f1", "edge_abs_rel", "centre_local_abs_rel", "centre_global_abs_rel")
"""What is measured of each image beside the metrics tables print; a claim can ask for it on any data set of a table."""
ENDS = ("largest", "smallest")
"""Levels that stand for the ends of a factor that is a number."""


class Comparison(Frozen):
    """Each of `rows` against each of `others`, on each of `datasets`.

    A row is named by its factors. One that leaves a factor out stands for every row with the levels it gives; where
    both sides leave the same factor out, rows are compared at equal levels of it. `largest` and `smallest` are levels
    of a factor that is a number.
    """

    relation: Literal["better", "close", "trend", "narrower"]
    """`better`: each of `rows` is better than each of `others`; `close`: they differ little; `trend`: along a factor
    that is a number, `rows` get better, or, with `others`, get farther ahead of them; `narrower`: of two rows each, the
    first of `rows` is less far ahead of the second than the first of `others` is of theirs.
    """
    rows: Annotated[tuple[dict[str, str], ...], Field(min_length=1)]
    others: tuple[dict[str, str], ...] = ()
    """Empty only for a trend of `rows` by themselves."""
    datasets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Columns of the table, or `average`."""
    metric: str = "abs_rel"
    other_metric: str | None = None
    """`better`: what `others` are measured by, if another metric of the same unit, e.g. after another alignment."""
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
        if self.relation == "narrower" and (len(self.rows), len(self.others)) != (2, 2):
            raise ValueError("relation: narrower is of two rows against two others")
        if self.other_metric is not None and self.relation != "better":
            raise ValueError("other_metric belongs to relation: better")
        return self


class Claim(Frozen):
    """One statement about a table. It holds when all its comparisons do, or most of them."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    table: str
    """Name of the table, from the file it stands in."""
    text: str
    source: str = "the table's author"
    """Where the paper says so."""
    notes: tuple[str, ...] = ()
    """Notes of `paper.yaml` that bear on the statement, above all where the printed numbers contradict it."""
    headline: bool = False
    """Told in words of its own above the list."""
    holds: Literal["all", "most"] = "all"
    """How many of its comparisons have to hold; `most`: more than half of those that can be made."""
    comparisons: Annotated[tuple[Comparison, ...], Field(min_length=1)]


def distinct(claims: Iterable[Claim]) -> None:
    """Raise ValueError if two claims have the same id."""
    ids = [claim.id for claim in claims]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise ValueError(f"claims with the same id: {', '.join(twice)}")


def claims(table: str | None = None) -> tuple[Claim, ...]:
    """The paper's claims about one of its tables or about all, in the order in which they are reported."""
    from dad.study.paper import paper  # its tables hold claims

    return tuple(claim for layout in paper().tables.values() for claim in layout.claims if table in (None, claim.table))
