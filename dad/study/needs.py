"""What a job needs: memory, minutes and a GPU, from the networks it runs (`needs.yaml`), the crops and the study's
rates.

The rules of the workflow ask here for their resources, and `dad check` for its estimates. Nothing here imports torch.
"""

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from dad.models.locate import locate, split_network
from dad.study.base import Frozen, parse_model, read_yaml
from dad.study.config import Cell, CostRates, LabelPlan
from dad.study.cost import online_crops
from dad.study.modes import views

FILE = Path(__file__).with_name("needs.yaml")
SMALL_MB = 40
"""Files of up to this many megabytes are taken for networks of the procedural zoo's size."""

_PROCESS_GIB = 1.0
_SIZE = 560
_MARGIN = 1.25
_LEAST_MB = 2500
_DECODING = 4
_SCORED_GIB = 1.0
"""Of an image of 24 megapixels while it is scored; beside a GPU several are (`JobNeeds.threads`)."""
Amount = Annotated[float, Field(gt=0)]


class NetworkNeeds(Frozen):
    """What one network needs."""

    parameters: Amount
    """Millions."""
    file_mb: Annotated[int, Field(gt=0)]
    """Size of its official file in MB."""
    gpu: bool
    """Whether its jobs ask for a GPU."""
    train_gib: Amount
    """GiB that one image of 560 pixels adds to a training step in float32."""
    pass_gib: Amount
    """GiB that one image of 560 pixels adds to a forward pass without gradients in float32."""
    score_gib: Amount | None = None
    """GiB of a process that predicts single images at the network's own size, where that was measured."""


class _Table(Frozen):
    networks: dict[str, NetworkNeeds]
    small: NetworkNeeds
    unknown: NetworkNeeds


@dataclass(frozen=True)
class JobNeeds:
    """What one job asks the scheduler for."""

    mem_mb: int
    runtime: int
    """Minutes after which a cluster may end it."""
    gpu: int

    @property
    def threads(self) -> int:
        """Beside a GPU others decode the photos (a thread needs 49 to 59 ms for one of SA-1B's, as long as a step takes
        for it), or score the maps (3.2 s for one of ETH3D's under four protocols).
        """
        return _DECODING if self.gpu else 1


@functools.cache
def table() -> _Table:
    """The table as shipped in the package."""
    return parse_model(_Table, read_yaml(FILE), source=FILE.name)


@functools.lru_cache(maxsize=256)
def needs_of(model: str) -> NetworkNeeds:
    """The needs of a model by its name, its official file's name or, for files of ours, its size."""
    from dad.study.check.networks import known_source

    network, text = split_network(model)
    source = known_source(model)
    named = network or (source.network if source else text)
    if named in table().networks:
        return table().networks[named]
    lower = text.lower()
    for family in ("genpercept", "marigold"):
        if family in lower and not text.startswith("zoo/"):
            return table().networks[family]
    path = locate(model).path
    weights = path / "model.safetensors" if path and path.is_dir() else path
    if weights and weights.is_file():
        megabytes = weights.stat().st_size / 1e6
        if megabytes <= SMALL_MB:
            return table().small
        return min(table().networks.values(), key=lambda needs: abs(needs.file_mb - megabytes))
    return table().small if text.startswith("zoo/") else table().unknown


def training_gib(*cells: Cell) -> float:
    """Estimated GiB of training these cells in one process: each one's weights, gradients and AdamW's two moments, the
    activations of the largest, the frozen encoder, online teachers.
    """
    students = [needs_of(cell.student.model) for cell in cells]
    total = _PROCESS_GIB + sum(4 * _gib(student.parameters) for student in students)
    frozen = [
        0.9 * _gib(student.parameters) for cell, student in zip(cells, students, strict=True) if cell.loss.feature
    ]
    total += max(frozen, default=0.0)
    total += max(_activations_gib(cell) for cell in cells)
    # shared labels may be computed in the loop: that depends on what else is trained
    online = [cell for cell in cells if cell.labels.mode != "cached"]
    if online:
        # all estimators stay in memory, and one of them runs at a time
        plans = {plan: max(_patches(cell) for cell in online) for cell in online for plan in cell.label_plans.values()}
        total += sum(_gib(needs_of(plan.teacher).parameters) for plan in plans)
        total += max(
            _pass_gib(plan.teacher, plan.crop.size, _at_once(plan, patches)) for plan, patches in plans.items()
        )
    return total


def _activations_gib(cell: Cell) -> float:
    scale = (cell.crop.size / _SIZE) ** 2 * (1.0 if cell.optim.precision == "no" else 0.75)
    return (
        needs_of(cell.student.model).train_gib
        * scale
        * min(cell.optim.micro_batch or cell.optim.batch, cell.optim.batch)
    )


def _patches(cell: Cell) -> int:
    return cell.crop.patches if "patches" in views(cell.mode, cell.loss) else 1


def labelling_gib(plan: LabelPlan) -> float:
    """Estimated GiB of computing labels, of a batch's patches at once."""
    weights = _gib(needs_of(plan.teacher).parameters)
    return _PROCESS_GIB + weights + _pass_gib(plan.teacher, plan.crop.size, _at_once(plan, plan.crop.patches))


def _at_once(plan: LabelPlan, views: int) -> int:
    """Crops in one pass of a teacher, where every photo of a batch has so many views."""
    return min(plan.chunk or plan.batch * views, plan.batch * views)


def scoring_gib(model: str) -> float:
    """GiB to predict benchmark images with a model, one by one: measured or estimated for 768 pixels (shorter side)."""
    needs = needs_of(model)
    if needs.score_gib:
        return needs.score_gib
    return _PROCESS_GIB + _gib(needs.parameters) + needs.pass_gib * (768 / _SIZE) ** 2


def training_hours(*cells: Cell, rates: CostRates | None) -> float | None:
    """Of training these cells in one process at the study's rates, online teachers included; None without rates."""
    if rates is None:
        return None
    hours = 0.0
    for cell in cells:
        hours += (
            cell.optim.steps * cell.optim.batch / rates.train.get(cell.student.model, rates.train["default"]) / 3600
        )
    return hours + sum(
        crops / rates.label.get(plan.teacher, rates.label["default"]) / 3600
        for plan, crops in online_crops(cells).items()
    )


def train_needs(*cells: Cell, rates: CostRates | None = None) -> JobNeeds:
    """Of `dad train`, of one cell or of several that are trained together."""
    models = [cell.student.model for cell in cells]
    models += [plan.teacher for cell in cells if cell.labels.mode != "cached" for plan in cell.label_plans.values()]
    gpu = any(needs_of(model).gpu for model in models)
    otherwise = 2880 * len(cells)
    return JobNeeds(
        _megabytes(training_gib(*cells)), _minutes(training_hours(*cells, rates=rates), otherwise), int(gpu)
    )


def label_needs(plan: LabelPlan, rates: CostRates | None = None) -> JobNeeds:
    """Of `dad label`, for one view."""
    crops = plan.samples * plan.crop.patches
    hours = crops / rates.label.get(plan.teacher, rates.label["default"]) / 3600 if rates else None
    return JobNeeds(_megabytes(labelling_gib(plan)), _minutes(hours, 1440), int(needs_of(plan.teacher).gpu))


def score_needs(model: str) -> JobNeeds:
    """Of `dad evaluate`, a contact sheet or a figure that runs this model (for a student, the one it started from)."""
    gpu = needs_of(model).gpu
    return JobNeeds(
        _megabytes(scoring_gib(model) + gpu * _SCORED_GIB * (_DECODING - 1)), 1440 if gpu else 240, int(gpu)
    )


def _pass_gib(model: str, size: int, images: int) -> float:
    return needs_of(model).pass_gib * (size / _SIZE) ** 2 * images


def _gib(millions: float) -> float:
    """float32 weights in GiB."""
    return millions * 1e6 * 4 / 2**30


def _megabytes(gib: float) -> int:
    """With a margin, in steps of 500, never below what the smallest job takes."""
    return max(_LEAST_MB, math.ceil(gib * _MARGIN * 1024 / 500) * 500)


def _minutes(hours: float | None, otherwise: int) -> int:
    """Twice the estimate and an hour for reading and writing; a given number where nothing is estimated."""
    return otherwise if hours is None else math.ceil(hours * 120) + 60
