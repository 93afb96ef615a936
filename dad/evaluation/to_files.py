"""The `evaluate` verb: subjects scored on benchmarks, into per-image CSV files and their summaries."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dad.errors import UserError
from dad.evaluation.evaluate import Failure, Scored, Subject, evaluate_subjects, resolve_protocols
from dad.evaluation.predictions import KINDS, EstimatorPredictions, PredictionFolder
from dad.evaluation.protocol import load_protocol
from dad.evaluation.summary import COLUMNS, Row, summarise
from dad.files import sha256_file, write_csv
from dad.identity import write_sealed_json
from dad.outputs import check_outputs, model_files

if TYPE_CHECKING:
    from dad.data.benchmarks.base import Benchmark


@dataclass(frozen=True)
class Scoring:
    """One subject and its files.

    Exactly one of `model` (a name or path that `dad.models.load` takes) and `predictions` (a folder, with its `kind`)
    is given. `label` is the value of the `model` column, by default the model's or the folder's name.
    """

    out: Path
    model: str | None = None
    predictions: Path | None = None
    kind: str | None = None
    summary: Path | None = None
    label: str | None = None


def evaluate_to_files(
    *,
    benchmarks: Sequence[tuple[str, Path]],
    out: Path,
    model: str | None = None,
    predictions: Path | None = None,
    kind: str | None = None,
    summary: Path | None = None,
    label: str | None = None,
    **how: Any,
) -> dict[str, Any]:
    """Score a model or a folder of predictions, write the per-image CSV and the summary JSON; see `score_to_files`."""
    (written,) = score_to_files([Scoring(out, model, predictions, kind, summary, label)], benchmarks=benchmarks, **how)
    return written


def score_to_files(
    scorings: Sequence[Scoring],
    *,
    benchmarks: Sequence[tuple[str, Path]],
    protocols: Sequence[str | Path] = ("marigold",),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    device: str = "cpu",
    precision: str = "no",
    strict: bool = False,
    lenient: bool = False,
    on_scored: Callable[[Scored], None] | None = None,
    workers: int = 0,
) -> list[dict[str, Any]]:
    """Score subjects, each image decoded once for all of them, and write each one's per-image CSV and summary JSON.

    benchmarks: (name, root) pairs, scored one after the other into the same files. options: by name, what
    `open_benchmark` takes beside them (list_file, crop). precision: in which networks of this package predict
    (`dad.models.precision`); the summary says which, and other models run as they do. The files appear whole or not at
    all. lenient: an image whose files are missing or of a wrong kind is one that cannot be scored, like a damaged one,
    instead of a mistake in the manifest. on_scored, workers: as `evaluate_subjects` takes them.

    Images that cannot be scored do not stop the others: they are in the CSV with the status "failed" and among the
    `failures` of what is returned and written as summary: {"model", "results": [as `summarise` gives], "failures":
    [{"dataset", "image", "message"}]}; with a summary also the checksums of the CSV ("files") and of itself, and the
    digest of the weights. In strict mode the first one raises, as it ends upstream's evaluator; so it does when nothing
    at all can be scored.
    """
    for one in scorings:
        _check_subject(one)
    names = [name for name, _ in benchmarks]
    if not names or len(set(names)) < len(names):
        raise UserError(f"every data set is given once, at least one; given: {', '.join(names) or 'none'}")
    if unknown := sorted((options or {}).keys() - set(names)):
        raise UserError(f"options for {', '.join(unknown)}, which is not among the data sets {', '.join(names)}")
    # mistakes in cheap things are reported before a model is loaded
    lists = [value for given in (options or {}).values() if (value := given.get("list_file"))]
    written = _written(scorings)
    models = [file for one in scorings for file in model_files(one.model)]
    check_outputs(
        files=written,
        folders={"--previews": getattr(on_scored, "folder", None)},
        searched={
            "--root": [root for _, root in benchmarks],
            "--predictions": [one.predictions for one in scorings if one.predictions],
        },
        read={"--list": lists, "--model": models, "--protocol": [name for name in protocols if Path(name).is_file()]},
    )
    for name in protocols:
        if name != "all":
            load_protocol(name)
    from dad.data.benchmarks import open_benchmark
    from dad.progress import Progress

    more: dict[str, Any] = {"lenient": True} if lenient else {}
    opened = [open_benchmark(name, Path(root), **more, **(options or {}).get(name, {})) for name, root in benchmarks]
    subjects = [_subject(one, protocols, device, precision) for one in scorings]
    for benchmark in opened:
        _require_names_of_their_own(benchmark, any(one.predictions for one in scorings), on_scored is not None)
        check_outputs(files=written, read={f"a file of {benchmark.name}": _listed(benchmark)})
    rows: list[list[Row]] = [[] for _ in subjects]
    failures: list[list[Failure]] = [[] for _ in subjects]
    for benchmark in opened:
        for of_one in failures:
            of_one += [Failure(benchmark.name, "", problem) for problem in getattr(benchmark, "problems", ())]
        with Progress(f"evaluate {benchmark.name}", len(benchmark), "image") as shown:
            found = evaluate_subjects(
                benchmark,
                subjects,
                strict=strict,
                failures=None if strict else failures,
                on_scored=on_scored,
                workers=workers,
                progress=lambda done, total, shown=shown: shown.advance(),  # type: ignore[misc]
            )
        for collected, new in zip(rows, found, strict=True):
            collected.extend(new)
    return [_write(*parts, strict=strict) for parts in zip(scorings, subjects, rows, failures, strict=True)]


def _check_subject(one: Scoring) -> None:
    if (one.model is None) == (one.predictions is None):
        raise UserError("give either a model or a folder of predictions")
    if one.model is not None and one.kind is not None:
        raise UserError(f"kind {one.kind!r} is for a folder of predictions; a model knows its own kind")
    if one.predictions is not None and one.kind is None:
        raise UserError(f"the kind of the predictions in {one.predictions} is needed: {' or '.join(KINDS)}")


def _written(scorings: Sequence[Scoring]) -> dict[str, Path | None]:
    """What is written, by the option that names it; of several, with its number."""
    numbers = [""] if len(scorings) == 1 else [f" ({number})" for number in range(1, len(scorings) + 1)]
    pairs = list(zip(numbers, scorings, strict=True))
    return {f"--out{number}": one.out for number, one in pairs} | {
        f"--summary{number}": one.summary for number, one in pairs
    }


def _subject(one: Scoring, protocols: Sequence[str | Path], device: str, precision: str) -> Subject:
    source: PredictionFolder | EstimatorPredictions
    if one.predictions is not None:
        source = PredictionFolder(one.predictions, str(one.kind))
    else:
        source = EstimatorPredictions(_loaded(str(one.model), device, precision))
    return Subject(source.name if one.label is None else one.label, source, resolve_protocols(protocols, source.kind))


def _loaded(model: str, device: str, precision: str) -> Any:
    from dad.models import load
    from dad.models.estimator import RunsAsItIs

    if precision == "no":
        return load(model, device=device)
    try:
        return load(model, device=device, precision=precision)
    except RunsAsItIs:
        print(f"{model} runs as its makers' code runs it, and not in {precision}", file=sys.stderr)
        return load(model, device=device)


def _write(one: Scoring, subject: Subject, rows: list[Row], failures: list[Failure], *, strict: bool) -> dict[str, Any]:
    if all(row["status"] == "failed" for row in rows):
        raise UserError(
            f"none of {len(rows) // len(subject.protocols)} images could be scored; first: {rows[0]['message']}"
        )
    written = {
        "model": subject.name,
        "results": summarise(rows, subject.protocols, strict=strict),
        "failures": [asdict(failure) for failure in failures],
    }
    write_csv(one.out, rows, COLUMNS)
    if one.summary is not None:
        used = dict(_how_predicted(one, subject))
        written = write_sealed_json(one.summary, written | used | {"files": {one.out.name: sha256_file(one.out)}})
    return written


def _how_predicted(one: Scoring, subject: Subject) -> Iterator[tuple[str, Any]]:
    """What the maps are of: the weights' digest, the size of the network's input, its precision where not float32."""
    if one.model is None:
        return
    from dad.models.checkpoints import weights_identity

    yield "weights", weights_identity(one.model)
    estimator = subject.source.estimator
    if (size := getattr(getattr(estimator, "policy", None), "size", None)) is not None:
        yield "input_size", size
    if (precision := getattr(estimator, "precision", "no")) != "no":
        yield "precision", precision


def _listed(benchmark: "Benchmark") -> Sequence[Path]:
    """The files of a benchmark that are not found by a search: a manifest and what it lists, a header."""
    return getattr(benchmark, "paths", list)()


def _require_names_of_their_own(benchmark: "Benchmark", stored: bool, shown: bool) -> None:
    """Refuse images that would share a stored prediction or a preview (where, on other systems, case is ignored)."""
    seen: dict[str, str] = {}
    for index in range(len(benchmark) if stored or shown else 0):
        image = benchmark.image(index)
        name = PurePosixPath(image).with_suffix("").as_posix()
        other = seen.setdefault(name if stored and not shown else name.casefold(), image)
        if other != image:
            what = f"the prediction {name}.npy" if stored else f"the preview {name}.png"
            raise UserError(f"{benchmark.name}: {other} and {image} would share {what}: rename one of the images")
