"""Where in a study's tables a cell or a model stands; each table is an experiment of its own."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dad.errors import UserError
from dad.study.cells import TABLES, table_rows
from dad.study.config import StudyConfig
from dad.study.tables import table_of


@dataclass(frozen=True)
class Place:
    """A row of a table. `table` and `title` name it, e.g. `table1` and `Table 1: Analysis of Normalization Strategies`."""

    table: str
    title: str
    row: str
    factors: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    """The model that stands there as it is, instead of a student."""


def experiment_name(study: str, table: str | None) -> str:
    """The experiment of a table, or the study's own for cells of which no table is known."""
    return f"{study}/{table}" if table else study


def table_title(study: StudyConfig, table: str) -> str:
    """What a table is called, and its title."""
    layout = table_of(study, table)
    return f"{layout.name}: {layout.title}"


def chosen_tables(names: Iterable[str]) -> tuple[str, ...]:
    """The named tables in the paper's order, all for none; raises UserError for an unknown one."""
    names = tuple(names)
    if unknown := [name for name in names if name not in TABLES]:
        raise UserError(f"unknown table {unknown[0]!r}; known: {', '.join(TABLES)}")
    return tuple(table for table in TABLES if table in names or not names)


def table_places(study: StudyConfig, table: str) -> dict[str, Place]:
    """Where each subject of a table (a cell, or a model scored as it is) stands, by id; the first row of those it fills."""
    places: dict[str, Place] = {}
    for row in table_rows(study, table):
        for subject in row.subjects:
            places.setdefault(subject, Place(table, table_title(study, table), row.name, dict(row.factors), row.model))
    return places


def tables_by_cell(study: StudyConfig) -> dict[str, tuple[Place, ...]]:
    """For each cell (and each model scored as it is) of a study by id, where it stands, in the order of the paper's tables."""
    places: dict[str, list[Place]] = {}
    for table in TABLES:
        for subject, place in table_places(study, table).items():
            places.setdefault(subject, []).append(place)
    return {subject: tuple(found) for subject, found in places.items()}
