"""From a study to its cells: which students each table needs, under which ids, and which combinations are not possible.

A table is a list of rows; a row has one cell per seed. Equal cells of different tables have equal ids and are trained once.
"""

import itertools
import typing
from dataclasses import dataclass

from dad.errors import UserError
from dad.files import sha256_json
from dad.study.base import parse, read_yaml
from dad.study.config import Cell, LossConfig, Mode, Normalization, StudyConfig

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
    student = cell.student.model.rsplit("/", 1)[-1].removesuffix(".safetensors")
    digest = sha256_json(cell.model_dump(mode="json"))[:8]
    return f"{cell.mode}-{cell.normalization}-{student}-s{cell.seed}-{digest}"


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


def load_study(path: str, overrides: dict[str, object] | None = None) -> StudyConfig:
    """Read and validate a study file. `overrides` replaces top-level keys; `photos=FOLDER` may stand for the photos' root."""
    values = read_yaml(path)
    for key, value in (overrides or {}).items():
        if key == "photos" and isinstance(value, str):
            current = values.get("photos", {})
            values["photos"] = {**(current if current.get("source") == "folder" else {}), "source": "folder", "root": value}
        else:
            values[key] = value
    return parse(StudyConfig, values, source=str(path))


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


def label_plan(cell: Cell) -> dict[str, object]:
    """Everything that decides a cell's pseudo-labels; cells with equal plans share one label cache."""
    return {
        "teacher": cell.teacher,
        "photos": cell.photos.model_dump(mode="json"),
        "crop": cell.crop.model_dump(mode="json"),
        "dtype": cell.labels.dtype,
        "seed": cell.seed,
        "samples": cell.optim.steps * cell.optim.batch,
        "batch": cell.optim.batch,
        "context": "center" if cell.mode == "baseline" else "square",
    }


def label_views(cell: Cell) -> tuple[str, ...]:
    """Which views of a crop need labels in this cell's mode."""
    return {"baseline": ("square",), "shared": ("square",), "local-global": ("patches",), "cross": ("square", "patches")}[cell.mode]


def label_id(cell: Cell) -> str:
    """Folder name of the cell's label cache (one sub-folder per view)."""
    teacher = cell.teacher.rsplit("/", 1)[-1].removesuffix(".safetensors")
    return f"{teacher}-s{cell.seed}-{sha256_json(label_plan(cell))[:8]}"
