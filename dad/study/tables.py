"""Which rows each table has: the paper's, in its order, and a few of our own that the paper's comparisons leave open.

A row is made of factors (`{mode: shared, normalization: hybrid}`) and of what stands in it: one student per seed, an estimator
scored as it is, or the reason why there is neither.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from dad.errors import UserError
from dad.study.config import Architecture, Cell, LossConfig, StudentConfig, StudyConfig

OURS = {"mode": "cross", "normalization": "hybrid"}
"""The paper's method, in Tables 3 and 5 and Fig. 7."""
BASE = {"mode": "baseline", "normalization": "global"}
"""The previous method that Table 3 calls Base, Table 2 the baseline and Fig. 7 SSI: global normalization, no random crop. The paper
gives Table 2's baseline no normalization by name; it is taken to be the conventional one (note D20)."""

ABLATION, ZERO_SHOT = "ablation", "zero-shot"
"""Groups of benchmarks: Tables 1 to 4 report the first (ETH3D and DIODE), Table 5 and Fig. 7 all."""


@dataclass(frozen=True)
class Spec:
    """A row before its cells have ids: what differs from the study's plain student, the model to score, or the reason for
    neither.
    """

    factors: dict[str, str]
    changes: dict[str, Any] | None = None
    """Fields of `Cell`."""
    model: str | None = None
    reason: str | None = None


def table_specs(study: StudyConfig, table: str) -> list[Spec]:
    """The rows of a table. Raises UserError for an unknown table."""
    if table not in TABLES:
        raise UserError(f"unknown table {table!r}; known: {', '.join(TABLES)}")
    return [_possible(study, spec) for spec in TABLES[table](study)]


def benchmark_groups(table: str) -> tuple[str, ...]:
    """Which groups of benchmarks a table reports."""
    return (ABLATION, ZERO_SHOT) if table in ("table5", "scaling") else (ABLATION,)


def _table1(study: StudyConfig) -> Iterator[Spec]:
    for mode, normalization in itertools.product(("shared", "local-global"), ("global", "none", "local", "hybrid")):
        factors = {"mode": mode, "normalization": normalization}
        yield Spec(factors, factors)


def _table2(study: StudyConfig) -> Iterator[Spec]:
    yield Spec({"mode": "baseline"}, BASE)
    # not in the paper: separates what random crops do from what the normalization does
    yield Spec({"mode": "baseline-hybrid"}, BASE | {"normalization": "hybrid"})
    for mode in ("local-global", "shared", "cross"):
        yield Spec({"mode": mode}, OURS | {"mode": mode})


def _table3(study: StudyConfig) -> Iterator[Spec]:
    for teacher, student in (("da-l", "da-s"), ("da-l", "midas-l"), ("midas-l", "midas-s")):
        for loss, method in (("base", BASE), ("ours", OURS)):
            factors = {"teacher": teacher, "student": student, "loss": loss}
            absent = [name for name in (teacher, student) if name not in study.architectures]
            if absent:
                yield Spec(factors, reason=f"the study names no {' and no '.join(absent)} (architectures)")
            else:
                changes = _student(study, study.architectures[student])
                yield Spec(factors, method | changes | {"teacher": study.architectures[teacher].model})


def _table4(study: StudyConfig) -> Iterator[Spec]:
    absent = "the study names no assistant"
    assistant = study.assistant
    yield Spec({"supervision": "teacher"}, model=study.teacher)
    yield (
        Spec({"supervision": "assistant"}, model=assistant.model)
        if assistant
        else Spec({"supervision": "assistant"}, reason=absent)
    )
    # not in the paper: students of one teacher alone, without which the two mixtures have nothing to be compared with
    yield Spec({"supervision": "teacher-student"}, OURS)
    rows = {
        "assistant-student": {"teacher": assistant.model if assistant else ""},
        "average": {"supervision": "average", "assistant": assistant},
        "select": {"supervision": "select", "assistant": assistant},
    }
    for name, changes in rows.items():
        yield Spec({"supervision": name}, OURS | changes) if assistant else Spec({"supervision": name}, reason=absent)


_PRINTED = ("diversedepth", "midas", "leres", "omnidata", "hdn", "dpt", "depth-anything-v2", "genpercept", "marigold", "midas-v3.1")


def _table5(study: StudyConfig) -> Iterator[Spec]:
    models = {"depth-anything-v2": study.teacher}
    if study.assistant:
        models["genpercept"] = study.assistant.model
    if "midas-l" in study.architectures:
        models["midas-v3.1"] = study.architectures["midas-l"].model
    models |= study.estimators
    if unknown := sorted(study.estimators.keys() - set(_PRINTED)):
        raise UserError(f"estimators: Table 5 has no method {unknown[0]!r}; it has {', '.join(_PRINTED)}")
    for method in _PRINTED:
        factors = {"method": method}
        yield (
            Spec(factors, model=models[method])
            if method in models
            else Spec(factors, reason="printed only: the study names no model of this method")
        )
    for method, architecture in (("ours-midas", "midas-l"), ("ours-depth-anything-v2", "da-l")):
        factors = {"method": method}
        if architecture not in study.architectures:
            yield Spec(factors, reason=f"the study names no {architecture} (architectures)")
            continue
        own = study.architectures[architecture]
        photos = {"photos": sized(study, study.scaling[-1])} if study.scaling else {}
        yield Spec(factors, OURS | _student(study, own) | photos | {"teacher": own.model})


def _scaling(study: StudyConfig) -> Iterator[Spec]:
    for method, changes in (("ours", OURS), ("ssi", BASE)):
        for count in study.scaling:
            yield Spec({"method": method, "photos": str(count)}, changes | {"photos": sized(study, count)})
    yield Spec({"method": "teacher", "photos": "0"}, model=study.teacher)


TABLES: dict[str, Callable[[StudyConfig], Iterator[Spec]]] = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "table4": _table4,
    "table5": _table5,
    "scaling": _scaling,
}
"""What is rendered as a table, in the paper's order; `scaling` holds the numbers behind Fig. 7."""


def sized(study: StudyConfig, count: int) -> Any:
    """The study's photos, `count` of them."""
    return study.photos.model_copy(update={"count": count})


def _student(study: StudyConfig, architecture: Architecture) -> dict[str, Any]:
    """The fields of a cell whose student is one of the paper's named networks."""
    rates = {"encoder_rate": architecture.encoder_rate, "head_rate": architecture.head_rate}
    return {
        "student": StudentConfig(model=architecture.model, init=architecture.init),
        "crop": study.crop.model_copy(update={"size": architecture.size}) if architecture.size else study.crop,
        "loss": study.loss if architecture.feature else study.loss.model_copy(update={"feature": 0.0}),
        "optim": study.optim.model_copy(update={key: rate for key, rate in rates.items() if rate is not None}),
    }


def make_cell(study: StudyConfig, changes: dict[str, Any], seed: int) -> Cell:
    """The study's plain student with the changes of one row."""
    plain = {
        "teacher": study.teacher,
        "student": study.student,
        "photos": study.photos,
        "crop": study.crop,
        "labels": study.labels,
        "loss": study.loss,
        "optim": study.optim,
        "seed": seed,
    }
    return Cell(**plain | changes)


def _possible(study: StudyConfig, spec: Spec) -> Spec:
    """The row as it is, or with the reason why its students can not be trained."""
    if spec.changes is None:
        return spec
    loss: LossConfig = spec.changes.get("loss", study.loss)
    reason = impossible(spec.changes["mode"], spec.changes["normalization"], spec.changes.get("supervision", "teacher"), loss)
    return Spec(spec.factors, reason=reason) if reason else spec


def impossible(mode: str, normalization: str, supervision: str, loss: LossConfig) -> str | None:
    """Why a combination can not be trained, or None."""
    if mode == "local-global" and loss.local_global == 0:
        return "local-global distillation with loss.local_global: 0 has no distillation term left"
    if supervision == "select" and normalization == "none" and not loss.allow_raw_assistant:
        return (
            "an assistant's maps are bounded per image, so without normalization they contradict the teacher's "
            "(loss.allow_raw_assistant: true trains it all the same)"
        )
    return None
