"""Whose maps supervise a step: the teacher's, the assistant's, or both at once (paper section 3.2, Table 4)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dad.data.photos import Photos
from dad.distill.inputs import label_identity
from dad.distill.noise import spoil
from dad.distill.shared import Shared, Source
from dad.errors import UserError
from dad.files import sha256_json
from dad.models.checkpoints import weights_identity
from dad.study.cells import label_views, loss_terms
from dad.study.config import Cell

ROLES = ("teacher", "assistant")


def assistant_turn(seed: int, step: int, share: float) -> bool:
    """Whether the labels of iteration `step` are the assistant's: a draw with probability `share`, a pure function of
    its arguments, so that a resumed run draws what an undisturbed one draws.
    """
    digest = hashlib.sha256(f"assistant {seed} {step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def average_labels(
    teacher: Tensor, assistant: Tensor, agreement: float | None, averaging: str = "cut"
) -> tuple[Tensor, Tensor]:
    """One label from two maps of free scale and shift (..., 1, H, W), and how far it is to be trusted, of the same
    shape.

    Both maps are normalised by their median and mean absolute deviation (eq. 1), a and b; the mean of the two is put
    back into the teacher's frame. Section 4.2 "assigns greater weight to pixels where the two teachers exhibit high
    agreement" and prints no formula (note D21). `weights`: exp(-|a - b| / agreement), float in (0,1], by which a
    pixel's part of the loss is weighed. `cut`: whether |a - b| <= agreement, bool; None trusts all.
    """
    frames = [_frame(maps.float()) for maps in (teacher, assistant)]
    ours, theirs = (
        (maps.float() - frame[0]) / frame[1] for maps, frame in zip((teacher, assistant), frames, strict=True)
    )
    median, spread = frames[0]
    apart = (ours - theirs).abs()
    if averaging == "weights":
        assert agreement is not None, "weights fall with the distance in units of `agreement`"
        trusted = torch.exp(-apart / agreement)
    else:
        trusted = torch.ones_like(ours, dtype=torch.bool) if agreement is None else apart <= agreement
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

    `folders` are the label caches by role (`labels.mode: cached`); online, the estimators run here, and of two only the
    one whose turn it is; with shared labels a finished cache is read and everything else computed here, by view.
    `shared` is what other students of the group need, too. `kind` is what all labels are: disparity or depth. `weights`
    are the digests of the estimators' weights by role, `identities` those of the labels by role and view: of their
    contents where they are always cached, else of what they are computed from. `stored`: the views that are read, by
    role. Raises UserError where a cache is missing, unfinished or of other inputs, and where teacher and assistant give
    maps of different kinds.
    """

    def __init__(
        self, cell: Cell, folders: Mapping[str, Path | None], photos: Photos, device: torch.device, shared: Shared
    ) -> None:
        self.cell = cell
        self._shared = shared
        self.sources: dict[str, dict[str, Source]] = {}
        self.weights: dict[str, str | None] = {}
        self.identities: dict[str, dict[str, str]] = {}
        self.stored: dict[str, list[str]] = {}
        kinds = {}
        for role in cell.label_plans:
            stored = self._stored(role, folders.get(role))
            self.sources[role], kinds[role] = self._sources(role, folders.get(role), stored, photos, device)
            if stored:
                self.stored[role] = stored
        if len(set(kinds.values())) > 1:
            raise UserError(
                f"the teacher gives {kinds['teacher']} and the assistant {kinds['assistant']}: a student learns one of "
                "them; take two estimators of one kind"
            )
        self.kind = kinds["teacher"]

    def _stored(self, role: str, folder: Path | None) -> list[str]:
        """The views whose labels are read."""
        mode, views = self.cell.labels.mode, list(label_views(self.cell))
        if mode == "online" or (mode == "shared" and folder is None):
            return []
        if folder is None:
            option = "--labels" if role == "teacher" else "--assistant-labels"
            raise UserError(f"labels.mode is cached: give the folder of the {role}'s label cache ({option})")
        return views if mode == "cached" else [view for view in views if (folder / view / "index.json").is_file()]

    def _sources(
        self, role: str, folder: Path | None, stored: list[str], photos: Photos, device: torch.device
    ) -> tuple[dict[str, Source], str]:
        """Where each view's labels come from, and what kind of map they are."""
        plan, views = self.cell.label_plans[role], label_views(self.cell)
        read = {view: self._shared.cache(folder / view, plan, photos) for view in stored if folder is not None}
        sources = {view: read[view][1] if view in read else self._shared.pass_of(plan, view, device) for view in views}
        one = next((cache for cache, _ in read.values()), None)
        self.weights[role] = one.weights if one else weights_identity(plan.teacher)
        if self.cell.labels.mode == "cached":
            self.identities[role] = {view: cache.digest for view, (cache, _) in read.items()}
        else:
            identity = label_identity(plan, photos, weights=self.weights[role])
            self.identities[role] = {view: sha256_json([identity, view]) for view in views}
        return sources, one.kind if one else self._shared.teacher(plan, device).kind

    @property
    def in_loop(self) -> set[str]:
        """The views that an estimator is shown here."""
        views = label_views(self.cell)
        return {view for role in self.cell.label_plans for view in views if view not in self.stored.get(role, ())}

    def turn(self, step: int) -> str:
        """The role whose labels step `step` takes; `both` where they are averaged."""
        if self.cell.assistant is None:
            return "teacher"
        if self.cell.supervision == "average":
            return "both"
        return ROLES[assistant_turn(self.cell.seed, step, self.cell.assistant.share)]

    def labels(self, step: int, item: dict[str, Any]) -> dict[str, Tensor]:
        """`labels_<view>` and, where labels are averaged, `mask_<view>` or `weight_<view>`; `turn` (0 teacher, 1
        assistant) where they alternate. Noise, if the cell has some, is the teacher's and the assistant's alike.
        `tokens` are the frozen encoder's where the teacher's pass has given them.
        """
        found = self._labels(step, item)
        tokens = (
            self._shared.tokens(self.cell.label_plans["teacher"], item) if "feature" in loss_terms(self.cell) else None
        )
        return found if tokens is None else found | {"tokens": tokens}

    def _labels(self, step: int, item: dict[str, Any]) -> dict[str, Tensor]:
        turn = self.turn(step)
        if turn != "both":
            found = {f"labels_{view}": self._label(turn, view, item) for view in self.sources[turn]}
            return found | ({"turn": torch.tensor(ROLES.index(turn))} if self.cell.supervision == "select" else {})
        found = {}
        of = self.cell.assistant
        trust = "weight" if of.averaging == "weights" else "mask"
        for view in self.sources["teacher"]:
            both = (self._label(role, view, item) for role in ROLES)
            label, trusted = average_labels(*both, of.agreement, of.averaging)
            found |= {f"labels_{view}": label, f"{trust}_{view}": trusted}
        return found

    def _label(self, role: str, view: str, item: dict[str, Any]) -> Tensor:
        label, noise = self.sources[role][view](item), self.cell.labels.noise
        if noise is None:
            return label
        draws = [int(draw) for draw in item["draw"]]
        return spoil(label, noise, photo_ids=list(item["photo_id"]), draws=draws, seed=self.cell.seed, view=view)

    def realised_share(self) -> float | None:
        """The assistant's share of all iterations as drawn; None where nothing is drawn."""
        if self.cell.supervision != "select":
            return None
        steps = self.cell.optim.steps
        return sum(self.turn(step) == "assistant" for step in range(steps)) / steps
