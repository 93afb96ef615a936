"""Pseudo-labels: a teacher's maps for the crops of the training stream, computed once and read by every cell that needs them.

A label cache is a folder per view (`square`, `patches`): safetensors shards of consecutive stream positions and, once all are
there, `index.json`. Labels are rounded to the stored dtype in the online mode too, so both modes train on the same numbers.
"""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from dad.data.crops import CropPlan, CropStream, usable
from dad.data.manifest import open_photos
from dad.data.photos import Photos
from dad.errors import UserError
from dad.files import atomic_path, read_json, sha256_file, write_json
from dad.models.estimator import Estimator, load
from dad.progress import Progress
from dad.study.config import LabelPlan

MEMORY = 512
"""Megabytes of decoded photos that a process keeps: all photos of a small study, a fraction of a large one."""
VIEWS = ("square", "patches")
SHARD = 256
"""Stream positions per shard file; a multiple of every reasonable batch, small enough to lose little when interrupted."""


def crop_plan(plan: LabelPlan) -> CropPlan:
    """How crops are drawn. Plans that differ in the teacher alone draw the same crops."""
    crop = plan.crop
    return CropPlan(
        seed=plan.seed, min_crop=crop.min_crop, size=crop.size, patches=crop.patches, flip=crop.flip, context=plan.context
    )


def training_photos(plan: LabelPlan, manifest: Path) -> tuple[Photos, int]:
    """The photos a plan draws from, and how many of the manifest are too small for its `min_crop`."""
    photos, small = usable(open_photos(manifest), plan.crop.min_crop)
    if plan.photos.source == "folder" and plan.photos.count is not None:
        if plan.photos.count > len(photos):
            raise UserError(
                f"photos.count is {plan.photos.count}, but {manifest} has only {len(photos)} photos that are large enough"
            )
        photos = photos.subset(plan.photos.count)
    return photos.remembering(MEMORY), len(small)


def stream_batches(
    stream: CropStream, batch: int, start: int, *, workers: int = 0, rank: int = 0, ranks: int = 1
) -> Iterator[dict[str, Any]]:
    """Batches of the training stream from step `start` on; process `rank` of `ranks` gets its equal share of each."""
    if batch % ranks:
        raise UserError(f"optim.batch ({batch}) must be a multiple of the number of processes ({ranks})")
    share = batch // ranks
    mine = [step * batch + rank * share + i for step in range(start, len(stream) // batch) for i in range(share)]
    return iter(DataLoader(Subset(stream, mine), batch_size=share, num_workers=workers, persistent_workers=False))


def label_view(teacher: Estimator, batch: dict[str, Any], view: str, dtype: torch.dtype) -> Tensor:
    """The teacher's maps for one view of a batch: `square` (B,1,S,S) or `patches` (B,N,1,S,S), in `dtype` on the CPU."""
    pixels = batch[view]
    flat = pixels.flatten(0, 1) if view == "patches" else pixels
    maps = teacher(flat).to("cpu", dtype)
    if not torch.isfinite(maps).all():
        photos = ", ".join(batch["photo_id"])
        raise UserError(
            f"teacher {teacher.name} gave values that {dtype} can not hold for photos {photos}: use labels.dtype: float32"
        )
    return maps.unflatten(0, pixels.shape[:2]) if view == "patches" else maps


def compute_labels(plan: LabelPlan, manifest: Path, view: str, out: Path, *, device: str = "cpu", workers: int = 0) -> None:
    """Fill the label cache `out` for one view of the plan's crops; shards that are there already are kept."""
    if view not in VIEWS:
        raise UserError(f"unknown view {view!r}; choose one of {', '.join(VIEWS)}")
    described, dtype = plan.model_dump(mode="json"), getattr(torch, plan.dtype)
    if (out / "plan.json").exists() and read_json(out / "plan.json") != described:
        raise UserError(f"{out} holds labels of another plan: choose another folder or remove it")
    photos, too_small = training_photos(plan, manifest)
    if too_small:
        print(f"{too_small} photos are smaller than min_crop {plan.crop.min_crop} and left out", file=sys.stderr)
    write_json(out / "plan.json", described)
    teacher = load(plan.teacher, device=device, short_side=plan.crop.size)
    samples, batch = plan.samples, plan.batch
    stream = CropStream(photos, crop_plan(plan), 0, samples, patches=view == "patches")
    per_shard = max(1, SHARD // batch) * batch
    shards = []
    with Progress("labels", samples, "crop") as progress:
        for start in range(0, samples, per_shard):
            stop = min(start + per_shard, samples)
            path = out / f"shard-{start:08d}.safetensors"
            if not path.exists():
                loader = DataLoader(Subset(stream, range(start, stop)), batch_size=batch, num_workers=workers)
                labels = []
                for item in loader:
                    labels.append(label_view(teacher, item, view, dtype))
                    progress.advance(len(labels[-1]))
                with atomic_path(path) as temporary:
                    save_file({"labels": torch.cat(labels)}, temporary)
            else:
                progress.advance(stop - start)
            shards.append({"file": path.name, "start": start, "stop": stop, "sha256": sha256_file(path)})
    write_json(
        out / "index.json", {"plan": described, "view": view, "kind": teacher.kind, "photos": photos.digest(), "shards": shards}
    )


class LabelCache:
    """Reader of one view's label cache. Raises UserError when it is unfinished or was made for another plan."""

    def __init__(self, root: Path, plan: LabelPlan, photos: Photos) -> None:
        if not (root / "index.json").exists():
            raise UserError(f"{root} holds no finished labels (index.json is missing): run `dad label` for this cell")
        index = read_json(root / "index.json")
        if index["plan"] != plan.model_dump(mode="json"):
            raise UserError(f"{root} holds labels of another plan than the cell's: run `dad label` for this cell")
        if index["photos"] != photos.digest():
            raise UserError(f"{root} was labelled for other photos than the manifest's: label again")
        self.root, self.shards, self.kind = root, index["shards"], index["kind"]

    @functools.lru_cache(maxsize=2)  # noqa: B019 (one cache object per training)
    def _shard(self, number: int) -> Tensor:
        with safe_open(self.root / self.shards[number]["file"], framework="pt") as file:
            return file.get_tensor("labels")

    def read(self, positions: Tensor) -> Tensor:
        """Labels of the given stream positions (B,) in the stored dtype: (B,1,S,S) or (B,N,1,S,S)."""
        width = self.shards[0]["stop"]
        return torch.stack([self._shard(int(p) // width)[int(p) % width] for p in positions])
