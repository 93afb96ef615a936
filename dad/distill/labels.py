"""Pseudo-labels: a teacher's maps for the crops of the training stream, computed once and read by every cell that needs
them.

A label cache is a folder per view (`square`, `patches`): safetensors shards of consecutive stream positions and, once
all are there, `index.json`. Labels are rounded to the stored dtype in the online mode too, so both modes train on the
same numbers.

Labels belong to the contents they were made from (`dad.distill.inputs.label_identity`). Asked for again with other
photos, other weights or a newer version of the code, a cache of the same plan is made anew, which is said; one of
another plan is left alone and refused. Every shard carries the identity and a checksum, so an interrupted call goes on
from what belongs and is whole.
"""

import functools
import json
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from dad.data.crops import CropPlan, CropStream, unit, usable
from dad.data.manifest import open_photos
from dad.data.photos import Photos
from dad.distill.inputs import Identity, label_identity, photos_as_used, say_photos
from dad.errors import UserError
from dad.files import atomic_path, read_json, sha256_file, sha256_json, write_json
from dad.identity import differences, read_sealed_json, tensors_digest, write_sealed_json
from dad.models.checkpoints import weights_identity
from dad.models.estimator import AnyEstimator, load
from dad.progress import Progress
from dad.study.base import identity as plan_identity
from dad.study.base import parse_model
from dad.study.config import LabelPlan

MEMORY = 512
"""Megabytes of decoded photos that a process keeps if all of them fit and are read more than once; else none."""
VIEWS = ("square", "patches")
SHARD = 256
"""Stream positions per shard file; a multiple of every reasonable batch, small enough to lose little if interrupted."""
LEVELS = 128
"""A map is stored in float16 only if it keeps about this many levels: the mean rounding error may be at most 1/LEVELS
of the mean absolute deviation from the median. (Values spread evenly over N steps of the stored type have the ratio
1/N; of the zoo's maps of photographs and scenes the worst of 600 has 1/438.)
"""
FLAT = 1e-6
"""A map whose deviation is below this share of its median is constant up to float32's rounding: no levels to lose."""


def crop_plan(plan: LabelPlan) -> CropPlan:
    """How crops are drawn. Plans that differ in the teacher alone draw the same crops."""
    crop = plan.crop
    return CropPlan(
        seed=plan.seed,
        min_crop=crop.min_crop,
        size=crop.size,
        patches=crop.patches,
        flip=crop.flip,
        context=plan.context,
    )


def training_photos(plan: LabelPlan, manifest: Path) -> tuple[Photos, int]:
    """The photos a plan draws from, and how many of the manifest are too small for its `min_crop`."""
    photos, small = usable(open_photos(manifest), plan.crop.min_crop)
    if plan.photos.source == "folder" and plan.photos.count is not None:
        if plan.photos.count > len(photos):
            raise UserError(
                f"photos.count is {plan.photos.count}, but {manifest} has only {len(photos)} photos that are large "
                "enough"
            )
        photos = photos.subset(plan.photos.count)
    decoded = sum(3 * photo.width * photo.height for photo in photos.records)
    again = decoded <= MEMORY * 2**20 and plan.samples > len(photos)
    return photos.remembering(MEMORY if again else 0), len(small)


def stream_batches(
    stream: CropStream, batch: int, start: int, *, workers: int = 0, rank: int = 0, ranks: int = 1
) -> Iterator[dict[str, Any]]:
    """Batches of the training stream from step `start` on; process `rank` of `ranks` gets its equal share of each."""
    if batch % ranks:
        raise UserError(f"optim.batch ({batch}) must be a multiple of the number of processes ({ranks})")
    share = batch // ranks
    mine = [step * batch + rank * share + i for step in range(start, len(stream) // batch) for i in range(share)]
    return iter(DataLoader(Subset(stream, mine), batch_size=share, num_workers=workers, persistent_workers=False))


def stored_as(maps: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Maps (K,1,H,W) float32 as they are stored, and which of them (K,) lose their levels in `dtype` (see `LEVELS`).

    Those keep float32, map by map, so that what a map becomes does not depend on the others of its batch; the result
    has `dtype` where there are none.
    """
    stored = maps.to(dtype)
    if dtype == torch.float32:
        return stored, torch.zeros(len(maps), dtype=torch.bool)
    values = maps.flatten(1).double()
    middle = values.median(1, keepdim=True).values
    spread = (values - middle).abs().mean(1)
    error = (stored.flatten(1).double() - values).abs().mean(1)
    lost = (error > spread / LEVELS) & (spread > FLAT * middle[:, 0].abs())
    return torch.where(lost[:, None, None, None], maps, stored.float()) if lost.any() else stored, lost


def load_teacher(plan: LabelPlan, device: str) -> AnyEstimator:
    """The estimator that a plan's labels are of, at the crops' size and in the plan's precision."""
    return load(plan.teacher, device=device, short_side=plan.crop.size, precision=plan.precision)


def label_view(
    teacher: AnyEstimator, batch: dict[str, Any], view: str, dtype: torch.dtype, *, chunk: int | None = None
) -> Tensor:
    """The teacher's maps for one view of a batch: `square` (B,1,S,S) or `patches` (B,N,1,S,S), on the CPU, as
    `stored_as` says.

    `chunk`: how many crops go through the teacher at once; None: all.

    Raises UserError naming teacher and photos where a value is not finite in `dtype`; that float32 is taken instead is
    said once.
    """
    pixels = batch[view]
    flat = pixels.flatten(0, 1) if view == "patches" else pixels
    device = getattr(teacher, "device", flat.device)
    maps = torch.cat(
        [teacher(unit(part.to(device))).to("cpu", torch.float32) for part in flat.split(chunk or len(flat))]
    )
    per_photo = len(maps) // len(pixels)
    infinite = ~torch.isfinite(maps.to(dtype)).flatten(1).all(1)
    if infinite.any():
        cure = "use labels.dtype: float32" if torch.isfinite(maps).all() else "its weights or these photos are unusable"
        names = ", ".join(_photos_of(infinite, per_photo, batch))
        raise UserError(f"teacher {teacher.name} gave values that {dtype} cannot hold for photos {names}: {cure}")
    stored, lost = stored_as(maps, dtype)
    if lost.any():
        _say_lost(teacher.name, _photos_of(lost, per_photo, batch)[0])
    return stored.unflatten(0, pixels.shape[:2]) if view == "patches" else stored


def _photos_of(marked: Tensor, per_photo: int, batch: dict[str, Any]) -> list[str]:
    """Ids of the photos that marked maps belong to; each photo of the batch has `per_photo` maps."""
    return list(dict.fromkeys(batch["photo_id"][int(number) // per_photo] for number in marked.nonzero()))


_spoken_of: set[str] = set()


def _say_lost(teacher: str, photo: str) -> None:
    """Say once per teacher that float16 is not enough."""
    if teacher not in _spoken_of:
        _spoken_of.add(teacher)
        print(
            f"teacher {teacher}: its map of {photo} would keep fewer than {LEVELS} levels in float16 (values too "
            "small, or in too narrow a range): it is kept in float32, and so is every other such map; labels.dtype: "
            "float32 says so for all",
            file=sys.stderr,
        )


def compute_labels(
    plan: LabelPlan, manifest: Path, view: str, out: Path, *, device: str = "cpu", workers: int = 0
) -> None:
    """Fill the label cache `out` for one view of the plan's crops; shards that are there, belong and are whole stay."""
    if view not in VIEWS:
        raise UserError(f"unknown view {view!r}; choose one of {', '.join(VIEWS)}")
    used = photos_as_used(plan.photos, open_photos(manifest))
    say_photos(plan.photos, used, manifest)
    plan = plan.model_copy(update={"photos": used})
    photos, too_small = training_photos(plan, manifest)
    if too_small:
        print(f"{too_small} photos are smaller than min_crop {plan.crop.min_crop} and left out", file=sys.stderr)
    identity = label_identity(plan, photos, weights=weights_identity(plan.teacher))
    described = plan.model_dump(mode="json")
    _make_room(out, described, identity)
    write_json(out / "plan.json", {"plan": described, "identity": identity})
    teacher = load_teacher(plan, device)
    samples, batch, dtype = plan.samples, plan.batch, getattr(torch, plan.dtype)
    stream = CropStream(photos, crop_plan(plan), 0, samples, patches=view == "patches", eight_bit=True)
    per_shard = max(1, SHARD // batch) * batch
    belongs = sha256_json([identity, view])
    shards = []
    # one shard is written while the teacher computes the next
    with Progress("labels", samples, "crop") as progress, ThreadPoolExecutor(1) as writer:
        written: Future[None] | None = None
        for start in range(0, samples, per_shard):
            stop = min(start + per_shard, samples)
            path = out / f"shard-{start:08d}.safetensors"
            about = {"identity": belongs, "start": start, "stop": stop}
            if path.exists() and _shard_problem(path, about) is None:
                progress.advance(stop - start)
            else:
                if path.exists():
                    print(f"{path} {_shard_problem(path, about)}: computed again", file=sys.stderr)
                loader = DataLoader(Subset(stream, range(start, stop)), batch_size=batch, num_workers=workers)
                labels = []
                for item in loader:
                    labels.append(label_view(teacher, item, view, dtype, chunk=plan.chunk))
                    progress.advance(len(labels[-1]))
                if written is not None:
                    written.result()
                written = writer.submit(_write_shard, path, torch.cat(labels), about)
            shards.append({"file": path.name, "start": start, "stop": stop})
        if written is not None:
            written.result()
    shards = [shard | {"sha256": sha256_file(out / str(shard["file"]))} for shard in shards]
    index = {"plan": described, "identity": identity, "view": view, "kind": teacher.kind, "photos": photos.digest()}
    write_sealed_json(out / "index.json", index | {"shards": shards})


def _make_room(out: Path, described: dict[str, Any], identity: Identity) -> None:
    """Remove labels of the same plan that belong to other contents. Raises UserError for labels of another plan."""
    held = _held(out)
    if held is None:
        return
    plan, before = held
    names = {key: (plan.model_dump(mode="json")[key], described[key]) for key in ("teacher", "photos")}
    rest = {key: value for key, value in plan_identity(plan).items() if key not in names}
    changed = differences(before, identity)
    moved = [key for key, (then, now) in names.items() if then != now]
    # a name that changed matters only if what it stands for changed with it
    contents = {"teacher": "weights", "photos": "photos"}
    if rest != identity["plan"] or any(contents[key] in changed for key in moved):
        raise UserError(f"{out} holds labels of another plan: choose another folder or remove it")
    if not changed:
        return
    what = {
        "stage": "version of the labelling code",
        "photos": "photos",
        "weights": f"weights of {described['teacher']}",
    }
    names_of = ", ".join(what.get(part, part) for part in changed) if before else "origin, which is not recorded"
    print(f"{out}: its labels are of another {names_of}: they are removed and computed again", file=sys.stderr)
    (out / "index.json").unlink(missing_ok=True)
    for shard in out.glob("shard-*.safetensors"):
        shard.unlink()


def _held(out: Path) -> tuple[LabelPlan, Identity] | None:
    """The plan and the identity (empty where none was recorded) of the labels in a folder; None without labels."""
    if not (out / "plan.json").exists():
        return None
    try:
        found = read_json(out / "plan.json")
        plan = parse_model(LabelPlan, found.get("plan", found), source="plan.json")
        return plan, dict(found.get("identity") or {})
    except (ValueError, AttributeError, TypeError):
        raise UserError(f"{out / 'plan.json'} is damaged: remove {out} to compute these labels again") from None


def _write_shard(path: Path, labels: Tensor, about: dict[str, Any]) -> None:
    """One shard, with what it belongs to and its checksum in the header."""
    tensors = {"labels": labels}
    description = about | {"sha256": tensors_digest(tensors, about)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"dad": json.dumps(description, sort_keys=True)})


def _shard_problem(path: Path, about: dict[str, Any]) -> str | None:
    """What keeps a shard from being used as the one that `about` describes; None if nothing does."""
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {})["dad"])
            tensors = {"labels": file.get_tensor("labels")}
        checksum = description.pop("sha256")
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError):
        return "is damaged"
    if description != about:
        return "belongs to other labels"
    return None if checksum == tensors_digest(tensors, about) else "is damaged (its contents do not fit its checksum)"


class LabelCache:
    """Reader of one view's label cache. Raises UserError when it is unfinished or damaged, or belongs to other inputs.

    Where the teacher's weights are not on this machine, the labels are taken for what their index says, which is said.
    `weights` is the digest of these weights, `digest` stands for the labels' own contents.
    """

    def __init__(self, root: Path, plan: LabelPlan, photos: Photos) -> None:
        if not (root / "index.json").exists():
            raise UserError(f"{root} holds no finished labels (index.json is missing): run `dad label` for this cell")
        index = read_sealed_json(root / "index.json")
        found = index.get("identity") or {}
        identity = label_identity(plan, photos, weights=weights_identity(plan.teacher, fetch=False))
        if identity["weights"] is None:
            identity["weights"] = found.get("weights")
            print(
                f"{plan.teacher} is not on this machine: that {root} holds its labels is not checked", file=sys.stderr
            )
        changed = differences(found, identity)
        if any(part.startswith("plan") for part in changed):
            raise UserError(f"{root} holds labels of another plan than the cell's: run `dad label` for this cell")
        if changed:
            what = {
                "photos": "was labelled for other photos than the manifest's",
                "weights": f"was labelled by other weights than {index['plan']['teacher']} has now",
                "stage": "was labelled by another version of the labelling code",
            }
            raise UserError(f"{root} {what.get(changed[0], 'does not say what it belongs to')}: run `dad label` again")
        self.root, self.shards, self.kind = root, index["shards"], index["kind"]
        self.weights = found["weights"]
        self.digest = sha256_json([index["kind"], [shard["sha256"] for shard in self.shards]])

    @functools.lru_cache(maxsize=2)  # noqa: B019 (one cache object per training)
    def _shard(self, number: int) -> Tensor:
        shard = self.shards[number]
        path = self.root / shard["file"]
        try:
            if sha256_file(path) != shard["sha256"]:
                raise ValueError("its contents do not fit the checksum in index.json")
            with safe_open(path, framework="pt") as file:
                return file.get_tensor("labels")
        except (SafetensorError, OSError, ValueError) as error:
            raise UserError(f"{path} is damaged or missing ({error}): run `dad label` again") from None

    def read(self, positions: Tensor) -> Tensor:
        """Labels of the given stream positions (B,), float32: (B,1,S,S) or (B,N,1,S,S)."""
        width = self.shards[0]["stop"]
        return torch.stack([self._shard(int(p) // width)[int(p) % width].float() for p in positions])
