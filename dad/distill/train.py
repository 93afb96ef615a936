"""Distillation: one student trained from one teacher's pseudo-labels, as a cell of the study describes it."""

import csv
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dad.data.crops import CropStream
from dad.data.manifest import open_photos
from dad.distill.features import encoder_identity, frozen_encoder
from dad.distill.heads import cure_dead_head, make_student
from dad.distill.inputs import photos_as_used, photos_identity, say_photos, training_identity
from dad.distill.labels import crop_plan, stream_batches, training_photos
from dad.distill.loop import Fitted, StepResult, fit, prefetch, unwrapped
from dad.distill.losses import (
    crop_patches,
    distillation_loss,
    feature_alignment_loss,
    local_global_loss,
    normalised_gradient_loss,
    total_loss,
)
from dad.distill.monitor import CollapseDetector, StepLog, agreement
from dad.distill.processes import accelerator_for, gathered
from dad.distill.replay import keep_collapse
from dad.distill.supervision import ROLES, Supervisor
from dad.errors import CollapseError, UserError
from dad.files import sha256_file, write_bytes, write_json
from dad.identity import write_sealed_json
from dad.models.checkpoints import save_network, weights_identity
from dad.provenance import provenance
from dad.study.cells import cell_id, label_views, loss_terms, model_slug
from dad.study.config import Cell
from dad.study.modes import MODES


def cell_loss(network: nn.Module, batch: dict[str, Tensor], cell: Cell, frozen: nn.Module | None) -> StepResult:
    """Eq. 9 for one batch; of several processes each gives its share, and gets the whole batch's loss.

    `batch` holds `square` (B,3,S,S) in [0,1], `boxes` (B,N,4), `side` (B,), `labels_<view>` and, where labels are not trusted
    everywhere, `mask_<view>` or `weight_<view>`; with `turn` (0 teacher, 1 assistant) the loss is logged for each of the two by
    itself.

    `frozen` is the encoder that feature alignment compares with, or None where that term has no weight.
    """
    loss = cell.loss
    how: dict[str, Any] = {"normalization": cell.normalization, "groups": loss.groups, "variant": loss.variant}
    pixels = unwrapped(network).normalise(batch["square"])
    prediction, features = network(pixels, with_features=True)
    prediction = gathered(prediction.float())
    batch = {key: value if key == "turn" else gathered(value) for key, value in batch.items() if key != "square"}
    weights, terms = loss_terms(cell), {}
    compared: dict[str, tuple[Tensor, Tensor, Tensor | None]] = {}
    trust: dict[str, Tensor | None] = {view: batch.get(f"weight_{view}") for view in ("square", "patches")}
    if "local_global" in weights:
        labels, mask = batch["labels_patches"].float(), batch.get("mask_patches")
        terms["local_global"] = local_global_loss(
            prediction, batch["boxes"], labels, mask, square=batch["side"], patch_weights=trust["patches"], **how
        )
        crops = crop_patches(prediction, batch["boxes"], square=batch["side"], size=labels.shape[-1])
        compared["patches"] = crops.flatten(0, 1), labels.flatten(0, 1), None if mask is None else mask.flatten(0, 1)
    if "shared" in weights:
        labels, mask = batch["labels_square"].float(), batch.get("mask_square")
        terms["shared"] = distillation_loss(prediction, labels, mask, weight=trust["square"], **how)
        compared["square"] = prediction, labels, mask
    if "gradient" in weights:
        view = MODES[cell.mode].gradient
        weight = trust[view].flatten(0, -4) if trust[view] is not None else None
        matching = {"scales": loss.gradient_scales, "own": loss.gradient_normalization == "own", "weight": weight}
        terms["gradient"] = normalised_gradient_loss(*compared[view], **how, **matching)
    if "feature" in weights:
        assert frozen is not None, "feature alignment needs a frozen encoder"
        with torch.no_grad():
            anchor = gathered(frozen(pixels))
        terms["feature"] = feature_alignment_loss(gathered(features), anchor, margin=loss.feature_margin)
    total, logged = total_loss(weights, terms)
    columns = {f"loss_{name}": value for name, value in logged.items() if name != "total"}
    columns["agreement"] = agreement(*compared[MODES[cell.mode].gradient])
    if "turn" in batch:
        columns["assistant_turn"] = batch["turn"].float()
        for number, role in enumerate(ROLES):
            columns[f"loss_by_{role}"] = torch.where(batch["turn"] == number, logged["total"], nan)
    return StepResult(total, columns, prediction)


class Training:
    """Everything that the steps of a cell need: photos, labels, the student before its first step, batches and loss.

    Two of the same arguments take the same steps. Raises UserError for what cannot be trained as it was asked for.
    """

    def __init__(
        self, cell: Cell, *, manifest: Path, labels: Path | None, assistant_labels: Path | None = None, workers: int = 0
    ) -> None:
        self.cell = cell = cell_as_used(cell, manifest)
        self.places = {"manifest": manifest, "labels": labels, "assistant_labels": assistant_labels}
        self.workers = workers
        self.accelerator = accelerator_for(cell.optim.precision)
        plan, device = cell.label_plans["teacher"], self.accelerator.device
        self.photos, self.too_small = training_photos(plan, manifest)
        self.supervisor = Supervisor(cell, {"teacher": labels, "assistant": assistant_labels}, self.photos, device)
        labels_patches = cell.labels.mode == "online" and "patches" in label_views(cell)
        self.stream = CropStream(self.photos, crop_plan(plan), 0, plan.samples, patches=labels_patches)
        self.network = make_student(cell.student, seed=cell.seed)
        self.network.kind = self.supervisor.kind
        if self.network.config.patch and cell.crop.size % self.network.config.patch:
            raise UserError(f"crop.size {cell.crop.size} is not a multiple of the student's patch, {self.network.config.patch}")
        first = next(stream_batches(self.stream, cell.optim.batch, 0))
        self.cured = cure_dead_head(self.network.to(device), first["square"].to(device))
        self.frozen = frozen_encoder(cell).to(device) if "feature" in loss_terms(cell) else None
        self.weights = {**self.supervisor.weights, "student": weights_identity(cell.student.model)} | encoder_identity(cell)
        self.identity = training_identity(cell, self.photos, weights=self.weights, labels=self.supervisor.identities)

    def _batches(self, start: int) -> Iterator[dict[str, Tensor]]:
        rank, ranks = self.accelerator.process_index, self.accelerator.num_processes
        items = stream_batches(self.stream, self.cell.optim.batch, start, workers=self.workers, rank=rank, ranks=ranks)
        for step, item in enumerate(items, start):
            yield {key: item[key] for key in ("square", "boxes", "side")} | self.supervisor.labels(step, item)

    def photo_ids(self, step: int) -> list[str]:
        """The photos of a step's batch over all processes."""
        batch = self.cell.optim.batch
        return [self.photos.id(self.stream.order(position)[0]) for position in range(step * batch, (step + 1) * batch)]

    def fit(self, work: Path, log: StepLog, *, resume: bool = True) -> Fitted:
        """Take the steps; see `dad.distill.loop.fit`."""
        return fit(
            self.network,
            lambda start: prefetch(self._batches(start), self.accelerator.device),
            lambda model, batch: cell_loss(model, batch, self.cell, self.frozen),
            self.cell.optim,
            work=work,
            identity=self.identity,
            log=log,
            accelerator=self.accelerator,
            resume=resume,
        )


def train(
    cell: Cell,
    *,
    manifest: Path,
    labels: Path | None,
    assistant_labels: Path | None = None,
    out: Path,
    work: Path,
    resume: bool = True,
    workers: int = 0,
    listeners: tuple[Any, ...] = (),
) -> None:
    """Train the student of `cell`; writes config.json, metrics.csv, model.safetensors and, last, provenance.json into `out`.

    `labels` and `assistant_labels` are the folders of the cell's label caches (needed when `labels.mode` is cached). `work` holds
    the resumable checkpoints and is removed at the end. `listeners` get the rows of the step log as they are written.

    What is written is what was used: where the manifest lists other photos than the cell's, the config is that of these photos.
    provenance.json holds digests of everything that went in (photos, labels, weights of teacher, assistant and start) and of the
    files beside it. A training that was interrupted goes on only with the same contents. What leads to a collapse is kept in `work`
    (`dad.distill.replay`).
    """
    started = datetime.now(UTC)
    training = Training(cell, manifest=manifest, labels=labels, assistant_labels=assistant_labels, workers=workers)
    cell, photos, accelerator = training.cell, training.photos, training.accelerator
    log = StepLog(work / "metrics.csv", listeners=(CollapseDetector(), *listeners))
    try:
        fitted = training.fit(work, log, resume=resume)
    except CollapseError as error:
        kept = keep_collapse(work, training, error)
        raise CollapseError(f"{error}; see it again: dad train --replay {kept}", step=error.step) from None
    accelerator.end_training()
    if not accelerator.is_main_process:
        return
    name = cell_id(cell)
    write_json(out / "config.json", cell.model_dump(mode="json"))
    write_bytes(out / "metrics.csv", log.path.read_bytes())
    origin = f"distilled from {model_name(cell.teacher)}"
    save_network(out / "model.safetensors", fitted.network, input_size=cell.crop.size, origin=origin)
    inputs = {"photos": photos_identity(photos), "labels": training.supervisor.identities, "weights": training.weights}
    facts = {
        "cell": name,
        "steps": cell.optim.steps,
        "wall_seconds": round(fitted.seconds, 1),
        "photos_used": len(photos),
        "photos_too_small": training.too_small,
        "photos_digest": photos.digest(),
        "inputs": inputs,
        "files": {file: sha256_file(out / file) for file in ("config.json", "metrics.csv", "model.safetensors")},
        "dead_head_cured": training.cured,
        "inverted_start_cured": fitted.mirrored,
        "agreement": fitted_agreement(out / "metrics.csv"),
        "assistant_share": training.supervisor.realised_share(),
        "parameters": sum(p.numel() for p in fitted.network.parameters()),
        "processes": accelerator.num_processes,
        "segments": fitted.segments,
    }
    write_sealed_json(out / "provenance.json", facts | provenance(str(accelerator.device), started))
    shutil.rmtree(work)


def fitted_agreement(log: Path, steps: int = 20) -> float:
    """Mean correlation of the maps with the labels over a training's last steps; said where it is negative: such a student is
    upside down.
    """
    rows = list(csv.DictReader(log.read_text().splitlines()))[-steps:]
    mean = sum(float(row["agreement"]) for row in rows) / len(rows)
    if mean < 0:
        print(f"the student's maps are upside down: their correlation with the labels is {mean:.2f} at the end", file=sys.stderr)
    return mean


def cell_as_used(cell: Cell, manifest: Path) -> Cell:
    """The cell that training `cell` on the photos of `manifest` really is; where they are not the cell's own, that is said."""
    used = photos_as_used(cell.photos, open_photos(manifest))
    say_photos(cell.photos, used, manifest)
    return cell.model_copy(update={"photos": used})


def model_name(model: str) -> str:
    """A model as weights files name it: its name, or the last part of its path; equal weights at two places are equal files."""
    return model_slug(model) if Path(model).expanduser().exists() else model
