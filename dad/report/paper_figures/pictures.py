"""Which images the figures show, and what estimators make of them.

Images are chosen by their number alone, evenly over a benchmark or over the photos in the manifest's order, never by what is seen
in them or in a prediction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from dad.data.benchmarks import Benchmark
from dad.data.manifest import open_photos
from dad.data.photos import Photos
from dad.errors import UserError
from dad.evaluation.datasets import DatasetRules, dataset_rules
from dad.evaluation.fitting import Fitted, fit_image
from dad.models.estimator import AnyEstimator, load
from dad.study.figures import Method

LARGEST = 768
"""Longest side in pixels at which unlabelled photos are predicted and shown."""
SPARSE = 0.3
"""Share of valid pixels below which a truth is drawn with its points thickened."""


@dataclass(frozen=True)
class Picture:
    """An image of a figure: rgb uint8 (H,W,3); for a labelled one depth float32 (H,W) in metres, mask bool (H,W) and its limits."""

    source: str
    """The data set's name, or `photos`."""
    id: str
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32] | None = None
    mask: NDArray[np.bool_] | None = None
    limits: DatasetRules | None = None
    root: Path | None = None
    """Where the file with this id lies."""

    def fit(self, prediction: NDArray[np.float32], kind: str, protocol: str) -> Fitted:
        """A prediction (H,W) brought to the truth as a protocol says; for labelled images."""
        return fit_image(prediction, self.depth, self.mask, kind=kind, protocol=protocol, dataset=self.limits, image=self.id)


def evenly(total: int, count: int) -> list[int]:
    """`count` numbers of `range(total)`, the middles of equal parts; all numbers where there are fewer."""
    count = min(total, count)
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]


def benchmark_pictures(benchmark: Benchmark, count: int) -> Iterator[Picture]:
    """`count` images spread evenly over a benchmark, read one after the other."""
    for index in evenly(len(benchmark), count):
        sample = benchmark[index]
        where = getattr(benchmark, "root", None)
        yield Picture(benchmark.name, sample.id, sample.rgb, sample.depth, sample.mask, dataset_rules(benchmark), where)


def photo_pictures(root: Path, manifest: str, count: int, *, largest: int | None = LARGEST) -> list[Picture]:
    """`count` photos spread evenly over a manifest under the study's results `root`, shrunk to a longest side of `largest`."""
    photos = _opened(root / manifest)
    return [Picture("photos", photos.id(i), _shrunk(photos.read(i), largest), root=photos.root) for i in evenly(len(photos), count)]


def _opened(manifest: Path) -> Photos:
    if not manifest.is_file():
        raise UserError(f"there is no manifest {manifest}: make it with `dad data manifest`, or by `snakemake {manifest}`")
    return open_photos(manifest)


def _shrunk(pixels: NDArray[np.uint8], largest: int | None) -> NDArray[np.uint8]:
    factor = 1 if largest is None else largest / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def scene_depth(picture: Picture) -> NDArray[np.float32] | None:
    """The exact depth (H,W) in metres of a rendered photo, 0 where there is none; None for a real one."""
    if picture.root is None or not picture.id.endswith(".png"):
        return None
    folder, _, name = f"/{picture.id}".rpartition("/rgb/")
    path = picture.root / folder.strip("/") / "depth" / Path(name).with_suffix(".npy")
    return np.load(path, allow_pickle=False) if name and path.is_file() else None


def load_method(method: Method, root: Path) -> AnyEstimator:
    """A method's model, or its first seed's student, at the input size it is scored at."""
    if method.model:
        return load(method.model)
    folder = root / "runs" / method.cells[0]
    if not (folder / "model.safetensors").is_file():
        raise UserError(f"there is no trained student {folder}/model.safetensors ({method.row} of {method.table}): train it first")
    return load(folder)


def predict(estimator: AnyEstimator, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The estimator's own map (H,W) of an image (H,W,3)."""
    with torch.inference_mode():
        return estimator(torch.tensor(rgb).permute(2, 0, 1)[None].float() / 255)[0, 0].float().cpu().numpy()


def as_disparity(prediction: NDArray[np.floating], kind: str) -> NDArray[np.floating]:
    """A map to be coloured: larger is nearer."""
    return prediction if kind == "disparity" else -prediction


def true_disparity(picture: Picture) -> NDArray[np.float64]:
    """1/depth (H,W) of a labelled image to be looked at, NaN where there is none; the points of a sparse one are thickened."""
    with np.errstate(divide="ignore"):
        disparity = np.where(picture.mask, 1 / picture.depth.astype(np.float64), 0)
    if picture.mask.mean() < SPARSE:
        disparity = ndimage.maximum_filter(disparity, size=max(3, round(max(disparity.shape) / 85) | 1))
    return np.where(disparity > 0, disparity, np.nan)
