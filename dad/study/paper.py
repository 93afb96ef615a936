"""The paper: its tables with every number printed in them (`tables/*.yaml`), and what is common to them (`paper.yaml`).

The printed numbers are shown beside ours and never subtracted from them: another benchmark, protocol or scale is not a
difference of methods.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dad.errors import UserError
from dad.study.base import Frozen, parse_model, read_yaml
from dad.study.claims import MEASURED, distinct
from dad.study.table import ABLATION, AVERAGE, ZERO_SHOT, Printed, Table

__all__ = ["AVERAGE", "Metric", "Note", "Paper", "Printed", "Table", "paper"]

FILE = Path(__file__).with_name("paper.yaml")
FOLDER = Path(__file__).with_name("tables")


class Metric(Frozen):
    """How a metric is written and which direction is better."""

    label: str
    better: Literal["lower", "higher"]
    floor: float = 0.0
    """Where two values both lie below it, the metric has nothing to say about them."""

    @property
    def arrow(self) -> str:
        """The label with the paper's arrow, e.g. `AbsRel↓`."""
        return self.label + ("↓" if self.better == "lower" else "↑")


class Note(Frozen):
    """What is known about printed numbers beyond the table itself."""

    text: str
    evidence: Literal["paper", "upstream", "reported", "recalled"]
    """`paper`: follows from the paper alone; `upstream`: read in a public repository; `reported`: by a third party,
    named; `recalled`: from another paper, not looked up again.
    """
    between: Literal["paper", "configs", "publications", "upstream", "open"]
    """Where the discrepancy lies: within the paper; between it and its released configs, the publications it takes
    numbers from, or the code it builds on; `open`: what the paper does not say.
    """
    choice: str | None = None
    """What is done about it here."""
    foreign: bool = False
    """The numbers it is about follow another protocol than the paper's own, or there is good reason to think so."""


class Paper(Frozen):
    """The paper's tables, and what they share."""

    title: str
    source: str
    decimals: Annotated[int, Field(ge=0)]
    """Digits after the point of every printed value."""
    noise_floor: Annotated[float, Field(gt=0)]
    """How far apart the paper prints one and the same cell: smaller gaps in print show no ordering."""
    datasets: tuple[str, ...]
    ablation: tuple[str, ...]
    """The data sets that Tables 1 to 4 report."""
    metrics: dict[str, Metric]
    """Those that it prints, which tables report."""
    measured: dict[str, Metric] = Field(default_factory=dict)
    """Further ones that are measured of every image, for claims."""
    notes: dict[str, Note]
    tables: dict[str, Table]

    @model_validator(mode="after")
    def _known_names(self) -> "Paper":
        if set(self.measured) != set(MEASURED):
            raise ValueError(f"measured must describe {', '.join(MEASURED)}")
        distinct(claim for table in self.tables.values() for claim in table.claims)
        for name, table in self.tables.items():
            self.check(table, name)
            for row in table.printed_rows:
                if missing := [
                    f"{factor}: {level}"
                    for factor, level in row.row.items()
                    if level not in table.labels.get(factor, {})
                ]:
                    raise ValueError(f"{name}: no label for {', '.join(missing)}")
        return self

    def check(self, table: Table, source: str) -> None:
        """Raise UserError for a table that names a data set, metric or note that is not there, and say which."""
        for column in table.columns:
            for key, name, known in (
                ("dataset", column.dataset, self.datasets),
                ("metric", column.metric, self.metrics),
            ):
                if name not in known:
                    raise UserError(f"{source}: columns: unknown {key} {name}; known: {', '.join(known)}")
        cited = [note for row in table.rows for note in row.notes] + [
            note for claim in table.claims for note in claim.notes
        ]
        if unknown := [note for note in cited if note not in self.notes]:
            raise UserError(f"{source}: unknown note {unknown[0]}")

    def metric(self, name: str) -> Metric:
        """A metric by its name, printed or not."""
        return self.metrics[name] if name in self.metrics else self.measured[name]

    def group(self, dataset: str) -> str:
        """The group of benchmarks that one of the paper's data sets is in."""
        return ABLATION if dataset in self.ablation else ZERO_SHOT

    def table(self, name: str) -> Table:
        """A table of the paper by its name (`table1`). Raises UserError for an unknown one."""
        if name not in self.tables:
            raise UserError(f"the paper has no {name!r}; its tables are {', '.join(self.tables)}")
        return self.tables[name]

    def numbers(self, table: str | None = None) -> Iterator[Printed]:
        """Every printed number of one table or all in print order, without dashes; none for a table not the paper's."""
        for name, layout in self.tables.items():
            if table in (None, name):
                yield from layout.numbers()

    def number(self, table: str, row: Mapping[str, str], dataset: str, metric: str) -> Printed | None:
        """The number printed for these factors in this column, or None where the paper prints none."""
        return self.tables[table].printed(row, dataset, metric) if table in self.tables else None

    def within_noise(self, first: float, second: float) -> bool:
        """Whether two printed values are no further apart than the paper prints one and the same cell."""
        return abs(first - second) <= self.noise_floor * (1 + 1e-6)

    def foreign(self, number: Printed) -> bool:
        """Whether a number is known, or with good reason suspected, to follow another protocol than the paper's own."""
        return any(self.notes[note].foreign for note in number.notes)

    def dataset_name(self, dataset: str) -> str | None:
        """The paper's spelling of a real benchmark's name (`eth3d` -> `ETH3D`), or None if it has no such benchmark."""
        return next((name for name in self.datasets if name.lower() == dataset.lower()), None)


@functools.cache
def paper() -> Paper:
    """The paper as shipped in the package, its tables in the order of their numbers."""
    tables = {path.stem: read_yaml(path) | {"key": path.stem} for path in sorted(FOLDER.glob("*.yaml"))}
    ordered = dict(sorted(tables.items(), key=lambda item: item[1].get("number", 0)))
    return parse_model(Paper, read_yaml(FILE) | {"tables": ordered}, source=FILE.name)
