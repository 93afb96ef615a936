"""Distillation: students trained from one teacher's pseudo-labels, as study cells describe them, alone or together."""

import contextlib
import csv
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dad.data.crops import CropStream, unit
from dad.data.manifest import open_photos
from dad.distill.features import encoder_identity
from dad.distill.heads import cure_dead_head, make_student
from dad.distill.inputs import photos_as_used, photos_identity, say_photos, training_identity
from dad.distill.labels import crop_plan, stream_batches
from dad.distill.loop import Fitted, Fitting, StepResult, fit_together, prefetch, unwrapped
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
from dad.distill.shared import Shared, check_together
from dad.distill.supervision import ROLES, Supervisor
from dad.errors import CollapseError, UserError
from dad.files import sha256_file, write_bytes, write_json
from dad.identity import write_sealed_json
from dad.models.checkpoints import save_network, weights_identity
from dad.provenance import provenance
from dad.study.cells import cell_id, loss_terms, model_slug
from dad.study.config import Cell
from dad.study.modes import MODES


def cell_loss(network: nn.Module, batch: dict[str, Tensor], cell: Cell, frozen: nn.Module | None) -> StepResult:
    """Eq. 9 for one batch; of several processes each gives its share, and gets the whole batch's loss.

    `batch` holds `square` (B,3,S,S), in [0,1] or eight-bit, `boxes` (B,N,4), `side` (B,), `labels_<view>` and, where
    labels are not trusted everywhere, `mask_<view>` or `weight_<view>`; with `turn` (0 teacher, 1 assistant) the loss
    is logged for each of the two by itself; with `tokens` (B,N,C) feature alignment compares with these.

    `frozen` is the encoder that gives the tokens where the batch has none; None where feature alignment has no weight.
    """
    loss = cell.loss
    how: dict[str, Any] = {"normalization": cell.normalization, "groups": loss.groups, "variant": loss.variant}
    pixels = unwrapped(network).normalise(unit(batch["square"]))
    prediction, features = network(pixels, with_features=True)
    prediction = gathered(prediction.float())
    batch = {key: value if key == "turn" else gathered(value) for key, value in batch.items() if key != "square"}
    weights, terms = loss_terms(cell), {}
    compared: dict[str, tuple[Tensor, Tensor, Tensor | None]] = {}
    trust: dict[str, Tensor | None] = {view: batch.get(f"weight_{view}") for view in ("square", "patches")}
    if "local_global" in weights:
        labels, mask = batch["labels_patches"].float(), batch.get("mask_patches")
        crops = crop_patches(prediction, batch["boxes"], square=batch["side"], size=labels.shape[-1])
        terms["local_global"] = local_global_loss(
            prediction,
            batch["boxes"],
            labels,
            mask,
            square=batch["side"],
            patch_weights=trust["patches"],
            crops=crops,
            **how,
        )
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
        if (anchor := batch.get("tokens")) is None:
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

    Two of the same arguments take the same steps. `shared` is what it has in common with others that are trained
    together with it. Raises UserError for what cannot be trained as it was asked for.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        manifest: Path,
        labels: Path | None,
        assistant_labels: Path | None = None,
        workers: int = 0,
        shared: Shared | None = None,
    ) -> None:
        self.cell = cell = cell_as_used(cell, manifest)
        self.places = {"manifest": manifest, "labels": labels, "assistant_labels": assistant_labels}
        self.workers = workers
        self.accelerator = accelerator_for(cell.optim.precision)
        self.shared = shared = shared or Shared(manifest)
        plan, device = cell.label_plans["teacher"], self.accelerator.device
        self.photos, self.too_small = shared.photos(plan)
        self.supervisor = Supervisor(
            cell, {"teacher": labels, "assistant": assistant_labels}, self.photos, device, shared
        )
        self.labels_patches = "patches" in self.supervisor.in_loop
        self.network = make_student(cell.student, seed=cell.seed)
        self.network.kind = self.supervisor.kind
        if self.network.config.patch and cell.crop.size % self.network.config.patch:
            raise UserError(
                f"crop.size {cell.crop.size} is not a multiple of the student's patch, {self.network.config.patch}"
            )
        first = next(stream_batches(self.stream(patches=False), cell.optim.batch, 0))
        self.cured = cure_dead_head(self.network.to(device), first["square"].to(device))
        self.frozen = shared.frozen(cell, device) if "feature" in loss_terms(cell) else None
        self.weights = {**self.supervisor.weights, "student": weights_identity(cell.student.model)} | encoder_identity(
            cell
        )
        self.identity = training_identity(cell, self.photos, weights=self.weights, labels=self.supervisor.identities)

    def stream(self, *, patches: bool, eight_bit: bool = False) -> CropStream:
        """The crops of all steps, with the patches' pixels where a teacher needs them."""
        plan = self.cell.label_plans["teacher"]
        return CropStream(self.photos, crop_plan(plan), 0, plan.samples, patches=patches, eight_bit=eight_bit)

    def photo_ids(self, step: int) -> list[str]:
        """The photos of a step's batch over all processes."""
        batch, order = self.cell.optim.batch, self.stream(patches=False).order
        return [self.photos.id(order(position)[0]) for position in range(step * batch, (step + 1) * batch)]

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> StepResult:
        """The cell's loss for one batch."""
        return cell_loss(network, batch, self.cell, self.frozen)

    def fit(self, work: Path, log: StepLog, *, resume: bool = True) -> Fitted:
        """Take the steps; see `dad.distill.loop.Fitting`."""
        (fitted,) = fit_all([self], [work], [log], resume=resume)
        assert isinstance(fitted, Fitted)
        return fitted


def _batches(trainings: Sequence[Training], start: int) -> Iterator[tuple[dict[str, Tensor], ...]]:
    """The batches of trainings that see the same crops: one read of the photos, one pass of each teacher needed."""
    lead = trainings[0]
    rank, ranks = lead.accelerator.process_index, lead.accelerator.num_processes
    # pixels become numbers in [0,1] where the networks are: loading processes and the bus carry a quarter
    stream = lead.stream(patches=any(training.labels_patches for training in trainings), eight_bit=True)
    items = stream_batches(stream, lead.cell.optim.batch, start, workers=lead.workers, rank=rank, ranks=ranks)
    for step, item in enumerate(items, start):
        common = {key: item[key] for key in ("square", "boxes", "side")}
        yield tuple(common | training.supervisor.labels(step, item) for training in trainings)


def _with_tokens(
    trainings: Sequence[Training], batches: Iterator[tuple[dict[str, Tensor], ...]]
) -> Iterator[tuple[dict[str, Tensor], ...]]:
    """Add the tokens that several students' feature alignment compares with: one pass of the encoder for them all."""
    for parts in batches:
        found: dict[tuple[Any, ...], Tensor] = {}
        for training, batch in zip(trainings, parts, strict=True):
            if training.frozen is None or "tokens" in batch:
                continue
            policy = training.network.policy
            key = (training.frozen, policy.mean, policy.std)
            if key not in found:
                with torch.no_grad():
                    found[key] = training.frozen(training.network.normalise(unit(batch["square"])))
            batch["tokens"] = found[key]
        yield parts


def fit_all(
    trainings: Sequence[Training], works: Sequence[Path], logs: Sequence[StepLog], *, resume: bool = True
) -> list[Fitted | CollapseError]:
    """Take the steps of trainings that see the same crops; see `dad.distill.loop.fit_together`."""
    fittings: list[Fitting] = []
    with contextlib.ExitStack() as stack:
        for training, work, log in zip(trainings, works, logs, strict=True):
            of = {"work": work, "identity": training.identity, "log": log, "accelerator": training.accelerator}
            fittings.append(Fitting(training.network, training.loss, training.cell.optim, resume=resume, **of))
            stack.callback(fittings[-1].close)
        device = trainings[0].accelerator.device
        return fit_together(
            fittings, lambda start: _with_tokens(trainings, prefetch(_batches(trainings, start), device))
        )


@dataclass(frozen=True)
class Run:
    """A student to train: its cell, the folder of what comes of it, that of its checkpoints, who gets its rows."""

    cell: Cell
    out: Path
    work: Path
    listeners: tuple[Any, ...] = ()


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
    """Train the student of `cell`; see `train_together`."""
    places = {"manifest": manifest, "labels": labels, "assistant_labels": assistant_labels}
    train_together([Run(cell, out, work, listeners)], resume=resume, workers=workers, **places)


def train_together(
    runs: Sequence[Run],
    *,
    manifest: Path,
    labels: Path | None,
    assistant_labels: Path | None = None,
    resume: bool = True,
    workers: int = 0,
) -> None:
    """Train students; each one's config.json, metrics.csv, model.safetensors and, last, provenance.json are written
    into its `out`.

    Several must share the teacher's label plan: photos are decoded, and teachers and the frozen encoder run, once for
    all of them, and the students take each step one after the other. Each becomes what it becomes alone, and has
    checkpoints of its own: an interrupted group goes on, in the same company, in another or alone.

    `labels` and `assistant_labels` are the folders of the label caches (needed when `labels.mode` is cached). A run's
    `work` holds its resumable checkpoints and is removed when all are written. `listeners` get the rows of the step log
    as they are written.

    What is written is what was used: where the manifest lists other photos than the cell's, the config is that of these
    photos. provenance.json holds digests of everything that went in (photos, labels, weights of teacher, assistant and
    start) and of the files beside it. A training that was interrupted goes on only with the same contents. What leads
    to a collapse is kept in `work` (`dad.distill.replay`); the other students of the group are trained to their end and
    written before CollapseError is raised.
    """
    started = datetime.now(UTC)
    check_together([run.cell for run in runs])
    shared = Shared(manifest)
    places = {"manifest": manifest, "labels": labels, "assistant_labels": assistant_labels}
    trainings = [Training(run.cell, workers=workers, shared=shared, **places) for run in runs]
    several = len(runs) > 1
    logs = [
        StepLog(
            run.work / "metrics.csv",
            listeners=(CollapseDetector(scaled=training.cell.optim.precision == "fp16"), *run.listeners),
            name=cell_id(training.cell) if several else "",
        )
        for run, training in zip(runs, trainings, strict=True)
    ]
    try:
        results = fit_all(trainings, [run.work for run in runs], logs, resume=resume)
    except CollapseError as error:
        if several:
            raise
        results = [error]
    accelerator = trainings[0].accelerator
    messages = []
    for run, training, fitted in zip(runs, trainings, results, strict=True):
        if isinstance(fitted, CollapseError):
            kept = keep_collapse(run.work, training, fitted)
            whose = f"{cell_id(training.cell)}: " if several else ""
            messages.append((fitted, f"{whose}{fitted}; see it again: dad train --replay {kept}"))
    if len(messages) < len(runs):
        accelerator.end_training()
    if not accelerator.is_main_process:
        return
    for run, training, log, fitted in zip(runs, trainings, logs, results, strict=True):
        if isinstance(fitted, Fitted):
            _write(run.out, training, log, fitted, started=started, company=[cell_id(one.cell) for one in trainings])
    if messages:
        raise CollapseError("; ".join(text for _, text in messages), step=messages[0][0].step) from None
    for run in runs:
        shutil.rmtree(run.work)


def _write(
    out: Path, training: Training, log: StepLog, fitted: Fitted, *, started: datetime, company: list[str]
) -> None:
    """A finished student's files; `company`: those it was trained with, and itself."""
    cell, photos, accelerator = training.cell, training.photos, training.accelerator
    write_json(out / "config.json", cell.model_dump(mode="json"))
    write_bytes(out / "metrics.csv", log.path.read_bytes())
    origin = f"distilled from {model_name(cell.teacher)}"
    save_network(out / "model.safetensors", fitted.network, input_size=cell.crop.size, origin=origin)
    inputs = {"photos": photos_identity(photos), "labels": training.supervisor.identities, "weights": training.weights}
    facts = {
        "cell": cell_id(cell),
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
        "labels_stored": training.supervisor.stored,
        "assistant_share": training.supervisor.realised_share(),
        "parameters": sum(p.numel() for p in fitted.network.parameters()),
        "processes": accelerator.num_processes,
        "students_together": len(company),
        "company": company,
        "segments": fitted.segments,
    }
    write_sealed_json(out / "provenance.json", facts | provenance(str(accelerator.device), started))


def fitted_agreement(log: Path, steps: int = 20) -> float:
    """Mean correlation of maps with labels over the last `steps`; said if negative: such a student is upside down."""
    rows = list(csv.DictReader(log.read_text().splitlines()))[-steps:]
    mean = sum(float(row["agreement"]) for row in rows) / len(rows)
    if mean < 0:
        print(
            f"the student's maps are upside down: their correlation with the labels is {mean:.2f} at the end",
            file=sys.stderr,
        )
    return mean


def cell_as_used(cell: Cell, manifest: Path) -> Cell:
    """The cell that training `cell` on `manifest`'s photos really is; if they are not the cell's own, that is said."""
    used = photos_as_used(cell.photos, open_photos(manifest))
    say_photos(cell.photos, used, manifest)
    return cell.model_copy(update={"photos": used})


def model_name(model: str) -> str:
    """A model as weights files name it: its name or path's last part; equal weights at two places are equal files."""
    return model_slug(model) if Path(model).expanduser().exists() else model
