"""A study's cost before it runs: steps, crops through teachers and students, hours at stated rates, label storage."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dad.study.cells import all_cells, label_id, label_views, table_rows
from dad.study.config import Cell, CostRates, LabelPlan, StudyConfig
from dad.study.storage import Views, read_by_several, stored_views
from dad.study.tables import table_names
from dad.study.together import groups

_BYTES = {"float16": 2, "float32": 4}


@dataclass(frozen=True)
class Cost:
    """Of a set of cells, each counted once. Hours are None where the study states no rates."""

    cells: int
    steps: int
    """Training steps of all cells together."""
    trained: int
    """Crops through a training step."""
    labelled: int
    """Crops and patches through a teacher; shared caches count once, online labels once for the cells of a job."""
    storage: int
    """Bytes of the label caches, uncompressed; 0 online."""
    train_hours: float | None
    label_hours: float | None

    def line(self) -> str:
        """The estimate in one line."""
        parts = [f"{self.cells} students", f"{self.steps:,} steps", f"{self.trained:,} crops trained"]
        parts.append(f"{self.labelled:,} labelled")
        if self.train_hours is not None and self.label_hours is not None:
            parts.append(f"{duration(self.train_hours + self.label_hours)} (training {duration(self.train_hours)})")
        parts.append(f"label caches {size(self.storage)}" if self.storage else "labels online, none stored")
        return ", ".join(parts)


def estimate(cells: Iterable[Cell], rates: CostRates | None, together: int = 1) -> Cost:
    """The cost of these cells, of which one job trains up to `together`."""
    cells = list(cells)
    by_number = {str(number): cell for number, cell in enumerate(cells)}
    jobs = [[by_number[number] for number in group] for group in groups(by_number, together)]
    several = read_by_several(jobs)
    caches: dict[tuple[str, str], LabelPlan] = {}
    for cell in cells:
        for role, views in stored_views(cell, several).items():
            plan = cell.label_plans[role]
            caches |= {(label_id(plan), view): plan for view in views}
    labelled = [(plan, _crops(plan, view)) for (_, view), plan in caches.items()]
    storage = sum(crops * plan.crop.size**2 * _BYTES[plan.dtype] for plan, crops in labelled)
    for job in jobs:
        labelled += online_crops(job, several).items()
    trained = [(cell.student.model, cell.optim.steps * cell.optim.batch) for cell in cells]
    return Cost(
        cells=len(cells),
        steps=sum(cell.optim.steps for cell in cells),
        trained=sum(crops for _, crops in trained),
        labelled=sum(crops for _, crops in labelled),
        storage=storage,
        train_hours=_hours(trained, rates.train) if rates else None,
        label_hours=_hours([(plan.teacher, crops) for plan, crops in labelled], rates.label) if rates else None,
    )


def online_crops(cells: Iterable[Cell], several: Views = frozenset()) -> dict[LabelPlan, int]:
    """Crops and patches through each teacher that runs beside these cells, which one process trains: what several need
    counts once. `several`: what of shared labels other processes read, too, so that it is stored.

    Where teacher and assistant take turns, which of them an iteration's labels are of is one draw for all cells.
    """
    shares: dict[tuple[LabelPlan, str], float] = {}
    for cell in cells:
        stored = stored_views(cell, several)
        for role, plan in cell.label_plans.items():
            for view in (view for view in label_views(cell) if view not in stored.get(role, ())):
                shares[plan, view] = max(shares.get((plan, view), 0.0), _online_share(cell, role))
    found: dict[LabelPlan, int] = {}
    for (plan, view), share in shares.items():
        found[plan] = found.get(plan, 0) + round(_crops(plan, view) * share)
    return found


def _crops(plan: LabelPlan, view: str) -> int:
    return plan.samples * (plan.crop.patches if view == "patches" else 1)


def _online_share(cell: Cell, role: str) -> float:
    """The share of iterations in which an online estimator runs."""
    if cell.supervision != "select" or cell.assistant is None:
        return 1.0
    return cell.assistant.share if role == "assistant" else 1 - cell.assistant.share


def _hours(crops: Iterable[tuple[str, int]], rates: Mapping[str, float]) -> float:
    return sum(count / rates.get(model, rates["default"]) for model, count in crops) / 3600


def cost_lines(study: StudyConfig) -> list[str]:
    """The study's estimate as lines: every table by itself, then all of them, whose shared cells count once."""
    lines = []
    for table in table_names(study):
        cells = {name: cell for row in table_rows(study, table) for name, cell in row.cells.items()}
        if cells:
            lines.append(f"{table}: {estimate(cells.values(), study.rates, study.students_per_job).line()}")
    lines.append(
        f"all, shared students once: {estimate(all_cells(study).values(), study.rates, study.students_per_job).line()}"
    )
    if study.rates:
        lines.append(f"times are of {study.rates.device}")
    return lines


def duration(hours: float) -> str:
    """`3 min`, `2.5 h`, `180 h`."""
    return f"{60 * hours:.0f} min" if hours < 1 else f"{hours:.1f} h" if hours < 10 else f"{hours:,.0f} h"


def size(count: int) -> str:
    """Bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError
