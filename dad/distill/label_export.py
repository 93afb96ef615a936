"""Pseudo-labels for other projects' trainers: images and depth maps in the layout of Ultralytics' depth data sets."""

from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image

from dad.data.crops import CropStream
from dad.data.photos import order_key
from dad.distill.labels import LabelCache, crop_plan, training_photos
from dad.errors import UserError
from dad.files import atomic_folder, write_json
from dad.identity import read_sealed_json
from dad.outputs import check_outputs
from dad.pointcloud import relative_to_depth, require_distances
from dad.progress import Progress
from dad.study.base import parse_model
from dad.study.config import LabelPlan

MILLIMETRES = 1000
"""Steps of a 16-bit PNG per metre, Ultralytics' default `depth_scale`."""

FARTHEST = 65.0
"""Metres that a 16-bit PNG in millimetres can hold, rounded down."""


def export_labels(
    labels: Path,
    manifest: Path,
    out: Path,
    *,
    depth_format: str = "npy",
    count: int | None = None,
    val: float = 0.1,
    near: float = 1.0,
    far: float = 10.0,
) -> dict[str, int]:
    """Write the crops of a label cache with the teacher's maps as a data set; returns how many pairs `train` and `val`
    have.

    labels: the folder of one view (`LABELS/square` or `LABELS/patches`); manifest: the photos that it was made for. out
    gets

        images/{train,val}/NAME.png     the crops as the students see them
        depth/{train,val}/NAME.npy      float32 (H,W), or NAME.png, 16 bit in millimetres; above 0, for 0 is "no depth"
        data.yaml                       as `yolo depth train data=OUT/data.yaml` reads it
        source.json                     the teacher, its weights' digest, the plan, and what the depths are

    NAME is the position in the training stream, with the patch's number where there are patches. count: only the first
    crops. val: the share of photos (not crops, so that no photo is in both) that goes to `val`; with 0 `val` is `train`
    again.

    A teacher's map has no unit. Depth runs from `near` to `far` in each map: a disparity's range is laid between 1/far
    and 1/near, and inverted. So a map's factor and offset are assumptions; its order and, in disparity, the ratios of
    its differences are the teacher's.

    The folder appears whole or not at all. Raises UserError for labels that are unfinished or belong to other photos.
    """
    require_distances(near, far)
    if depth_format == "png" and far > FARTHEST:
        raise UserError(
            f"--far {far:g}: a 16-bit PNG in millimetres ends at {FARTHEST:g} m: give a smaller one, or --depth npy"
        )
    if not 0 <= val < 1:
        raise UserError(f"--val {val:g}: a share of the photos from 0 to below 1 is needed")
    check_outputs(folders={"--out": out}, read={"--labels": labels, "--manifest": manifest})
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"--out {out} is not empty: give a new folder")
    if not (labels / "index.json").exists():
        inside = [name for name in ("square", "patches") if (labels / name / "index.json").exists()]
        hint = f": give {labels / inside[0]}" if inside else ": run `dad label` first"
        raise UserError(f"--labels {labels} is not the folder of one view's finished labels{hint}")
    index = read_sealed_json(labels / "index.json")
    if not {"plan", "view", "identity", "shards"} <= index.keys():
        raise UserError(f"{labels / 'index.json'} is no index of labels: run `dad label` first")
    plan = parse_model(LabelPlan, index["plan"], source=str(labels / "index.json"))
    photos, _ = training_photos(plan, manifest)
    cache = LabelCache(labels, plan, photos)
    stream = CropStream(
        photos, crop_plan(plan), 0, min(count or plan.samples, plan.samples), patches=index["view"] == "patches"
    )
    held_out = _held_out(photos.ids, val, plan.seed)
    written = {"train": 0, "val": 0}
    with atomic_folder(out) as folder, Progress("export labels", len(stream), "crop") as progress:
        for kind in ("images", "depth"):
            for part in written:
                (folder / kind / part).mkdir(parents=True)
        for position in range(len(stream)):
            item = stream[position]
            part = "val" if item["photo_id"] in held_out else "train"
            images, maps = item[index["view"]], cache.read(torch.tensor([position]))[0]
            several = index["view"] == "patches"
            for number, (image, label) in enumerate(zip(images, maps, strict=True) if several else [(images, maps)]):
                name = f"{position:08d}" + (f"-{number}" if several else "")
                pixels = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
                Image.fromarray(pixels).save(folder / "images" / part / f"{name}.png")
                depth = relative_to_depth(label[0].numpy(), cache.kind, near=near, far=far)
                _write_depth(folder / "depth" / part / name, depth, depth_format)
                written[part] += 1
            progress.advance(1)
        if not written["train"]:
            raise UserError(f"--val {val:g} leaves no crop to train on: give a smaller share")
        validation = "images/val" if written["val"] else "images/train"
        data = {"train": "images/train", "val": validation, "nc": 1, "names": {0: "depth"}, "channels": 3}
        data |= {"depth_scale": MILLIMETRES, "max_depth": round(far * 1.001, 4)}
        (folder / "data.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        about = {"teacher": plan.teacher, "weights": cache.weights, "view": index["view"], "kind": cache.kind}
        depths = {"near": near, "far": far, "unit": "assumed: every map runs from near to far"}
        write_json(folder / "source.json", about | {"depth": depths, "plan": index["plan"], "pairs": written})
    return written


def _held_out(ids: list[str], share: float, seed: int) -> set[str]:
    """The photos that go to `val`: a share of them in an order of their own, rounded, but never all."""
    ordered = sorted(ids, key=lambda photo: order_key(photo, f"val-{seed}"))
    return set(ordered[: min(round(share * len(ordered)), len(ordered) - 1)])


def _write_depth(path: Path, depth: NDArray[np.floating], depth_format: str) -> None:
    """One map (H,W) of metres above 0."""
    if depth_format == "npy":
        np.save(path.with_suffix(".npy"), depth.astype(np.float32))
    else:
        Image.fromarray(np.maximum((depth * MILLIMETRES).round(), 1).astype(np.uint16)).save(path.with_suffix(".png"))
