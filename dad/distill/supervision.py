"""Whose maps supervise a step: the teacher's, the assistant's, or both at once (paper section 3.2, Table 4)."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dad.data.photos import Photos
from dad.distill.inputs import label_identity
from dad.distill.labels import LabelCache, label_view
from dad.errors import UserError
from dad.files import sha256_json
from dad.models.checkpoints import weights_identity
from dad.models.estimator import load
from dad.study.cells import label_views
from dad.study.config import Cell

Source = Callable[[dict[str, Any]], Tensor]
"""From a batch of the crop stream to one view's labels."""

ROLES = ("teacher", "assistant")


def assistant_turn(seed: int, step: int, share: float) -> bool:
    """Whether the labels of iteration `step` are the assistant's: a draw with probability `share`, a pure function of its
    arguments, so that a resumed run draws what an undisturbed one draws.
    """
    digest = hashlib.sha256(f"assistant {seed} {step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def average_labels(teacher: Tensor, assistant: Tensor, agreement: float | None) -> tuple[Tensor, Tensor]:
    """One label from two maps of free scale and shift (..., 1, H, W), and where it is to be trusted, bool of the same shape.

    Both maps are normalised by their median and mean absolute deviation (eq. 1); the mean of the two is put back into the teacher's
    frame. Pixels where the two are farther apart than `agreement` mean absolute deviations are not trusted; None trusts all. The
    paper does not say how it averages (note D21).
    """
    frames = [_frame(maps.float()) for maps in (teacher, assistant)]
    ours, theirs = ((maps.float() - frame[0]) / frame[1] for maps, frame in zip((teacher, assistant), frames, strict=True))
    median, spread = frames[0]
    trusted = torch.ones_like(ours, dtype=torch.bool) if agreement is None else (ours - theirs).abs() <= agreement
    return (ours + theirs) / 2 * spread + median, trusted


def _frame(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Median and mean absolute deviation of every map (...,1,H,W), as (...,1,1,1); a flat map has the deviation 1."""
    flat = maps.flatten(-3)
    median = flat.median(-1, keepdim=True).values
    spread = (flat - median).abs().mean(-1, keepdim=True)
    spread = torch.where(spread > 0, spread, 1.0)
    return median[..., None, None], spread[..., None, None]


class Supervisor:
    """The labels of every step of one cell.

    `folders` are the label caches by role (`labels.mode: cached`); online, the estimators run here, and of two only the one whose
    turn it is. `kind` is what all labels are: disparity or depth. `weights` are the digests of the estimators' weights by role,
    `identities` those of the labels by role and view: of their contents where they are cached, of what they are computed from where
    they are not. Raises UserError where a cache is missing, unfinished or of other inputs, and where teacher and assistant give
    maps of different kinds.
    """

    def __init__(self, cell: Cell, folders: Mapping[str, Path | None], photos: Photos, device: torch.device) -> None:
        self.cell = cell
        self.sources: dict[str, dict[str, Source]] = {}
        self.weights: dict[str, str | None] = {}
        self.identities: dict[str, dict[str, str]] = {}
        kinds = {}
        for role in cell.label_plans:
            if cell.labels.mode == "cached":
                self.sources[role], kinds[role] = self._cached(role, folders.get(role), photos)
            else:
                self.sources[role], kinds[role] = self._online(role, photos, device)
        if len(set(kinds.values())) > 1:
            raise UserError(
                f"the teacher gives {kinds['teacher']} and the assistant {kinds['assistant']}: a student learns one of them; "
                "take two estimators of one kind"
            )
        self.kind = kinds["teacher"]

    def _cached(self, role: str, folder: Path | None, photos: Photos) -> tuple[dict[str, Source], str]:
        if folder is None:
            option = "--labels" if role == "teacher" else "--assistant-labels"
            raise UserError(f"labels.mode is cached: give the folder of the {role}'s label cache ({option})")
        caches = {view: LabelCache(folder / view, self.cell.label_plans[role], photos) for view in label_views(self.cell)}
        sources = {view: lambda item, cache=cache: cache.read(item["index"]) for view, cache in caches.items()}
        self.identities[role] = {view: cache.digest for view, cache in caches.items()}
        one = next(iter(caches.values()))
        self.weights[role] = one.weights
        return sources, one.kind

    def _online(self, role: str, photos: Photos, device: torch.device) -> tuple[dict[str, Source], str]:
        plan = self.cell.label_plans[role]
        self.weights[role] = weights_identity(plan.teacher)
        identity = label_identity(plan, photos, weights=self.weights[role])
        self.identities[role] = {view: sha256_json([identity, view]) for view in label_views(self.cell)}
        estimator = load(plan.teacher, device=str(device), short_side=self.cell.crop.size)
        dtype = getattr(torch, self.cell.labels.dtype)
        views = label_views(self.cell)
        return {view: lambda item, view=view: label_view(estimator, item, view, dtype) for view in views}, estimator.kind

    def turn(self, step: int) -> str:
        """The role whose labels step `step` takes; `both` where they are averaged."""
        if self.cell.assistant is None:
            return "teacher"
        if self.cell.supervision == "average":
            return "both"
        return ROLES[assistant_turn(self.cell.seed, step, self.cell.assistant.share)]

    def labels(self, step: int, item: dict[str, Any]) -> dict[str, Tensor]:
        """`labels_<view>` and, where labels are averaged, `mask_<view>`; `turn` (0 teacher, 1 assistant) where they alternate."""
        turn = self.turn(step)
        if turn != "both":
            found = {f"labels_{view}": source(item) for view, source in self.sources[turn].items()}
            return found | ({"turn": torch.tensor(ROLES.index(turn))} if self.cell.supervision == "select" else {})
        found = {}
        for view, source in self.sources["teacher"].items():
            label, mask = average_labels(source(item), self.sources["assistant"][view](item), self.cell.assistant.agreement)
            found |= {f"labels_{view}": label, f"mask_{view}": mask}
        return found

    def realised_share(self) -> float | None:
        """The assistant's share of all iterations as drawn; None where nothing is drawn."""
        if self.cell.supervision != "select":
            return None
        steps = self.cell.optim.steps
        return sum(self.turn(step) == "assistant" for step in range(steps)) / steps
