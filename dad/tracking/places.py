"""Where in a study's tables a cell or a model stands; each table is an experiment of its own."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dad.errors import UserError
from dad.study.cells import table_rows
from dad.study.config import StudyConfig
from dad.study.tables import known_tables, table_names, table_of


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


def chosen_tables(study: StudyConfig, names: Iterable[str], reports: Path | None = None) -> tuple[str, ...]:
    """The named tables in the study's order; for none those that the study makes, and those of the library that were rendered.

    Raises UserError for an unknown one.
    """
    names, known = tuple(names), known_tables(study)
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"unknown table {unknown[0]!r}; known: {', '.join(known)}")
    made = table_names(study)
    rendered = [table for table in known if table in made or (reports is not None and (reports / f"{table}.csv").is_file())]
    return tuple(table for table in known if table in (names or rendered))


def table_places(study: StudyConfig, table: str) -> dict[str, Place]:
    """Where each subject of a table (a cell, or a model scored as it is) stands, by id; the first row of those it fills."""
    places: dict[str, Place] = {}
    for row in table_rows(study, table):
        for subject in row.subjects:
            places.setdefault(subject, Place(table, table_title(study, table), row.name, dict(row.factors), row.model))
    return places


def tables_by_cell(study: StudyConfig, tables: Iterable[str] | None = None) -> dict[str, tuple[Place, ...]]:
    """For each cell (and each model scored as it is) by id, where it stands in these tables; default: those the study makes."""
    places: dict[str, list[Place]] = {}
    for table in table_names(study) if tables is None else tables:
        for subject, place in table_places(study, table).items():
            places.setdefault(subject, []).append(place)
    return {subject: tuple(found) for subject, found in places.items()}
