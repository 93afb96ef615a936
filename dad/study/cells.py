"""From a study to its cells: which students each table needs, under which ids, and which pseudo-labels they share.

A table is a list of rows; a row has one cell per seed. Equal cells of different tables have equal ids and are trained once.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from dad.errors import UserError
from dad.files import sha256_json
from dad.study.base import parse_model, read_yaml
from dad.study.config import Cell, LabelPlan, StudyConfig
from dad.study.paper import paper
from dad.study.reading import parse_mapping
from dad.study.tables import ABLATION, TABLES, ZERO_SHOT, benchmark_groups, make_cell, table_specs


@dataclass(frozen=True)
class Row:
    """One row of a table: its factors, and its cells by id (one per seed), a model that is scored as it is, or the reason why there
    is neither.
    """

    table: str
    factors: dict[str, str]
    cells: dict[str, Cell]
    reason: str | None = None
    model: str | None = None

    @property
    def name(self) -> str:
        """Readable slug of the factors, e.g. `shared-hybrid`."""
        return "-".join(self.factors.values())

    @property
    def subjects(self) -> tuple[str, ...]:
        """Ids of what is scored in this row: its cells, or its model."""
        return (model_id(self.model),) if self.model else tuple(self.cells)


def cell_id(cell: Cell) -> str:
    """Readable slug and 8 hex digits of the config's hash."""
    digest = sha256_json(cell.model_dump(mode="json"))[:8]
    teachers = model_slug(cell.teacher) + (f"+{model_slug(cell.assistant.model)}-{cell.supervision}" if cell.assistant else "")
    count = f"-n{cell.photos.count}" if cell.photos.count else ""
    return f"{cell.mode}-{cell.normalization}-{teachers}-to-{model_slug(cell.student.model)}{count}-s{cell.seed}-{digest}"


def model_id(model: str) -> str:
    """Id of a model that is scored as it is: `model-` and a readable slug, with a hash where the slug does not tell everything."""
    slug = model_slug(model)
    return f"model-{slug}" if model == f"zoo/{slug}" or model == slug else f"model-{slug}-{sha256_json(model)[:8]}"


def model_slug(model: str) -> str:
    """The last part of a model's name or path, fit for a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", model.rstrip("/").rsplit("/", 1)[-1].removesuffix(".safetensors")).strip("-.") or "model"


def loss_terms(cell: Cell) -> dict[str, float]:
    """The terms of eq. 9 this cell trains with, and their weights; a term of weight 0 is left out.

    Gradient matching is taken on the maps that the distillation loss compares: the shared crop where the mode has one, else the
    patches.
    """
    loss = cell.loss
    terms = {
        "shared": 0.0 if cell.mode == "local-global" else 1.0,
        "local_global": loss.local_global if cell.mode in ("local-global", "cross") else 0.0,
        "feature": loss.feature,
        "gradient": loss.gradient,
    }
    return {name: weight for name, weight in terms.items() if weight > 0}


def load_study(source: str) -> StudyConfig:
    """Read and validate a study: a YAML file, or JSON text (how the workflow hands its merged configuration on)."""
    if source.lstrip().startswith("{"):
        return parse_model(StudyConfig, parse_mapping(source, source="study"), source="study")
    return parse_model(StudyConfig, read_yaml(source), source=source)


def table_rows(study: StudyConfig, table: str) -> list[Row]:
    """The rows of a table in the paper's order. Raises UserError for an unknown table."""
    rows = []
    for spec in table_specs(study, table):
        made = [make_cell(study, spec.changes, seed) for seed in study.seeds] if spec.changes else []
        rows.append(Row(table, spec.factors, {cell_id(cell): cell for cell in made}, spec.reason, spec.model))
    return rows


def all_cells(study: StudyConfig) -> dict[str, Cell]:
    """Every cell of every table by id."""
    return {name: cell for table in TABLES for row in table_rows(study, table) for name, cell in row.cells.items()}


def all_models(study: StudyConfig) -> dict[str, str]:
    """Every model that some table scores as it is, by id."""
    return {model_id(row.model): row.model for table in TABLES for row in table_rows(study, table) if row.model}


def teacher_rows(study: StudyConfig, table: str) -> tuple[Row, ...]:
    """The teachers of a table's students that have no row in it, as rows of their own; shown above the others for comparison."""
    rows = table_rows(study, table)
    shown, scored = {row.model for row in rows}, set(all_models(study).values())
    teachers = dict.fromkeys([cell.teacher for row in rows for cell in row.cells.values()] or [study.teacher])
    return tuple(
        Row(table, {"teacher": model_id(name)}, {}, model=name) for name in teachers if name in scored and name not in shown
    )


def dataset_group(study: StudyConfig, dataset: str) -> str:
    """The group of one of the study's data sets: that of the paper's column it takes, else (samples) the ablations'."""
    benchmark = next(one for one in study.scored if one.dataset == dataset)
    column = benchmark.stands_for or paper().dataset_name(dataset)
    ablated = {column.dataset for column in paper().table("table1").columns}
    return ABLATION if column is None or column in ablated else ZERO_SHOT


def study_groups(study: StudyConfig, table: str) -> tuple[str, ...]:
    """The groups of benchmarks that a table reports and the study has data sets of."""
    groups = {dataset_group(study, benchmark.dataset) for benchmark in study.scored}
    return tuple(group for group in benchmark_groups(table) if group in groups)


def find_cell(study: StudyConfig, name: str) -> Cell:
    """The cell with this id; an unambiguous beginning of it is enough. Raises UserError otherwise."""
    cells = all_cells(study)
    matches = [full for full in cells if full.startswith(name)]
    if name in cells:
        matches = [name]
    if len(matches) != 1:
        problem = f"{len(matches)} cells begin with {name!r}" if matches else f"no cell {name!r}"
        raise UserError(f"{problem} in study {study.name}; `dad matrix` lists the ids")
    return cells[matches[0]]


def load_cell(source: str, study: str | None) -> Cell:
    """A cell from JSON text, from a resolved config file (`config.json` of a run), or by id from a study."""
    if source.lstrip().startswith("{"):
        return parse_model(Cell, parse_mapping(source, source="cell"), source="cell")
    if Path(source).is_file():
        return parse_model(Cell, read_yaml(source), source=source)
    if study is None:
        raise UserError(f"cell {source!r} is neither a config file nor JSON: to name it by id, give its study with --config")
    return find_cell(load_study(study), source)


def label_views(cell: Cell) -> tuple[str, ...]:
    """Which views of a crop need labels in this cell's mode."""
    return {"baseline": ("square",), "shared": ("square",), "local-global": ("patches",), "cross": ("square", "patches")}[cell.mode]


def label_id(plan: LabelPlan) -> str:
    """Folder name of a label cache (one sub-folder per view)."""
    return f"{model_slug(plan.teacher)}-s{plan.seed}-{sha256_json(plan.model_dump(mode='json'))[:8]}"
