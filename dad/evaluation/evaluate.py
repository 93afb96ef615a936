"""A whole benchmark: one pass over the predictions, one row per image and protocol, one mean per protocol."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dad.errors import UserError
from dad.evaluation.datasets import dataset_rules
from dad.evaluation.metrics import METRICS
from dad.evaluation.protocol import Protocol, available_protocols, load_protocol
from dad.evaluation.score import score
from dad.files import write_csv, write_json

if TYPE_CHECKING:
    from dad.data.benchmarks.base import Benchmark, Sample

COLUMNS = ["model", "dataset", "protocol", "protocol_hash", "image", "scene", "n", *METRICS, "scale", "shift"]

KINDS = ("depth", "disparity")

Row = dict[str, Any]


class PredictionFolder:
    """Predictions on disk: ROOT/<path of the RGB file with the suffix .npy>, float32 (H,W) at the ground truth's
    size.
    """

    def __init__(self, root: Path, kind: str) -> None:
        if kind not in KINDS:
            raise UserError(f"the kind of the predictions is {kind!r}; it must be {' or '.join(KINDS)}")
        if not root.is_dir():
            raise UserError(f"the folder of predictions {root} does not exist")
        self.root, self.kind, self.name = root, kind, root.name

    def predict(self, sample: "Sample") -> np.ndarray:
        """The stored map of one sample; a UserError names the image and the file if it can not be used."""
        path = self.root / Path(sample.id).with_suffix(".npy")
        try:
            return np.load(path, allow_pickle=False)
        except FileNotFoundError:
            raise UserError(f"image {sample.id}: there is no prediction {path}") from None
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"image {sample.id}: {path} is not a readable .npy file ({error})") from None


class EstimatorPredictions:
    """Predictions made on the way by an estimator: RGB (1,3,H,W) in [0,1] to a map (1,1,H,W)."""

    def __init__(self, estimator: Any) -> None:
        if estimator.kind not in KINDS:
            raise UserError(f"estimator {estimator.name} is of kind {estimator.kind!r}; it must be {' or '.join(KINDS)}")
        self.estimator, self.kind, self.name = estimator, estimator.kind, estimator.name

    def predict(self, sample: "Sample") -> np.ndarray:
        """Run the estimator on one sample. The result is (H,W) if the estimator keeps the size of its input."""
        import torch

        rgb = torch.from_numpy(np.ascontiguousarray(sample.rgb)).permute(2, 0, 1)[None].float() / 255.0
        with torch.inference_mode():
            prediction = self.estimator(rgb)
        if prediction.ndim != 4 or prediction.shape[:2] != (1, 1):
            raise UserError(f"image {sample.id}: estimator {self.name} gave {tuple(prediction.shape)}, not (1,1,H,W)")
        return prediction[0, 0].float().cpu().numpy()


def evaluate(
    benchmark: "Benchmark",
    predictions: Any,
    protocols: Sequence[str | Path | Protocol] = ("marigold",),
    *,
    model: str | None = None,
    strict: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Score a benchmark under several protocols in one pass; one image is in memory at a time.

    predictions: an estimator (callable, with `kind` and `name`) or a `PredictionFolder`.
    protocols: names, paths or loaded protocols; "all" stands for every protocol in the package that scores this kind.
    model: the value of the `model` column, by default the name of the estimator or folder.
    strict: upstream's behaviour on NaN predictions and images without valid pixels; see `score` and `summarise`.
    progress: called with (images done, images in all) after every image.

    Returns rows with the keys `COLUMNS`, images in the benchmark's order, protocols in the given order. An image
    without valid pixels has n = 0 and NaN metrics. Raises UserError naming the image when its prediction is missing,
    of another shape than the ground truth, or not finite inside the mask.
    """
    ready = isinstance(predictions, PredictionFolder | EstimatorPredictions)
    source = predictions if ready else EstimatorPredictions(predictions)
    chosen = resolve_protocols(protocols, source.kind)
    if len(benchmark) == 0:
        raise UserError(f"benchmark {benchmark.name} has no images")
    limits = dataset_rules(benchmark)
    rows: list[Row] = []
    for index in range(len(benchmark)):
        sample = benchmark[index]
        prediction = source.predict(sample)
        for protocol in chosen:
            try:
                values = score(
                    prediction,
                    sample.depth,
                    sample.mask,
                    kind=source.kind,
                    protocol=protocol,
                    dataset=limits,
                    strict=strict,
                    image=sample.id,
                )
            except np.linalg.LinAlgError as error:
                raise UserError(str(error)) from None
            rows.append(
                {
                    "model": source.name if model is None else model,
                    "dataset": benchmark.name,
                    "protocol": protocol.id,
                    "protocol_hash": protocol.hash,
                    "image": sample.id,
                    "scene": sample.scene,
                    "n": int(values.pop("n")),
                    **values,
                }
            )
        if progress is not None:
            progress(index + 1, len(benchmark))
    return rows


def resolve_protocols(protocols: Sequence[str | Path | Protocol], kind: str) -> list[Protocol]:
    """Load protocols, expand "all", and refuse unknown names, repetitions and protocols without rules for `kind`."""
    chosen: list[Protocol] = []
    for item in protocols:
        if item == "all":
            packaged = (load_protocol(name) for name in available_protocols())
            chosen += [protocol for protocol in packaged if kind in protocol.alignments]
        else:
            chosen.append(item if isinstance(item, Protocol) else load_protocol(item))
    if not chosen:
        raise UserError(f"no protocol given; known are {', '.join(available_protocols())}, or all")
    ids = [protocol.id for protocol in chosen]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise UserError(f"protocol given more than once: {', '.join(twice)}")
    for protocol in chosen:
        protocol.alignment(kind)
    return chosen


def summarise(rows: Iterable[Mapping[str, Any]], protocols: Sequence[Protocol], *, strict: bool = False) -> list[Row]:
    """Means over images, one entry per data set and protocol: dataset, protocol, protocol_hash, images, empty, mean.

    `images` counts all images, `empty` those without a scored pixel. The mean is unweighted over images. Empty
    images are left out of it; in strict mode a protocol whose upstream evaluator averages them in gives NaN, as
    upstream does. A NaN or infinite metric of an image that has pixels is never hidden: it makes the mean of this
    metric NaN or infinite.
    """
    poisons = {protocol.id: strict and protocol.strict.empty_images == "poison" for protocol in protocols}
    skips_nan = {protocol.id: strict and protocol.strict.empty_images == "skip" for protocol in protocols}
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["protocol"], row["protocol_hash"]), []).append(row)
    results = []
    for (dataset, protocol, digest), members in groups.items():
        counted = members if poisons[protocol] else [row for row in members if row["n"] > 0]
        if skips_nan[protocol]:
            counted = [row for row in counted if not math.isnan(row["abs_rel"])]
        mean = {metric: _mean([row[metric] for row in counted]) for metric in METRICS}
        empty = sum(row["n"] == 0 for row in members)
        results.append(
            {
                "dataset": dataset,
                "protocol": protocol,
                "protocol_hash": digest,
                "images": len(members),
                "empty": empty,
                "mean": mean,
            }
        )
    return results


def _mean(values: list[float]) -> float:
    """The mean, NaN for nothing; `fsum` makes it independent of the order of the images."""
    if any(not math.isfinite(value) for value in values):
        return sum(values) / len(values)
    return math.fsum(values) / len(values) if values else math.nan


def evaluate_to_files(
    *,
    benchmarks: Sequence[tuple[str, Path]],
    out: Path,
    model: str | None = None,
    predictions: Path | None = None,
    kind: str | None = None,
    protocols: Sequence[str | Path] = ("marigold",),
    summary: Path | None = None,
    label: str | None = None,
    device: str = "cpu",
    strict: bool = False,
) -> dict[str, Any]:
    """The `evaluate` verb: score a model or a folder of predictions, write the per-image CSV and the summary JSON.

    benchmarks: (name, root) pairs, scored one after the other into the same files.
    Exactly one of `model` (a name or path that `dad.models.load` takes) and `predictions` (a folder, with its `kind`)
    is given. `label` is the value of the `model` column, by default the model's or the folder's name. The files appear
    whole or not at all. Returns what the summary holds: {"model", "results": [as `summarise` gives]}.
    """
    if (model is None) == (predictions is None):
        raise UserError("give either a model or a folder of predictions")
    if model is not None and kind is not None:
        raise UserError(f"kind {kind!r} is for a folder of predictions; a model knows its own kind")
    if predictions is not None and kind is None:
        raise UserError(f"the kind of the predictions in {predictions} is needed: {' or '.join(KINDS)}")
    names = [name for name, _ in benchmarks]
    if not names or len(set(names)) < len(names):
        raise UserError(f"every data set is given once, at least one; given: {', '.join(names) or 'none'}")
    # mistakes in cheap things are reported before a model is loaded
    for name in protocols:
        if name != "all":
            load_protocol(name)
    from dad.data.benchmarks import open_benchmark
    from dad.progress import Progress

    opened = [open_benchmark(name, Path(root)) for name, root in benchmarks]
    source: PredictionFolder | EstimatorPredictions
    if predictions is not None:
        source = PredictionFolder(Path(predictions), str(kind))
    elif model is not None:
        from dad.models import load

        source = EstimatorPredictions(load(model, device=device))
    chosen = resolve_protocols(protocols, source.kind)
    column = source.name if label is None else label
    rows: list[Row] = []
    for benchmark in opened:
        with Progress(f"evaluate {benchmark.name}", len(benchmark), "image") as shown:
            rows += evaluate(
                benchmark,
                source,
                chosen,
                model=column,
                strict=strict,
                progress=lambda done, total, shown=shown: shown.advance(),  # type: ignore[misc]
            )
    written = {"model": column, "results": summarise(rows, chosen, strict=strict)}
    write_csv(out, rows, COLUMNS)
    if summary is not None:
        write_json(summary, written)
    return written
