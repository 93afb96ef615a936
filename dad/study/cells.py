"""From a study to its cells: which students each table needs, under which ids, and which pseudo-labels they share.

A table is a list of rows; a row has one cell per seed. Equal cells of different tables have equal ids and are trained
once.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dad.errors import UserError
from dad.files import sha256_json
from dad.models.locate import use_files
from dad.models.plugins import NO_SKILL
from dad.reading import parse_mapping
from dad.study.base import did_you_mean, identity, parse_model, read_yaml
from dad.study.changes import EACH, Impossible, cell_fields, make_cell, no_field, scored_model
from dad.study.config import Cell, LabelPlan, StudyConfig
from dad.study.modes import views, weights
from dad.study.paper import paper
from dad.study.table import ABLATION, Table, TableRow, row_name
from dad.study.tables import known_tables, library_beside, seeds_of, table_names, table_of

Role = Literal["row", "teacher", "source", "no-skill"]
BESIDE: tuple[Role, ...] = ("teacher", "source", "no-skill")
"""What is shown above the rows of a table: the teachers of its students, the networks these start from as they are
shipped, and estimators without skill. A number between the last and the first has a floor and a ceiling.
"""


@dataclass(frozen=True)
class Row:
    """A table row: its factors, and its cells by id (one per seed), a model scored as is, or the reason for neither."""

    table: str
    factors: dict[str, str]
    cells: dict[str, Cell]
    reason: str | None = None
    model: str | None = None
    role: Role = "row"
    """What it is to the table: a row of it, or a model that is shown above the rows for comparison."""

    @property
    def name(self) -> str:
        """Readable slug of the factors, e.g. `shared-hybrid`."""
        return row_name(self.factors)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Ids of what is scored in this row: its cells, or its model."""
        return (model_id(self.model),) if self.model else tuple(self.cells)


def cell_id(cell: Cell) -> str:
    """Readable slug and 8 hex digits of the config's hash."""
    digest = sha256_json(identity(cell))[:8]
    teachers = model_slug(cell.teacher) + (
        f"+{model_slug(cell.assistant.model)}-{cell.supervision}" if cell.assistant else ""
    )
    count = f"-n{cell.photos.count}" if cell.photos.count else ""
    return (
        f"{cell.mode}-{cell.normalization}-{teachers}-to-{model_slug(cell.student.model)}{count}-s{cell.seed}-{digest}"
    )


def model_id(model: str) -> str:
    """Id of a model scored as is: `model-` and a readable slug, with a hash where the slug does not tell everything."""
    slug = model_slug(model)
    return f"model-{slug}" if model == f"zoo/{slug}" or model == slug else f"model-{slug}-{sha256_json(model)[:8]}"


def model_slug(model: str) -> str:
    """The last part of a model's name or path, fit for a file name."""
    return (
        re.sub(r"[^A-Za-z0-9.]+", "-", model.rstrip("/").rsplit("/", 1)[-1].removesuffix(".safetensors")).strip("-.")
        or "model"
    )


def loss_terms(cell: Cell) -> dict[str, float]:
    """The terms of eq. 9 this cell trains with, and their weights; a term of weight 0 is left out."""
    return weights(cell.mode, cell.loss)


def load_study(source: str) -> StudyConfig:
    """Read and validate a study with its tables: a YAML file, or JSON text (how the workflow hands its configuration
    on).

    The library of a file is the folder `tables` beside it, where there is one. From then on the study's `weights` say
    what models' names stand for in this process.
    """
    if source.lstrip().startswith("{"):
        study = parse_model(StudyConfig, parse_mapping(source, source="study"), source="study")
    else:
        study = parse_model(StudyConfig, library_beside([source]) | read_yaml(source), source=source)
    check_tables(study)
    use_files(study.weights)
    return study


def check_tables(study: StudyConfig) -> None:
    """Raise UserError for the first mistake in the study's own tables; the library's are looked at when asked for."""
    known = known_tables(study)
    for key, tables in (("changes", study.changes), ("table_seeds", study.table_seeds)):
        if unknown := [table for table in tables if table not in known]:
            near = did_you_mean(unknown[0], known)
            raise UserError(f"{key}: there is no table {unknown[0]!r}{near}; the tables are {', '.join(known)}")
    for table in table_names(study):
        if table in study.tables or table in study.changes:
            table_rows(study, table)


def table_rows(study: StudyConfig, table: str) -> list[Row]:
    """The rows of a table, in its order. Raises UserError for an unknown table, and for mistakes in it."""
    layout = table_of(study, table)
    source = f"table {table}" if layout.number is None else layout.name
    _check_estimators(study, layout)
    rows = [_row(study, layout, row, source) for row in _each_size(study, layout)]
    if layout.number is None and not any(row.subjects or row.reason for row in rows):
        raise UserError(f"{source} has no rows in study {study.name}: its scaling names no sizes")
    return rows


def _each_size(study: StudyConfig, layout: Table) -> Iterator[TableRow]:
    """The rows of a table, those with `each` for every size of the study's `scaling`."""
    for row in layout.rows:
        factor = next((name for name in ("photos", "photos.count") if row.row.get(name) == EACH), None)
        if factor is None:
            yield row
        else:
            yield from (row.model_copy(update={"row": row.row | {factor: str(count)}}) for count in study.scaling)


def _row(study: StudyConfig, layout: Table, row: TableRow, source: str) -> Row:
    """One row with what stands in it, or the reason for nothing."""
    try:
        if row.score:
            return Row(layout.key, row.row, {}, model=scored_model(study, row.score, row.name, source))
        changes = study.changes.get(layout.key, {}) | _changes(layout, row, source)
        made = [make_cell(study, changes, seed, source) for seed in seeds_of(study, layout.key)]
    except Impossible as reason:
        return Row(layout.key, row.row, {}, reason=str(reason))
    return Row(layout.key, row.row, {cell_id(cell): cell for cell in made})


def _changes(layout: Table, row: TableRow, source: str) -> dict[str, Any]:
    """What a row changes in the study's plain student: what all rows do, what its levels do and what it does itself."""
    changes = dict(layout.base)
    for factor, level in row.row.items():
        known = layout.levels.get(factor, {})
        if level in known:
            changes |= known[level]
        elif factor in cell_fields():
            changes[factor] = level
        elif row.train is None:
            if known:
                raise UserError(f"{source}: levels.{factor} has no {level}; it has {', '.join(known)}")
            raise UserError(f"{source}: {no_field(factor)}, and levels says nothing of it")
    return changes | (row.train or {})


def _check_estimators(study: StudyConfig, layout: Table) -> None:
    """The estimators of a study are rows of the paper's tables; another name would be scored nowhere."""
    rows = [row.name for row in layout.rows if "estimator" in row.score]
    if layout.number is not None and rows and (unknown := sorted(study.estimators.keys() - set(rows))):
        raise UserError(f"estimators: {layout.name} has no method {unknown[0]!r}; it has {', '.join(rows)}")


def all_cells(study: StudyConfig, tables: Iterable[str] | None = None) -> dict[str, Cell]:
    """Every cell of these tables by id; by default of those the study makes (`known_tables` also has the library's)."""
    names = table_names(study) if tables is None else tables
    return {name: cell for table in names for row in table_rows(study, table) for name, cell in row.cells.items()}


def all_models(study: StudyConfig, tables: Iterable[str] | None = None) -> dict[str, str]:
    """Every model that these tables score as is, those above the rows among them, by id."""
    names = table_names(study) if tables is None else tables
    rows = [row for table in names for row in (*table_rows(study, table), *beside_rows(study, table))]
    return {model_id(row.model): row.model for row in rows if row.model}


def teacher_rows(study: StudyConfig, table: str) -> tuple[Row, ...]:
    """The teachers of a table's students that have no row in it, as rows of their own."""
    return tuple(row for row in beside_rows(study, table) if row.role == "teacher")


def beside_rows(study: StudyConfig, table: str) -> tuple[Row, ...]:
    """What is shown above a table's rows for comparison (`BESIDE`), as rows of their own; a model that has a row is
    left out.

    A student that starts at random has no source, and neither has one that starts from a teacher that is shown.
    """
    rows = table_rows(study, table)
    cells = [cell for row in rows for cell in row.cells.values()]
    models: dict[Role, list[str]] = {
        "teacher": [cell.teacher for cell in cells] or [study.teacher],
        "source": [cell.student.model for cell in cells if cell.student.init != "none"],
        "no-skill": list(NO_SKILL),
    }
    shown = {row.model for row in rows}
    found = []
    for role in BESIDE:
        for name in models[role]:
            if name not in shown:
                shown.add(name)
                found.append(Row(table, {role: model_id(name)}, {}, model=name, role=role))
    return tuple(found)


def dataset_group(study: StudyConfig, dataset: str) -> str:
    """The group of one of the study's data sets: that of the paper's column it takes, else (samples) the ablations'."""
    benchmark = next(one for one in study.scored if one.dataset == dataset)
    column = benchmark.stands_for or paper().dataset_name(dataset)
    return ABLATION if column is None else paper().group(column)


def study_groups(study: StudyConfig, table: str) -> tuple[str, ...]:
    """The groups of benchmarks that a table reports and the study has data sets of."""
    groups = {dataset_group(study, benchmark.dataset) for benchmark in study.scored}
    return tuple(group for group in table_of(study, table).groups if group in groups)


_LISTED = 12
"""Cells named one by one in a message."""


def find_cell(study: StudyConfig, name: str) -> Cell:
    """The cell with this id; an unambiguous beginning of it is enough. Raises UserError otherwise.

    The library's tables are searched where none of the study's has such a cell.
    """
    for tables in (table_names(study), known_tables(study)):
        cells = all_cells(study, tables)
        matches = [name] if name in cells else [full for full in cells if full.startswith(name)]
        if matches:
            break
    if len(matches) != 1:
        if matches:
            listed = ", ".join(matches[:_LISTED]) + (
                f" and {len(matches) - _LISTED} more" if len(matches) > _LISTED else ""
            )
            raise UserError(f"{len(matches)} cells begin with {name!r} in study {study.name}: {listed}")
        near = did_you_mean(name, [begun for full in cells for begun in (full, "-".join(full.split("-")[:2]))])
        raise UserError(f"no cell {name!r} in study {study.name}; `dad matrix` lists the ids{near}")
    return cells[matches[0]]


def load_cell(source: str, study: str | None) -> Cell:
    """A cell from JSON text, from a resolved config file (`config.json` of a run), or by id from a study."""
    if source.lstrip().startswith("{"):
        return parse_model(Cell, parse_mapping(source, source="cell"), source="cell")
    if Path(source).is_file():
        return parse_model(Cell, read_yaml(source), source=source)
    if study is None:
        raise UserError(
            f"cell {source!r} is neither a config file nor JSON: to name it by id, give its study with --config"
        )
    return find_cell(load_study(study), source)


def label_views(cell: Cell) -> tuple[str, ...]:
    """Which views of a crop need labels: those that a term of the cell's loss compares."""
    return views(cell.mode, cell.loss)


def label_id(plan: LabelPlan) -> str:
    """Folder name of a label cache (one sub-folder per view)."""
    return f"{model_slug(plan.teacher)}-s{plan.seed}-{sha256_json(identity(plan))[:8]}"
