"""Distillation: one student trained from one teacher's pseudo-labels, as a cell of the study describes it."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dad.data.crops import CropStream
from dad.distill.heads import cure_dead_head, make_student
from dad.distill.labels import LabelCache, crop_plan, label_view, stream_batches, training_photos
from dad.distill.loop import StepResult, fit, prefetch, unwrapped
from dad.distill.losses import (
    LossWeights,
    crop_patches,
    distillation_loss,
    feature_alignment_loss,
    local_global_loss,
    normalised_gradient_loss,
    total_loss,
)
from dad.distill.monitor import CollapseDetector, StepLog
from dad.errors import UserError
from dad.files import sha256_json, write_bytes, write_json
from dad.models.checkpoints import load_network, save_network
from dad.models.estimator import load
from dad.provenance import provenance
from dad.study.cells import cell_id, label_views
from dad.study.config import Cell


def cell_loss(network: nn.Module, batch: dict[str, Tensor], cell: Cell, frozen: nn.Module | None) -> StepResult:
    """Eq. 9 for one batch. `batch` holds `square` (B,3,S,S) in [0,1], `boxes` (B,N,4), `side` (B,) and `labels_<view>`.

    `frozen` is the encoder that feature alignment compares with, or None where that term has no weight.
    """
    loss = cell.loss
    how: dict[str, Any] = {"normalization": cell.normalization, "groups": loss.groups, "variant": loss.variant}
    pixels = unwrapped(network).normalise(batch["square"])
    prediction, features = network(pixels, with_features=True)
    prediction = prediction.float()
    terms: dict[str, Tensor] = {}
    pairs = None
    if "labels_patches" in batch:
        labels = batch["labels_patches"].float()
        terms["local_global"] = local_global_loss(prediction, batch["boxes"], labels, square=batch["side"], **how)
        crops = crop_patches(prediction, batch["boxes"], square=batch["side"], size=labels.shape[-1])
        pairs = crops.flatten(0, 1), labels.flatten(0, 1)
    if "labels_square" in batch:
        labels = batch["labels_square"].float()
        terms["shared"] = distillation_loss(prediction, labels, **how)
        pairs = prediction, labels
    assert pairs is not None, "a batch without labels"
    if loss.gradient:
        matching = {"normalization": cell.normalization, "variant": loss.variant, "scales": loss.gradient_scales}
        terms["gradient"] = normalised_gradient_loss(*pairs, **matching)
    if frozen is not None:
        with torch.no_grad():
            anchor = frozen(pixels)
        terms["feature"] = feature_alignment_loss(features, anchor, margin=loss.feature_margin)
    weights = LossWeights(local_global=loss.local_global, feature=loss.feature, gradient=loss.gradient)
    total, logged = total_loss(weights, **terms)
    return StepResult(total, {f"loss_{name}": value for name, value in logged.items() if name != "total"}, prediction)


class _Encoder(nn.Module):
    """The frozen encoder of feature alignment, in the student's own family."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self.network = load_network(model)[0].eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised input (B,3,S,S) -> tokens (B,N,C)."""
        return self.network.encode(pixels)


def train(
    cell: Cell,
    *,
    manifest: Path,
    labels: Path | None,
    out: Path,
    work: Path,
    resume: bool = True,
    workers: int = 0,
    listeners: tuple[Any, ...] = (),
) -> None:
    """Train the student of `cell`; writes config.json, metrics.csv, model.safetensors and, last, provenance.json into `out`.

    `labels` is the folder of the cell's label cache (needed when `labels.mode` is cached). `work` holds the resumable
    checkpoint and is removed at the end. `listeners` get the rows of the step log as they are written.
    """
    started = datetime.now(UTC)
    accelerator = Accelerator(mixed_precision=cell.optim.precision)
    label_plan = cell.label_plan
    photos, too_small = training_photos(label_plan, manifest)
    sources = _label_sources(cell, labels, photos, accelerator.device)
    labels_patches = cell.labels.mode == "online" and "patches" in label_views(cell)
    stream = CropStream(photos, crop_plan(label_plan), 0, label_plan.samples, patches=labels_patches)

    def batches(start: int) -> Iterator[dict[str, Tensor]]:
        rank, ranks = accelerator.process_index, accelerator.num_processes
        for item in stream_batches(stream, cell.optim.batch, start, workers=workers, rank=rank, ranks=ranks):
            batch = {key: item[key] for key in ("square", "boxes", "side")}
            yield batch | {f"labels_{view}": source(item) for view, source in sources.items()}

    network = make_student(cell.student, seed=cell.seed)
    if network.config.patch and cell.crop.size % network.config.patch:
        raise UserError(f"crop.size {cell.crop.size} is not a multiple of the student's patch, {network.config.patch}")
    first = next(stream_batches(stream, cell.optim.batch, 0))
    cured = cure_dead_head(network, first["square"])
    frozen = _Encoder(cell.student.model).to(accelerator.device) if cell.loss.feature else None
    log = StepLog(work / "metrics.csv", listeners=(CollapseDetector(), *listeners))
    network, seconds = fit(
        network,
        lambda start: prefetch(batches(start), accelerator.device),
        lambda model, batch: cell_loss(model, batch, cell, frozen),
        cell.optim,
        work=work,
        identity=sha256_json(cell.model_dump(mode="json"))[:8],
        log=log,
        accelerator=accelerator,
        resume=resume,
    )
    if not accelerator.is_main_process:
        return
    name = cell_id(cell)
    write_json(out / "config.json", cell.model_dump(mode="json"))
    write_bytes(out / "metrics.csv", log.path.read_bytes())
    save_network(
        out / "model.safetensors", network, input_size=cell.crop.size, origin=f"distilled from {cell.teacher}, cell {name}"
    )
    facts = {
        "cell": name,
        "steps": cell.optim.steps,
        "wall_seconds": round(seconds, 1),
        "photos_used": len(photos),
        "photos_too_small": too_small,
        "photos_digest": photos.digest(),
        "dead_head_cured": cured,
        "parameters": sum(p.numel() for p in network.parameters()),
        "processes": accelerator.num_processes,
    }
    write_json(out / "provenance.json", facts | provenance(str(accelerator.device), started))
    shutil.rmtree(work)


def _label_sources(cell: Cell, labels: Path | None, photos: Any, device: torch.device) -> dict[str, Any]:
    """For each view the mode needs, a function from a batch of the stream to its labels."""
    views = label_views(cell)
    if cell.labels.mode == "cached":
        if labels is None:
            raise UserError("labels.mode is cached: give the folder of the label cache (--labels)")
        caches = {view: LabelCache(labels / view, cell.label_plan, photos) for view in views}
        return {view: lambda item, cache=cache: cache.read(item["index"]) for view, cache in caches.items()}
    teacher = load(cell.teacher, device=str(device), short_side=cell.crop.size)
    dtype = getattr(torch, cell.labels.dtype)
    return {view: lambda item, view=view: label_view(teacher, item, view, dtype) for view in views}
