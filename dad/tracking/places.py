"""Which experiments there are, one a table, and where in them a cell or a model stands."""

from collections.abc import Iterable
from pathlib import Path

from dad.errors import UserError
from dad.study.cells import Row, table_rows
from dad.study.config import StudyConfig
from dad.study.tables import known_tables, table_names


def chosen_tables(study: StudyConfig, names: Iterable[str], reports: Path | None = None) -> tuple[str, ...]:
    """The named tables in the study's order; for none those that the study makes, and those of the library that were
    rendered.

    Raises UserError for an unknown one.
    """
    names, known = tuple(names), known_tables(study)
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"unknown table {unknown[0]!r}; known: {', '.join(known)}")
    made = table_names(study)
    rendered = [
        table for table in known if table in made or (reports is not None and (reports / f"{table}.csv").is_file())
    ]
    return tuple(table for table in known if table in (names or rendered))


def tables_by_cell(study: StudyConfig, tables: Iterable[str] | None = None) -> dict[str, tuple[Row, ...]]:
    """Each subject (a cell, or a model scored as is) by id with the rows it fills: the first of each of these tables,
    by default of those that the study makes.
    """
    places: dict[str, dict[str, Row]] = {}
    for table in table_names(study) if tables is None else tables:
        for row in table_rows(study, table):
            for subject in row.subjects:
                places.setdefault(subject, {}).setdefault(table, row)
    return {subject: tuple(found.values()) for subject, found in places.items()}
