"""What several students that are trained together have in common: photos, crops, a teacher's pass, a frozen encoder's.

Everything here is computed, read or loaded once, by whoever asks first. One student alone is a group of one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dad.data.photos import Photos
from dad.distill.features import FrozenEncoder, NetworkEncoder, encoder_name, frozen_encoder
from dad.distill.labels import LabelCache, label_view, load_teacher, training_photos
from dad.errors import UserError
from dad.models.checkpoints import weights_identity
from dad.models.estimator import AnyEstimator, Estimator
from dad.models.frozen_names import TIMM
from dad.study.cells import cell_id
from dad.study.config import Cell, LabelPlan

Source = Callable[[dict[str, Any]], Tensor]
"""From a batch of the crop stream to one view's labels."""


class OncePerBatch:
    """A source that answers the same batch with the same tensor."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._item: dict[str, Any] | None = None
        self._found: Tensor | None = None

    def __call__(self, item: dict[str, Any]) -> Tensor:
        """The labels of this batch."""
        if item is not self._item or self._found is None:
            self._found, self._item = self._source(item), item
        return self._found


class SquareTokens:
    """A teacher's pass over a batch's squares: its maps as labels and its encoder's tokens, which cost nothing more."""

    def __init__(self, teacher: Estimator, dtype: torch.dtype) -> None:
        self._teacher, self._dtype = teacher, dtype
        self._item: dict[str, Any] | None = None
        self.tokens: Tensor | None = None

    def __call__(self, item: dict[str, Any]) -> Tensor:
        """The labels of this batch."""
        self._teacher.tokens = []
        try:
            labels = label_view(self._teacher, item, "square", self._dtype)
            # what inference mode made may not take part in a loss; a copy may
            self.tokens, self._item = torch.cat(self._teacher.tokens), item
        finally:
            self._teacher.tokens = None
        return labels

    def of(self, item: dict[str, Any]) -> Tensor | None:
        """The tokens (B,N,C) of this batch's squares; None where the teacher has not seen them."""
        return self.tokens if item is self._item else None


class Shared:
    """The common things of one group, by the plans that decide them."""

    def __init__(self, manifest: Path) -> None:
        self.manifest = manifest
        self._photos: dict[LabelPlan, tuple[Photos, int]] = {}
        self._caches: dict[tuple[Path, LabelPlan], LabelCache] = {}
        self._teachers: dict[LabelPlan, AnyEstimator] = {}
        self._sources: dict[tuple[Any, ...], OncePerBatch] = {}
        self._tokens: dict[LabelPlan, SquareTokens] = {}
        self._encoders: dict[tuple[str, str], nn.Module] = {}

    def photos(self, plan: LabelPlan) -> tuple[Photos, int]:
        """The photos of a plan, and how many of the manifest are too small for it."""
        if plan not in self._photos:
            self._photos[plan] = training_photos(plan, self.manifest)
        return self._photos[plan]

    def cache(self, folder: Path, plan: LabelPlan, photos: Photos) -> tuple[LabelCache, Source]:
        """The cache of one view in `folder`, and a source that reads it."""
        key = (folder, plan)
        if key not in self._caches:
            self._caches[key] = cache = LabelCache(folder, plan, photos)
            self._sources[key] = OncePerBatch(lambda item: cache.read(item["index"]))
        return self._caches[key], self._sources[key]

    def teacher(self, plan: LabelPlan, device: torch.device) -> AnyEstimator:
        """The estimator of a plan's labels."""
        if plan not in self._teachers:
            self._teachers[plan] = load_teacher(plan, str(device))
        return self._teachers[plan]

    def pass_of(self, plan: LabelPlan, view: str, device: torch.device) -> Source:
        """A source that runs the plan's teacher on one view."""
        key = (plan, view)
        if key not in self._sources:
            teacher, dtype = self.teacher(plan, device), getattr(torch, plan.dtype)

            def run(item: dict[str, Any]) -> Tensor:
                if view == "square" and plan in self._tokens:
                    return self._tokens[plan](item)
                return label_view(teacher, item, view, dtype, chunk=plan.chunk)

            self._sources[key] = OncePerBatch(run)
        return self._sources[key]

    def frozen(self, cell: Cell, device: torch.device) -> nn.Module:
        """The frozen encoder of a cell's feature alignment. Where it is the teacher's network, it is the teacher's."""
        name = encoder_name(cell)
        key = (name, cell.labels.precision)
        if key not in self._encoders:
            plan = cell.label_plans["teacher"]
            teacher = self.teacher(plan, device) if self._is_teacher(cell, name, plan) else None
            sides = (plan.crop.size, plan.crop.size)
            if isinstance(teacher, Estimator) and teacher.policy.network_size(*sides) == sides:
                encoder: nn.Module = FrozenEncoder(NetworkEncoder(name, teacher.network), plan.precision)
                # in chunks smaller than a batch sums may come out in another order: then the encoder has its own pass
                if (plan.chunk or plan.batch) >= plan.batch:
                    self._tokens[plan] = SquareTokens(teacher, getattr(torch, plan.dtype))
            else:
                encoder = frozen_encoder(cell).to(device)
            self._encoders[key] = encoder
        return self._encoders[key]

    def tokens(self, plan: LabelPlan, item: dict[str, Any]) -> Tensor | None:
        """The frozen tokens of a batch that the teacher's pass has left; None where there are none."""
        return self._tokens[plan].of(item) if plan in self._tokens else None

    def _is_teacher(self, cell: Cell, name: str, plan: LabelPlan) -> bool:
        if cell.labels.mode == "cached" or name.startswith(TIMM):
            return False
        encoder, teacher = weights_identity(name), weights_identity(plan.teacher)
        return encoder is not None and encoder == teacher


def check_together(cells: list[Cell]) -> None:
    """Raise UserError for students that do not see the same crops under the same teacher, and for one named twice."""
    plans = {cell_id(cell): cell.label_plans["teacher"] for cell in cells}
    if len(plans) < len(cells):
        raise UserError("the same student is named twice: name each cell once")
    first = next(iter(plans))
    for name, plan in plans.items():
        differing = [key for key, value in plan if value != getattr(plans[first], key)]
        if differing:
            raise UserError(
                f"{first} and {name} cannot be trained together, since they do not read the same labels "
                f"({', '.join(differing)} differ): train them by themselves"
            )
    if len({cell.labels.mode for cell in cells}) > 1:
        raise UserError(
            "students that are trained together have their labels all cached, all online or all shared (labels.mode)"
        )
    assistants = {cell.assistant.model for cell in cells if cell.assistant is not None}
    if len(assistants) > 1:
        raise UserError(
            f"students that are trained together have one assistant, these have {', '.join(sorted(assistants))}"
        )
