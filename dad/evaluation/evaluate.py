"""A whole benchmark: one pass over the predictions, one row per image and protocol, one mean per protocol."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from dad.errors import UserError
from dad.evaluation.datasets import DatasetRules, dataset_rules
from dad.evaluation.detail import DepthEdges, detail_fitted, local_global_fitted
from dad.evaluation.fitting import UNKNOWNS, Fitted, fit_maps
from dad.evaluation.maps import Maps
from dad.evaluation.predictions import KINDS, EstimatorPredictions, PredictionFolder
from dad.evaluation.protocol import Protocol, available_protocols, load_protocol
from dad.evaluation.score import score_with_bias
from dad.evaluation.summary import COLUMNS, IN_METRES, MEASURED, Row, summarise
from dad.faults import explain
from dad.files import sha256_file, write_csv
from dad.identity import write_sealed_json
from dad.outputs import check_outputs, model_files

if TYPE_CHECKING:
    from dad.data.benchmarks.base import Benchmark, Sample

__all__ = ["COLUMNS", "Failure", "PredictionFolder", "Scored", "evaluate", "evaluate_to_files", "resolve_protocols", "summarise"]


@dataclass(frozen=True)
class Failure:
    """What could not be scored: an image, or, with an empty `image`, something wrong with the data set as a whole."""

    dataset: str
    image: str
    message: str


@dataclass(frozen=True)
class Scored:
    """An image that was scored, for those who want to look at it: number `index` of the `total` images of `dataset`.

    fitted: its prediction under the first protocol. row: what was measured, with the keys of `COLUMNS` from `image` on.
    """

    model: str
    dataset: str
    index: int
    total: int
    sample: "Sample"
    fitted: Fitted
    row: Row


def evaluate(
    benchmark: "Benchmark",
    predictions: Any,
    protocols: Sequence[str | Path | Protocol] = ("marigold",),
    *,
    model: str | None = None,
    strict: bool = False,
    failures: list[Failure] | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_scored: Callable[[Scored], None] | None = None,
) -> list[Row]:
    """Score a benchmark under several protocols in one pass; one image is in memory at a time.

    predictions: an estimator (callable, with `kind` and `name`) or a `PredictionFolder`.
    protocols: names, paths or loaded protocols; "all" stands for every protocol in the package that scores this kind.
    model: the value of the `model` column, by default the name of the estimator or folder.
    strict: upstream's behaviour on NaN predictions and images without valid pixels; see `score` and `summarise`.
    failures: a list to which images that can not be scored are added; they get rows with the status "failed" and the
        others are scored. Without it the first one raises.
    progress: called with (images done, images in all) after every image.
    on_scored: called with every image that has a scored pixel under the first protocol. It should not keep what it is
        given: that would keep the image in memory.

    Returns rows with the keys `COLUMNS`, images in the benchmark's order, protocols in the given order. An image
    without valid pixels has n = 0 and NaN metrics. Raises UserError naming the image (without `failures`) when it can not
    be read, or its prediction is missing, of another shape than the ground truth, or not finite inside the mask.
    """
    ready = isinstance(predictions, PredictionFolder | EstimatorPredictions)
    source = predictions if ready else EstimatorPredictions(predictions)
    chosen = resolve_protocols(protocols, source.kind)
    if len(benchmark) == 0:
        raise UserError(f"benchmark {benchmark.name} has no images")
    limits = dataset_rules(benchmark)
    dataset = getattr(benchmark, "label", benchmark.name)
    name = source.name if model is None else model
    rows: list[Row] = []
    for index in range(len(benchmark)):
        try:
            sample = benchmark[index]
            prediction = source.predict(sample)
        except Exception as error:  # whatever one image raises, memory too, is the failure of this image
            if failures is None:
                raise
            message = _message(error, benchmark.image(index))
            failures.append(Failure(dataset, benchmark.image(index), message))
            found = [_failed(benchmark.image(index), "", message) for _ in chosen]
        else:
            show = None
            if on_scored is not None:
                image = {"model": name, "dataset": dataset, "index": index, "total": len(benchmark), "sample": sample}
                show = functools.partial(_show, on_scored, image)
            found = _score_sample(sample, prediction, source.kind, chosen, limits, strict, dataset, failures, show)
        for protocol, values in zip(chosen, found, strict=True):
            head = {"model": name, "dataset": dataset, "protocol": protocol.id, "protocol_hash": protocol.hash}
            rows.append({column: {**head, **values}[column] for column in COLUMNS})
        if progress is not None:
            progress(index + 1, len(benchmark))
    return rows


def _score_sample(
    sample: "Sample",
    prediction: np.ndarray,
    kind: str,
    protocols: Sequence[Protocol],
    limits: DatasetRules,
    strict: bool,
    dataset: str,
    failures: list[Failure] | None,
    show: Callable[[Fitted, Row], None] | None,
) -> list[Row]:
    """One image under every protocol; what can not be scored is added to `failures`, or raised without it.

    show: called with the first protocol's result, before the next one takes memory.
    """
    rows: list[Row] = []
    maps: Maps | None = None
    edges: DepthEdges | None = None
    for protocol in protocols:
        try:
            maps = maps or Maps(prediction, sample.depth, sample.mask if strict else _positive(sample), sample.id)
            fitted = fit_maps(maps, kind=kind, protocol=protocol, dataset=limits, strict=strict)
            edges = edges or DepthEdges(fitted.depth, fitted.labels)
            rows.append(_row(sample, fitted, edges))
        except np.linalg.LinAlgError as error:
            raise UserError(str(error)) from None
        except Exception as error:  # as in `evaluate`
            if failures is None:
                raise
            failure = Failure(dataset, sample.id, _message(error, sample.id))
            if failure not in failures[-1:]:
                failures.append(failure)
            rows.append(_failed(sample.id, sample.scene, failure.message))
        else:
            if show is not None and protocol is protocols[0] and rows[-1]["n"]:
                show(fitted, rows[-1])
    return rows


def _positive(sample: "Sample") -> np.ndarray:
    """The mask (H,W) without truth that is zero or negative: no distance is, and a ratio to it means nothing."""
    return sample.mask & ~(sample.depth <= 0)  # NaN stays in, to be refused


def _message(error: Exception, image: str) -> str:
    """What is said of an image that raised this, in one line."""
    return str(error) if isinstance(error, UserError) else f"image {image}: {explain(error)[1]}"


def _show(on_scored: Callable[[Scored], None], image: dict[str, Any], fitted: Fitted, row: Row) -> None:
    """Hand one result to who wants to look at it; `image` is what `Scored` knows besides."""
    on_scored(Scored(**image, fitted=fitted, row=row))


def _row(sample: "Sample", fitted: Fitted, edges: DepthEdges) -> Row:
    """Everything about one image under one protocol that comes after the protocol's name."""
    values: Row = {**score_with_bias(fitted), **detail_fitted(fitted, edges), **local_global_fitted(fitted)}
    count = int(values.pop("n"))
    values["edge_n"] = int(values["edge_n"])
    if sample.unit == "relative":
        values |= dict.fromkeys(IN_METRES)
    left_out = int(np.count_nonzero(sample.mask)) - int(np.count_nonzero(fitted.labels))
    status, messages = "ok", [f"{left_out} pixels are left out: their truth is not positive" if left_out else ""]
    if count:
        status = "partial" if left_out else "ok"
        messages.append(_suspicion(fitted))
    else:
        status = "empty"
        few = int(np.count_nonzero(fitted.labels))
        messages.append(f"{few} valid pixels are too few for the fit" if few else "no valid pixel")
    message = "; ".join(text for text in messages if text)
    return {"image": sample.id, "scene": sample.scene, "n": count, **values, "status": status, "message": message}


def _suspicion(fitted: Fitted) -> str:
    """What a user should know about a prediction that can be scored, or nothing."""
    if fitted.truth.size == UNKNOWNS[fitted.rules.alignment(fitted.kind).solver]:
        return f"the fit meets {fitted.truth.size} pixels exactly, whatever was predicted"
    low, high = float(fitted.pixels.min()), float(fitted.pixels.max())
    if low == high:
        return f"the prediction is {low:.6g} everywhere"
    if fitted.kind == "disparity" and low <= 0:
        share = float(np.mean(fitted.pixels <= 0))
        return f"{share:.2%} of the predicted disparities are not positive"
    falling = fitted.rules.alignment(fitted.kind).domain == "log-depth" and fitted.kind == "disparity"
    if fitted.fit.scale * (-1 if falling else 1) < 0:
        sign = "positive" if falling else "negative"
        return f"the fit turns the prediction around (its scale is {sign}): nearer and farther may be mixed up"
    return ""


def _failed(image: str, scene: str, message: str) -> Row:
    """The row of an image that could not be scored."""
    empty = dict.fromkeys(MEASURED)
    return {"image": image, "scene": scene, "n": 0, **empty, "status": "failed", "message": message}


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


def evaluate_to_files(
    *,
    benchmarks: Sequence[tuple[str, Path]],
    out: Path,
    model: str | None = None,
    predictions: Path | None = None,
    kind: str | None = None,
    protocols: Sequence[str | Path] = ("marigold",),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    summary: Path | None = None,
    label: str | None = None,
    device: str = "cpu",
    strict: bool = False,
    lenient: bool = False,
    on_scored: Callable[[Scored], None] | None = None,
) -> dict[str, Any]:
    """The `evaluate` verb: score a model or a folder of predictions, write the per-image CSV and the summary JSON.

    benchmarks: (name, root) pairs, scored one after the other into the same files. options: by name, what
    `open_benchmark` takes beside them (list_file, crop).
    Exactly one of `model` (a name or path that `dad.models.load` takes) and `predictions` (a folder, with its `kind`)
    is given. `label` is the value of the `model` column, by default the model's or the folder's name. The files appear
    whole or not at all. lenient: an image whose files are missing or of a wrong kind is one that cannot be scored, like a damaged
    one, instead of a mistake in the manifest. on_scored: as `evaluate` takes it.

    Images that can not be scored do not stop the others: they are in the CSV with the status "failed" and among the
    `failures` of what is returned and written as summary: {"model", "results": [as `summarise` gives], "failures":
    [{"dataset", "image", "message"}]}; with a summary also the checksums of the CSV ("files") and of itself, and the digest of the
    weights. In strict mode the first one raises, as it ends upstream's evaluator; so it does when nothing at all can be scored.
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
    if unknown := sorted((options or {}).keys() - set(names)):
        raise UserError(f"options for {', '.join(unknown)}, which is not among the data sets {', '.join(names)}")
    # mistakes in cheap things are reported before a model is loaded
    lists = [value for given in (options or {}).values() if (value := given.get("list_file"))]
    check_outputs(
        files={"--out": out, "--summary": summary},
        folders={"--previews": getattr(on_scored, "folder", None)},
        searched={"--root": [root for _, root in benchmarks], "--predictions": predictions},
        read={"--list": lists, "--model": model_files(model), "--protocol": [name for name in protocols if Path(name).is_file()]},
    )
    for name in protocols:
        if name != "all":
            load_protocol(name)
    from dad.data.benchmarks import open_benchmark
    from dad.progress import Progress

    more = {"lenient": True} if lenient else {}
    opened = [open_benchmark(name, Path(root), **more, **(options or {}).get(name, {})) for name, root in benchmarks]
    source: PredictionFolder | EstimatorPredictions
    if predictions is not None:
        source = PredictionFolder(Path(predictions), str(kind))
    elif model is not None:
        from dad.models import load
        from dad.models.checkpoints import weights_identity

        source = EstimatorPredictions(load(model, device=device))
    for benchmark in opened:
        _require_names_of_their_own(benchmark, predictions is not None, on_scored is not None)
        check_outputs(files={"--out": out, "--summary": summary}, read={f"a file of {benchmark.name}": _listed(benchmark)})
    chosen = resolve_protocols(protocols, source.kind)
    column = source.name if label is None else label
    rows: list[Row] = []
    failures: list[Failure] = []
    for benchmark in opened:
        failures += [Failure(benchmark.name, "", problem) for problem in getattr(benchmark, "problems", ())]
        with Progress(f"evaluate {benchmark.name}", len(benchmark), "image") as shown:
            rows += evaluate(
                benchmark,
                source,
                chosen,
                model=column,
                strict=strict,
                failures=None if strict else failures,
                on_scored=on_scored,
                progress=lambda done, total, shown=shown: shown.advance(),  # type: ignore[misc]
            )
    if all(row["status"] == "failed" for row in rows):
        raise UserError(f"none of {len(rows) // len(chosen)} images could be scored; first: {rows[0]['message']}")
    written = {
        "model": column,
        "results": summarise(rows, chosen, strict=strict),
        "failures": [asdict(failure) for failure in failures],
    }
    write_csv(out, rows, COLUMNS)
    if summary is not None:
        used = {} if model is None else {"weights": weights_identity(model)}
        if (size := getattr(getattr(getattr(source, "estimator", None), "policy", None), "size", None)) is not None:
            used["input_size"] = size
        written = write_sealed_json(summary, written | used | {"files": {out.name: sha256_file(out)}})
    return written


def _listed(benchmark: "Benchmark") -> Sequence[Path]:
    """The files of a benchmark that are not found by a search: a manifest and what it lists, a header."""
    return getattr(benchmark, "paths", list)()


def _require_names_of_their_own(benchmark: "Benchmark", stored: bool, shown: bool) -> None:
    """Refuse two images that would share a stored prediction, or a preview (where, on other systems, case does not count)."""
    seen: dict[str, str] = {}
    for index in range(len(benchmark) if stored or shown else 0):
        image = benchmark.image(index)
        name = PurePosixPath(image).with_suffix("").as_posix()
        other = seen.setdefault(name if stored and not shown else name.casefold(), image)
        if other != image:
            what = f"the prediction {name}.npy" if stored else f"the preview {name}.png"
            raise UserError(f"{benchmark.name}: {other} and {image} would share {what}: rename one of the images")
