"""All tables: the paper's (a YAML file each in this folder), a study's own, and those of the library beside it."""

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dad.errors import UserError
from dad.study.base import parse_model, read_yaml
from dad.study.folder import shipped
from dad.study.paper import paper
from dad.study.table import ABLATION, ZERO_SHOT, Table, TableColumn

if TYPE_CHECKING:
    from dad.study.config import StudyConfig

__all__ = ["ABLATION", "ZERO_SHOT", "known_tables", "library", "library_beside", "seeds_of", "table_names", "table_of"]

SHIPPED = shipped() / "config" / "tables"
"""The library that ships with the package, for a study that names none."""
RESERVED = ("all", "claims", "discrepancies", "index", "page", "report", "tracked")
"""Names of other files of a report."""


def table_names(study: "StudyConfig") -> tuple[str, ...]:
    """The tables that a study makes: the paper's, in its order, then its own. Raises UserError for a taken name."""
    for name in study.tables:
        _check_name(name, f"study {study.name}: tables.{name}")
    return (*paper().tables, *study.tables)


def library(study: "StudyConfig") -> dict[str, Path]:
    """The files of the library that have no table of the study's in their place, by name."""
    folder = Path(study.library) if study.library else SHIPPED
    files = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    for name, path in files.items():
        _check_name(name, str(path))
    return {name: path for name, path in files.items() if name not in study.tables}


def library_beside(files: Iterable[str | Path]) -> dict[str, str]:
    """The key `library` of a study read from these files: the folder `tables` beside the last with one, or empty."""
    folders = [folder for file in files if (folder := Path(file).parent / "tables").is_dir()]
    return {"library": str(folders[-1])} if folders and folders[-1].resolve() != SHIPPED else {}


def known_tables(study: "StudyConfig") -> tuple[str, ...]:
    """The tables that can be asked for: those that a study makes, and the library's."""
    return (*table_names(study), *library(study))


def table_of(study: "StudyConfig", name: str) -> Table:
    """A table by its name. Raises UserError for an unknown one, and for mistakes in it."""
    if name in paper().tables:
        return paper().tables[name]
    if name in study.tables:
        return _completed(study.tables[name], f"study {study.name}: tables.{name}")
    path = library(study).get(name)
    if path is None:
        raise UserError(f"unknown table {name!r}; known: {', '.join(known_tables(study))}")
    return _read(path, path.stat().st_mtime_ns)


def seeds_of(study: "StudyConfig", name: str) -> tuple[int, ...]:
    """The seeds with which a table's rows are trained: those that the study gives it, its own, or else the study's."""
    return study.table_seeds.get(name) or table_of(study, name).seeds or study.seeds


@functools.lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> Table:
    """A table's file, read again once it has changed."""
    return _completed(parse_model(Table, read_yaml(path) | {"key": path.stem}, source=str(path)), str(path))


def _completed(table: Table, source: str) -> Table:
    """A table of one's own with the columns and groups it leaves to the defaults, checked against the paper's names."""
    known = paper()
    if table.columns:
        known.check(table, source)
        groups = table.groups or tuple(dict.fromkeys(known.group(column.dataset) for column in table.columns))
        return table.model_copy(update={"groups": groups})
    groups = table.groups or (ABLATION,)
    datasets = [name for name in (*known.ablation, *known.datasets) if known.group(name) in groups]
    columns = tuple(TableColumn(dataset=name, metric="abs_rel") for name in dict.fromkeys(datasets))
    table = table.model_copy(update={"groups": groups, "columns": columns})
    known.check(table, source)
    for claim in table.claims:
        table.check_claim(claim)
    return table


def _check_name(name: str, source: str) -> None:
    if name in paper().tables:
        raise UserError(
            f"{source}: {name} is a table of the paper; those are {', '.join(paper().tables)}: choose another name"
        )
    if name in RESERVED or re.fullmatch(r"fig\d+", name):
        raise UserError(f"{source}: {name} is the name of another file of the report: choose another name")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise UserError(
            f"{source}: {name!r} is no name for files; take small letters, digits and dashes, a letter first"
        )
