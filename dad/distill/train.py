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
from dad.distill.loop import StepResult, fit, prefetch, unwrapped
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
from dad.distill.supervision import ROLES, Supervisor
from dad.errors import UserError
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
    files beside it. A training that was interrupted goes on only with the same contents.
    """
    started = datetime.now(UTC)
    cell = cell_as_used(cell, manifest)
    accelerator = accelerator_for(cell.optim.precision)
    label_plan = cell.label_plans["teacher"]
    photos, too_small = training_photos(label_plan, manifest)
    supervisor = Supervisor(cell, {"teacher": labels, "assistant": assistant_labels}, photos, accelerator.device)
    labels_patches = cell.labels.mode == "online" and "patches" in label_views(cell)
    stream = CropStream(photos, crop_plan(label_plan), 0, label_plan.samples, patches=labels_patches)

    def batches(start: int) -> Iterator[dict[str, Tensor]]:
        rank, ranks = accelerator.process_index, accelerator.num_processes
        items = stream_batches(stream, cell.optim.batch, start, workers=workers, rank=rank, ranks=ranks)
        for step, item in enumerate(items, start):
            yield {key: item[key] for key in ("square", "boxes", "side")} | supervisor.labels(step, item)

    network = make_student(cell.student, seed=cell.seed)
    network.kind = supervisor.kind
    if network.config.patch and cell.crop.size % network.config.patch:
        raise UserError(f"crop.size {cell.crop.size} is not a multiple of the student's patch, {network.config.patch}")
    first = next(stream_batches(stream, cell.optim.batch, 0))
    cured = cure_dead_head(network.to(accelerator.device), first["square"].to(accelerator.device))
    frozen = frozen_encoder(cell).to(accelerator.device) if "feature" in loss_terms(cell) else None
    weights = {**supervisor.weights, "student": weights_identity(cell.student.model)} | encoder_identity(cell)
    log = StepLog(work / "metrics.csv", listeners=(CollapseDetector(), *listeners))
    fitted = fit(
        network,
        lambda start: prefetch(batches(start), accelerator.device),
        lambda model, batch: cell_loss(model, batch, cell, frozen),
        cell.optim,
        work=work,
        identity=training_identity(cell, photos, weights=weights, labels=supervisor.identities),
        log=log,
        accelerator=accelerator,
        resume=resume,
    )
    accelerator.end_training()
    if not accelerator.is_main_process:
        return
    name = cell_id(cell)
    write_json(out / "config.json", cell.model_dump(mode="json"))
    write_bytes(out / "metrics.csv", log.path.read_bytes())
    origin = f"distilled from {model_name(cell.teacher)}"
    save_network(out / "model.safetensors", fitted.network, input_size=cell.crop.size, origin=origin)
    facts = {
        "cell": name,
        "steps": cell.optim.steps,
        "wall_seconds": round(fitted.seconds, 1),
        "photos_used": len(photos),
        "photos_too_small": too_small,
        "photos_digest": photos.digest(),
        "inputs": {"photos": photos_identity(photos), "labels": supervisor.identities, "weights": weights},
        "files": {file: sha256_file(out / file) for file in ("config.json", "metrics.csv", "model.safetensors")},
        "dead_head_cured": cured,
        "inverted_start_cured": fitted.mirrored,
        "agreement": fitted_agreement(out / "metrics.csv"),
        "assistant_share": supervisor.realised_share(),
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
