"""Which images the figures show, and what estimators make of them.

Images are chosen by their number alone, evenly over a benchmark or over the photos in the manifest's order, never by
what is seen in them or in a prediction.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dad.data.benchmarks import Benchmark, open_benchmark
from dad.data.checksums import read_checksums, read_file
from dad.data.manifest import open_photos
from dad.errors import UserError
from dad.evaluation.datasets import DatasetRules, dataset_rules
from dad.evaluation.fitting import Fitted, fit_image
from dad.report.colour import shrunk, smaller
from dad.report.grid import DRAWN, Tile, map_tile
from dad.study.layout import Layout
from dad.study.paper import paper

if TYPE_CHECKING:
    from dad.models.estimator import AnyEstimator
    from dad.study.figures import Method

LARGEST = 768
"""Longest side in pixels at which unlabelled photos are predicted and shown."""
SPARSE = 0.3
"""Share of valid pixels below which a truth is drawn with its points thickened."""

Region = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels."""


@dataclass(frozen=True)
class Picture:
    """A figure's image: rgb uint8 (H,W,3); if labelled, depth float32 (H,W) in m, mask bool (H,W) and its limits."""

    source: str
    """The data set's name, or `photos`."""
    id: str
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32] | None = None
    mask: NDArray[np.bool_] | None = None
    limits: DatasetRules | None = None
    root: Path | None = None
    """Where the file with this id lies."""

    def fitted(self, estimator: "AnyEstimator", protocol: str) -> Fitted:
        """The estimator's map of a labelled image, brought to the truth as a protocol says."""
        prediction, kind = predict(estimator, self.rgb), estimator.kind
        return fit_image(
            prediction, self.depth, self.mask, kind=kind, protocol=protocol, dataset=self.limits, image=self.id
        )

    @property
    def labelled(self) -> bool:
        """Whether its truth is known."""
        return self.mask is not None and bool(self.mask.any())

    @cached_property
    def drawn_truth(self) -> NDArray[np.float64]:
        """`true_disparity` of a labelled one at its drawn size: the colours of every column of a sheet follow it."""
        return shrunk(true_disparity(self), DRAWN)

    @property
    def place(self) -> str:
        """Where it is from, for readers: a real benchmark in the paper's spelling, anything else by its own name."""
        return paper().dataset_name(self.source) or self.source


def evenly(total: int, count: int) -> list[int]:
    """`count` numbers of `range(total)`, the middles of equal parts; all numbers where there are fewer."""
    count = min(total, count)
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]


def benchmark_of(layout: Layout, dataset: str) -> Benchmark:
    """One of the study's benchmarks: the user's, or the one rendered among its results."""
    config = next(one for one in layout.study.scored if one.dataset == dataset)
    listed = Path(config.list) if config.list else None
    return open_benchmark(dataset, layout.benchmark(dataset), list_file=listed, lenient=True)


def benchmark_pictures(benchmark: Benchmark, count: int) -> Iterator[Picture]:
    """`count` images spread evenly over a benchmark, read one after the other."""
    for index in evenly(len(benchmark), count):
        sample = benchmark[index]
        where = getattr(benchmark, "root", None)
        yield Picture(
            benchmark.name, sample.id, sample.rgb, sample.depth, sample.usable, dataset_rules(benchmark), where
        )


def pictures_of(layout: Layout, datasets: Iterable[str], count: int, *, of_samples: int = 0) -> list[Picture]:
    """`count` images of each data set, one set after the other; of real RGB-D pairs (samples) at least `of_samples`."""
    found: list[Picture] = []
    for dataset in datasets:
        wanted = max(count, of_samples) if dataset == "samples" else count
        found += benchmark_pictures(benchmark_of(layout, dataset), wanted)
    return found


def photo_pictures(manifest: Path, count: int, *, largest: int | None = LARGEST) -> list[Picture]:
    """`count` photos spread evenly over a manifest, shrunk to a longest side of `largest`."""
    if not manifest.is_file():
        raise UserError(
            f"there is no manifest {manifest}: make it with `dad data manifest`, or by `snakemake {manifest}`"
        )
    photos = open_photos(manifest)
    root = photos.root if isinstance(photos.root, Path) else None  # nothing lies beside photos behind a URL
    return [
        Picture("photos", photos.id(i), smaller(photos.read(i), largest), root=root) for i in evenly(len(photos), count)
    ]


def with_exact_depth(picture: Picture) -> Picture:
    """A photo that is a rendered scene, with its truth; any other as it is."""
    depth = scene_depth(picture)
    return (
        picture
        if depth is None or depth.shape != picture.rgb.shape[:2]
        else replace(picture, depth=depth, mask=depth > 0)
    )


def scene_depth(picture: Picture) -> NDArray[np.float32] | None:
    """The exact depth (H,W) in metres of a rendered photo, 0 where there is none; None for a real one."""
    if picture.root is None or not picture.id.endswith(".png"):
        return None
    folder, _, name = f"/{picture.id}".rpartition("/rgb/")
    root, file = picture.root / folder.strip("/"), f"depth/{Path(name).with_suffix('.npy')}"
    if not name or not (root / file).is_file():
        return None
    try:
        return np.load(io.BytesIO(read_file(root, file, read_checksums(root))), allow_pickle=False)
    except ValueError as error:
        raise UserError(f"{root / file} can not be read ({error}): render the scenes again") from None


def load_student(layout: Layout, cell: str) -> "AnyEstimator":
    """A trained student at the input size it is scored at. Raises UserError where it is not trained."""
    from dad.models.estimator import load

    if not layout.weights(cell).is_file():
        raise UserError(f"there is no trained student {layout.weights(cell)}: train it first")
    return load(layout.run(cell))


def load_method(method: "Method", layout: Layout) -> "AnyEstimator":
    """A method's model as is, or its first seed's student."""
    from dad.models.estimator import load

    row = method.row
    return load(row.model) if row.model else load_student(layout, next(iter(row.cells)))


def predict(estimator: "AnyEstimator", rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The estimator's own map (H,W) of an image (H,W,3)."""
    import torch

    with torch.inference_mode():
        return estimator(torch.tensor(rgb).permute(2, 0, 1)[None].float() / 255)[0, 0].float().cpu().numpy()


def as_disparity(prediction: NDArray[np.floating], kind: str) -> NDArray[np.floating]:
    """A map to be coloured: larger is nearer."""
    return prediction if kind == "disparity" else -prediction


def own_map(estimator: "AnyEstimator", picture: Picture) -> Tile:
    """What an estimator makes of a picture, coloured on a scale of its own."""
    return map_tile(as_disparity(predict(estimator, picture.rgb), estimator.kind))


def region_of(shape: tuple[int, ...], corner: tuple[float, float], size: float) -> Region:
    """The part of a picture (H,W,...) whose upper left corner (row, column) and size are shares of height and width."""
    height, width = shape[:2]
    y, x = round(corner[0] * height), round(corner[1] * width)
    return x, y, min(x + round(size * width), width), min(y + round(size * height), height)


def cut(values: NDArray, region: Region) -> NDArray:
    """A region of a map or picture."""
    x0, y0, x1, y1 = region
    return np.ascontiguousarray(values[y0:y1, x0:x1])


def aligned_disparity(fitted: Fitted) -> NDArray[np.float64]:
    """The whole map (H,W) aligned to the truth by the protocol, in 1/metres (1/unit of the truth), larger = nearer."""
    aligned = fitted.transform(fitted.prediction).astype(np.float64)
    with np.errstate(divide="ignore"):
        return aligned if fitted.rules.score_domain == "disparity" else 1 / aligned


def aligned_depth(fitted: Fitted) -> NDArray[np.float64]:
    """The same in metres (units of the truth)."""
    aligned = fitted.transform(fitted.prediction).astype(np.float64)
    return 1 / np.maximum(aligned, 1e-6) if fitted.rules.score_domain == "disparity" else aligned


def relative_error(fitted: Fitted) -> NDArray[np.float64]:
    """The absolute relative error (H,W) of what the protocol scores, in the domain that it scores; NaN elsewhere."""
    error = np.full(fitted.mask.shape, np.nan)
    truth = fitted.truth.astype(np.float64)
    error[fitted.mask] = np.abs(fitted.transform(fitted.pixels).astype(np.float64) - truth) / truth
    return error


def true_disparity(picture: Picture) -> NDArray[np.float64]:
    """1/depth (H,W) of a labelled image to look at, NaN where there is none; a sparse one's points are thickened."""
    with np.errstate(divide="ignore"):
        return thickened(1 / picture.depth.astype(np.float64), picture.mask)


def thickened(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values (H,W) of at least 0 to be looked at, NaN outside the mask; where it is sparse the largest nearby."""
    shown = np.where(mask, values, -1)
    if mask.mean() < SPARSE:
        from scipy import ndimage

        shown = ndimage.maximum_filter(shown, size=max(3, round(max(shown.shape) / 85) | 1))
    return np.where(shown >= 0, shown, np.nan)
