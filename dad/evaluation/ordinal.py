"""Which of two points is nearer: accuracy on pairs, which needs neither metres nor an alignment.

Pairs come from an annotation file in DA-2K's form, or are drawn from the ground truth of any data set by a fixed rule.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dad.errors import UserError
from dad.evaluation.predictions import KINDS, EstimatorPredictions, PredictionFolder
from dad.faults import explain
from dad.files import read_json, read_regular, sha256_file, write_csv
from dad.identity import write_sealed_json
from dad.outputs import check_outputs, model_files

if TYPE_CHECKING:
    from dad.data.benchmarks.base import Sample

Places = NDArray[np.intp]

COLUMNS = ["model", "dataset", "image", "scene", "pairs", "accuracy", "kendall_tau", "ties", "status", "message"]
"""What is known of an image. status: `ok`, `empty` (no ordered pair) or `failed` (cannot be scored); message: why."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Pairs:
    """Pairs of pixels of one image: nearer and farther, each (n,2) rows and columns."""

    nearer: Places
    farther: Places

    def __len__(self) -> int:
        return len(self.nearer)


def score_pairs(prediction: ArrayLike, pairs: Pairs, *, kind: str) -> dict[str, float]:
    """How many pairs a map (H,W) of kind "disparity" (larger = nearer) or "depth" puts in the right order.

    Returns pairs (how many there are); accuracy, the share in the right order; kendall_tau, (right - wrong) / pairs,
    which is tau a over these pairs; ties, the share of pairs with equal values, which are neither right nor wrong. The
    disagreement rate (WHDR with equal weights) is 1 - accuracy. Without pairs the three shares are NaN.

    Raises UserError for a pair outside the map and for values that are not finite.
    """
    if kind not in KINDS:
        raise UserError(f"the kind of the predictions is {kind!r}; it must be {' or '.join(KINDS)}")
    image = np.asarray(prediction)
    if image.ndim != 2:
        raise UserError(f"the prediction is {image.shape}, not (H,W)")
    if not len(pairs):
        return {"pairs": 0.0, "accuracy": math.nan, "kendall_tau": math.nan, "ties": math.nan}
    for side in (pairs.nearer, pairs.farther):
        outside = ((side < 0) | (side >= image.shape)).any(1)
        if outside.any():
            row, column = side[outside][0]
            raise UserError(
                f"the point in row {row}, column {column} lies outside the map of {image.shape[0]} x {image.shape[1]} "
                "pixels"
            )
    near, far = (image[tuple(side.T)].astype(np.float64) for side in (pairs.nearer, pairs.farther))
    if bad := int(np.count_nonzero(~np.isfinite(near) | ~np.isfinite(far))):
        raise UserError(f"the prediction is NaN or infinite at {bad} of {len(pairs)} pairs")
    ahead = (near - far) if kind == "disparity" else (far - near)
    right, wrong = np.mean(ahead > 0), np.mean(ahead < 0)
    return {
        "pairs": float(len(pairs)),
        "accuracy": float(right),
        "kendall_tau": float(right - wrong),
        "ties": float(np.mean(ahead == 0)),
    }


def drawn_pairs(
    depth: ArrayLike, mask: ArrayLike, *, count: int, seed: int = 0, image: str = "", ratio: float = 1.05
) -> Pairs:
    """Pairs of one image with its order by the ground truth.

    depth: (H,W) metres, or depth up to a factor. mask: (H,W) bool. `count` times two valid pixels are drawn uniformly
    and independently, by a generator that knows the seed and the image's name only, so that every model is asked the
    same; kept are pairs whose farther pixel is more than `ratio` times as far as the nearer one. Fewer pairs than
    `count` remain.
    """
    truth, valid = np.asarray(depth), np.asarray(mask) & (np.asarray(depth) > 0)
    places = np.flatnonzero(valid)
    nothing = np.empty((0, 2), np.intp)
    if places.size == 0:
        return Pairs(nothing, nothing)
    rng = np.random.default_rng([seed, *image.encode()])
    first, second = places[rng.integers(places.size, size=(2, count))]
    values = truth.ravel()
    swapped = values[first] > values[second]
    nearer, farther = np.where(swapped, second, first), np.where(swapped, first, second)
    apart = values[farther].astype(np.float64) > ratio * values[nearer].astype(np.float64)
    both = (np.stack(np.unravel_index(side[apart], truth.shape), 1) for side in (nearer, farther))
    return Pairs(*both)


def read_annotations(path: Path) -> dict[str, Pairs]:
    """Pairs by image from a file in DA-2K's form (DepthAnything/Depth-Anything-V2 `DA-2K.md`):

        {"images/indoor/a.jpg": [{"point1": [row, column], "point2": [row, column], "closer_point": "point1"}, ...],
        ...}

    Raises UserError naming the image and the annotation.
    """
    document = read_json(path)
    if not isinstance(document, dict) or not document:
        raise UserError(f"{path} is not a JSON object of images with their pairs, as DA-2K has it")
    found = {}
    for image, annotations in document.items():
        if not isinstance(annotations, list):
            raise UserError(f"{path}: {image} has no list of annotations")
        sides = [
            _annotation(entry, f"{path}: {image}, annotation {number}") for number, entry in enumerate(annotations, 1)
        ]
        both = np.array(sides, np.intp).reshape(-1, 2, 2)
        found[image] = Pairs(both[:, 0], both[:, 1])
    return found


def _is_whole(value: Any) -> bool:
    """Whether a value of JSON is a whole number that a pixel can have: 3, and 3.0 as some programs write it."""
    return (type(value) is int or (type(value) is float and value.is_integer())) and abs(value) < 2**31


def _annotation(entry: Any, where: str) -> tuple[list[int], list[int]]:
    """The nearer and the farther point of one annotation."""
    points = {}
    for name in ("point1", "point2"):
        point = entry.get(name) if isinstance(entry, Mapping) else None
        if not isinstance(point, list) or len(point) != 2 or not all(map(_is_whole, point)):
            raise UserError(f"{where}: {name} is {point!r}; [row, column] in whole pixels is needed")
        points[name] = [int(value) for value in point]
    closer = entry.get("closer_point")
    if not isinstance(closer, str) or closer not in points:
        raise UserError(f"{where}: closer_point is {closer!r}; it must be point1 or point2")
    return points[closer], points["point2" if closer == "point1" else "point1"]


@dataclass(frozen=True)
class Annotated:
    """Images with annotated pairs: the file, and the folder that its paths start from."""

    path: Path
    root: Path
    name: str = "da-2k"

    def __iter__(self) -> Iterator[tuple[str, str, Any]]:
        """Image, scene, and a function that reads the sample and its pairs."""
        for image, pairs in read_annotations(self.path).items():
            yield (
                image,
                PurePosixPath(image).parent.name,
                (lambda image=image, pairs=pairs: (self._sample(image), pairs)),
            )

    def _sample(self, image: str) -> "Sample":
        from dad.data.benchmarks.base import Sample
        from dad.data.photos import decode, reason_of

        try:
            rgb = decode(read_regular(self.root / image))
        except Exception as error:  # Pillow raises almost anything for damaged data
            raise UserError(f"image {image}: {self.root / image} cannot be read ({reason_of(error)})") from None
        nothing = np.zeros(rgb.shape[:2])
        return Sample(image, PurePosixPath(image).parent.name, rgb, nothing.astype(np.float32), nothing.astype(bool))


@dataclass(frozen=True)
class Drawn:
    """A labelled data set whose ground truth gives the pairs, by the rule of `drawn_pairs`."""

    benchmark: Any
    count: int
    seed: int
    ratio: float

    @property
    def name(self) -> str:
        """The data set's."""
        return str(self.benchmark.name)

    def __iter__(self) -> Iterator[tuple[str, str, Any]]:
        """As `Annotated`."""
        for index in range(len(self.benchmark)):
            yield self.benchmark.image(index), "", (lambda index=index: self._read(index))

    def _read(self, index: int) -> tuple["Sample", Pairs]:
        sample = self.benchmark[index]
        pairs = drawn_pairs(
            sample.depth, sample.usable, count=self.count, seed=self.seed, image=sample.id, ratio=self.ratio
        )
        return sample, pairs


def score_ordinal(source: Annotated | Drawn, predictions: Any, *, model: str | None = None) -> list[Row]:
    """A row per image with the keys `COLUMNS`. predictions: an estimator, or a `PredictionFolder`.

    An image that cannot be scored has the status "failed" and the reason in its row; the others are scored.
    """
    ready = isinstance(predictions, PredictionFolder | EstimatorPredictions)
    made = predictions if ready else EstimatorPredictions(predictions)
    rows: list[Row] = []
    for image, scene, read in source:
        row: Row = dict.fromkeys(COLUMNS) | {
            "model": model or made.name,
            "dataset": source.name,
            "image": image,
            "scene": scene,
        }
        row |= {"pairs": 0, "status": "ok", "message": ""}
        try:
            sample, pairs = read()
            row["scene"] = sample.scene
            found = score_pairs(made.predict(sample), pairs, kind=made.kind)
            row |= found | {"pairs": len(pairs)}
            if not len(pairs):
                row |= {"status": "empty", "message": "no pair has an order"}
        except Exception as error:  # whatever one image raises is the failure of this image
            message = str(error) if isinstance(error, UserError) else explain(error)[1]
            row |= {"status": "failed", "message": message if image in message else f"image {image}: {message}"}
        rows.append(row)
    return rows


def summarise(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """images, empty, failed, pairs; accuracy and kendall_tau over all pairs; accuracy by scene and its `scene_mean`."""
    everything = list(rows)
    scored = [row for row in everything if row["status"] == "ok"]
    scenes: dict[str, list[Mapping[str, Any]]] = {}
    for row in scored:
        scenes.setdefault(row["scene"], []).append(row)
    by_scene = {scene: _over_pairs(members, "accuracy") for scene, members in sorted(scenes.items())}
    return {
        "images": len(everything),
        "empty": sum(row["status"] == "empty" for row in everything),
        "failed": sum(row["status"] == "failed" for row in everything),
        "pairs": sum(row["pairs"] for row in scored),
        **{name: _over_pairs(scored, name) for name in ("accuracy", "kendall_tau", "ties")},
        "scene_mean": math.fsum(by_scene.values()) / len(by_scene) if by_scene else math.nan,
        "scenes": by_scene,
    }


def _over_pairs(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """The mean of a share over all pairs of some images."""
    pairs = sum(row["pairs"] for row in rows)
    return math.fsum(row[name] * row["pairs"] for row in rows) / pairs if pairs else math.nan


def ordinal_to_files(
    *,
    out: Path,
    root: Path,
    annotations: Path | None = None,
    dataset: str | None = None,
    count: int = 1000,
    seed: int = 0,
    ratio: float = 1.05,
    model: str | None = None,
    predictions: Path | None = None,
    kind: str | None = None,
    summary: Path | None = None,
    label: str | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """The `ordinal` verb: a CSV with a row per image, the means as JSON. Returns the means, with the rows that failed.

    Either `annotations` (in DA-2K's form, paths under `root`) or `dataset` (a labelled set at `root`); either a `model`
    or a folder of `predictions` with its `kind`. Raises UserError where no image at all can be scored.
    """
    if (model is None) == (predictions is None):
        raise UserError("give either a model or a folder of predictions")
    if (predictions is None) != (kind is None):
        raise UserError(
            f"--kind ({' or '.join(KINDS)}) is for a folder of predictions, and needed there: a model knows its own "
            "kind"
        )
    if (annotations is None) == (dataset is None):
        raise UserError("give either a file of annotated pairs (--annotations) or a labelled data set (--dataset)")
    if not ratio >= 1:
        raise UserError(f"--ratio {ratio:g}: at least 1 is needed")
    check_outputs(
        files={"--out": out, "--summary": summary},
        searched={"--predictions": predictions, "--root": root},
        read={"--annotations": annotations, "--model": model_files(model)},
    )
    pairs: Annotated | Drawn
    if annotations is not None:
        read_annotations(annotations)
        pairs = Annotated(annotations, root)
    else:
        from dad.data.benchmarks import open_benchmark

        pairs = Drawn(open_benchmark(str(dataset), root), count, seed, ratio)
    made: PredictionFolder | EstimatorPredictions
    if predictions is not None:
        made = PredictionFolder(predictions, str(kind))
    else:
        from dad.models import load

        made = EstimatorPredictions(load(str(model), device=device))
    rows = score_ordinal(pairs, made, model=label)
    failures = [row["message"] for row in rows if row["status"] == "failed"]
    if len(failures) == len(rows):
        raise UserError(
            f"none of {len(rows)} images could be scored; first: {failures[0] if failures else 'there is none'}"
        )
    rule = (
        {"annotations": pairs.path.name}
        if isinstance(pairs, Annotated)
        else {"count": count, "seed": seed, "ratio": ratio}
    )
    written = {"model": rows[0]["model"], "dataset": pairs.name, "rule": rule, **summarise(rows), "failures": failures}
    write_csv(out, rows, COLUMNS)
    if summary is not None:
        write_sealed_json(summary, written | {"files": {out.name: sha256_file(out)}})
    return written
