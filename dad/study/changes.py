"""From what a row changes to the cell that is trained: dotted fields of `Cell`, and a few short words for what a study
names.

The short words, each for the field before the colon:

- `teacher`: `assistant`, or an architecture of the study (`da-l`); anything else is a model's name,
- `student`: an architecture, with all that it needs (crop size, rates, whether feature alignment applies),
- `photos`: how many of the study's photos, or `largest`, the largest set of its `scaling`,
- any number: `0.5x`, so many times what the study has.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from dad.errors import UserError
from dad.study.base import did_you_mean, parse_model
from dad.study.config import ArchitectureName, Cell, StudyConfig
from dad.study.modes import MODES, TERMS, views
from dad.study.normalizations import NORMALIZATIONS

PLAIN = {"mode": "cross", "normalization": "hybrid"}
"""The paper's method: what a row trains where it says nothing else."""
ARCHITECTURES: tuple[str, ...] = get_args(ArchitectureName)
WORDS = ("teacher", "student", "photos")
"""Fields that have short words."""
EACH = "each"
"""As a level of `photos`: a row for each size of the study's `scaling`."""


class Impossible(Exception):
    """Why a row's students cannot be trained in this study."""


@cache
def cell_fields() -> tuple[str, ...]:
    """Everything of a cell that a row can change, by its dotted name.

    The photos of a study are one set, of which a row can take more or fewer; the seeds are the table's.
    """
    fields = [name for name in _leaves(Cell) if not name.startswith("photos.") and name not in ("seed", *WORDS)]
    return (*WORDS, *dict.fromkeys(fields), "photos.count")


def no_field(name: str) -> str:
    """What is wrong with a name that is none of `cell_fields`."""
    return (
        f"{name} is no field of a cell{did_you_mean(name, cell_fields())} (the fields are {', '.join(cell_fields())})"
    )


def _leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        parts = [
            one
            for one in (field.annotation, *get_args(field.annotation))
            if isinstance(one, type) and issubclass(one, BaseModel)
        ]
        for part in parts:
            yield from _leaves(part, f"{prefix}{name}.")
        if not parts:
            yield prefix + name


def make_cell(study: StudyConfig, changes: Mapping[str, Any], seed: int, source: str) -> Cell:
    """The study's plain student with these changes. `source` says in errors whose they are.

    Raises Impossible where the study does not name what they need, and where the combination cannot be trained;
    UserError for a field that there is not, and for a value that it cannot have.
    """
    for name in changes:
        if name not in cell_fields():
            raise UserError(f"{source}: {no_field(name)}")
    values = _plain(study, changes, seed, source)
    if "student" in changes:
        _set_student(study, str(changes["student"]), values, source)
    if "photos" in changes:
        values["photos"]["count"] = _count(study, changes["photos"], source)
    for name, value in changes.items():
        if name not in WORDS:
            _set(values, name, value, source)
    cell = parse_model(Cell, values, source=source)
    if reason := impossible(cell) or _no_tokens(study, changes, cell):
        raise Impossible(reason)
    return cell


def _plain(study: StudyConfig, changes: Mapping[str, Any], seed: int, source: str) -> dict[str, Any]:
    """The plain student as values, with the teacher and assistant that the changes ask for."""
    needed = [str(changes[word]) for word in ("teacher", "student") if word in changes]
    if absent := [name for name in dict.fromkeys(needed) if name in ARCHITECTURES and name not in study.architectures]:
        raise Impossible(f"the study names no {' and no '.join(absent)} (architectures)")
    supervision = changes.get("supervision", "teacher")
    of_assistant = [name for name in changes if name.startswith("assistant.")]
    if study.assistant is None and ("assistant" in needed or supervision != "teacher"):
        raise Impossible("the study names no assistant")
    if supervision == "teacher" and of_assistant:
        raise Impossible(f"supervision teacher has no assistant, so {of_assistant[0]} would change nothing")
    kept = {"student", "photos", "crop", "labels", "loss", "optim"} | (
        {"assistant"} if supervision != "teacher" else set()
    )
    described = study.model_dump(mode="json", include=kept)
    return described | PLAIN | {"teacher": _model(study, str(changes.get("teacher", study.teacher))), "seed": seed}


def _model(study: StudyConfig, name: str) -> str:
    """The model a role, architecture or model's own name stands for; what the study does not name has been refused."""
    if name in ("teacher", "assistant"):
        return study.teacher if name == "teacher" or study.assistant is None else study.assistant.model
    return study.architectures[name].model if name in ARCHITECTURES else name  # type: ignore[index]


def _set_student(study: StudyConfig, name: str, values: dict[str, Any], source: str) -> None:
    if name not in ARCHITECTURES:
        raise UserError(
            f"{source}: student {name!r} is none of {', '.join(ARCHITECTURES)}; a model is named by student.model"
        )
    architecture = study.architectures[name]  # type: ignore[index]
    values["student"] = {"model": architecture.model, "init": architecture.init}
    if architecture.size:
        values["crop"]["size"] = architecture.size
    if not architecture.feature:
        values["loss"]["feature"] = 0.0
    rates = {"encoder_rate": architecture.encoder_rate, "head_rate": architecture.head_rate}
    values["optim"] |= {key: rate for key, rate in rates.items() if rate is not None}


def _count(study: StudyConfig, value: Any, source: str) -> int | None:
    """How many photos a row takes."""
    if value == "largest":
        return study.scaling[-1] if study.scaling else study.photos.count
    if re.fullmatch(r"\d+", str(value)):
        return int(value)
    raise UserError(
        f"{source}: photos {value!r} is no number of photos; give one, or `largest`, or `{EACH}` as a level"
    )


def _set(values: dict[str, Any], name: str, value: Any, source: str) -> None:
    """Put a value where its dotted name says; `0.5x` is so many times what stands there, the text `null` is null."""
    *path, last = name.split(".")
    for part in path:
        if values.get(part) is None:  # a part of a cell that is left out by default: the changes describe it
            values[part] = {}
        values = values[part]
    times = re.fullmatch(r"(\d+\.?\d*|\.\d+)x", value) if isinstance(value, str) else None
    if times:
        present = values.get(last)
        if isinstance(present, bool) or not isinstance(present, int | float):
            raise UserError(f"{source}: {name} {value!r} is a multiple of a number, and the study has {present!r}")
        value = present * float(times[1])
    values[last] = None if value == "null" else value


def impossible(cell: Cell) -> str | None:
    """Why a combination cannot be trained, or None."""
    if not views(cell.mode, cell.loss):
        dropped = [f"loss.{TERMS[name].weight}: 0" for name in MODES[cell.mode].compares]
        return f"{cell.mode} distillation with {' and '.join(dropped)} has no distillation term left"
    if (
        cell.supervision == "select"
        and not NORMALIZATIONS[cell.normalization].segments
        and not cell.loss.allow_raw_assistant
    ):
        return (
            "an assistant's maps are bounded per image, so without normalization they contradict the teacher's "
            "(loss.allow_raw_assistant: true trains it all the same)"
        )
    return None


def _no_tokens(study: StudyConfig, changes: Mapping[str, Any], cell: Cell) -> str | None:
    """Why feature alignment cannot be asked of an architecture, or None."""
    name = str(changes.get("student"))
    if name in ARCHITECTURES and not study.architectures[name].feature and cell.loss.feature > 0:  # type: ignore[index]
        return (
            f"feature alignment (loss.feature) has no tokens to compare in {name} (architectures.{name}.feature: false)"
        )
    return None


def scored_model(study: StudyConfig, roles: tuple[str, ...], row: str, source: str) -> str:
    """The model a row scores as is: the first of its roles that the study has. Raises Impossible where it has none."""
    reasons = []
    for role in roles:
        if role == "estimator":
            if row in study.estimators:
                if (named := study.estimators[row]) is None:
                    raise Impossible(f"left out by the study (estimators: {row} is null)")
                return named
            reasons.append("printed only: the study names no model of this method")
        elif role == "assistant" and study.assistant is None:
            reasons.append("the study names no assistant")
        elif role in ARCHITECTURES and role not in study.architectures:
            reasons.append(f"the study names no {role} (architectures)")
        elif role in ("teacher", "assistant", *ARCHITECTURES) or re.search(r"[/.:]", role):
            return _model(study, role)
        else:
            known = ", ".join(("teacher", "assistant", "estimator", *ARCHITECTURES))
            raise UserError(
                f"{source}: score {role!r} is none of {known} and no model (zoo/NAME, a path, or a name of a hub)"
            )
    raise Impossible(reasons[0])
