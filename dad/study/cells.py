"""From a study to its cells: which students each table needs, under which ids, and which combinations are not possible.

A table is a list of rows; a row has one cell per seed. Equal cells of different tables have equal ids and are trained once.
"""

import itertools
import json
import re
import typing
from dataclasses import dataclass
from pathlib import Path

from dad.errors import UserError
from dad.files import sha256_json
from dad.study.base import parse_model, read_yaml
from dad.study.config import Cell, LabelPlan, LossConfig, Mode, Normalization, StudyConfig

NORMALIZATIONS = typing.get_args(Normalization)
TABLES: dict[str, dict[str, tuple[str, ...]]] = {
    "table1": {"mode": ("shared", "local-global"), "normalization": ("global", "none", "local", "hybrid")},
}
"""Each table's factors and their levels, in the order the paper prints them."""


@dataclass(frozen=True)
class Row:
    """One row of a table: its factors, its cells by id (one per seed), or the reason why it can not be trained."""

    table: str
    factors: dict[str, str]
    cells: dict[str, Cell]
    reason: str | None = None

    @property
    def name(self) -> str:
        """Readable slug of the factors, e.g. `shared-hybrid`."""
        return "-".join(self.factors.values())


def cell_id(cell: Cell) -> str:
    """Readable slug and 8 hex digits of the config's hash."""
    digest = sha256_json(cell.model_dump(mode="json"))[:8]
    return f"{cell.mode}-{cell.normalization}-{model_slug(cell.student.model)}-s{cell.seed}-{digest}"


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


def impossible(mode: Mode, normalization: Normalization, loss: LossConfig) -> str | None:
    """Why a combination can not be trained, or None."""
    if mode == "local-global" and loss.local_global == 0:
        return "local-global distillation with loss.local_global: 0 has no distillation term left"
    return None


def load_study(source: str) -> StudyConfig:
    """Read and validate a study: a YAML file, or JSON text (how the workflow hands its merged configuration on)."""
    if source.lstrip().startswith("{"):
        return parse_model(StudyConfig, json.loads(source), source="study")
    return parse_model(StudyConfig, read_yaml(source), source=source)


def table_rows(study: StudyConfig, table: str) -> list[Row]:
    """The rows of a table in the paper's order. Raises UserError for an unknown table."""
    if table not in TABLES:
        raise UserError(f"unknown table {table!r}; known: {', '.join(TABLES)}")
    factors = TABLES[table]
    rows = []
    for levels in itertools.product(*factors.values()):
        chosen = dict(zip(factors, levels, strict=True))
        reason = impossible(chosen["mode"], chosen["normalization"], study.loss)
        cells = {} if reason else {cell_id(cell): cell for cell in (_cell(study, chosen, seed) for seed in study.seeds)}
        rows.append(Row(table, chosen, cells, reason))
    return rows


def _cell(study: StudyConfig, factors: dict[str, str], seed: int) -> Cell:
    return Cell(
        mode=factors["mode"],
        normalization=factors["normalization"],
        teacher=study.teacher,
        student=study.student,
        photos=study.photos,
        crop=study.crop,
        labels=study.labels,
        loss=study.loss,
        optim=study.optim,
        seed=seed,
    )


def all_cells(study: StudyConfig) -> dict[str, Cell]:
    """Every cell of every table by id."""
    return {name: cell for table in TABLES for row in table_rows(study, table) for name, cell in row.cells.items()}


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
        return parse_model(Cell, json.loads(source), source="cell")
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
