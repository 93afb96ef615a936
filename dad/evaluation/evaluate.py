"""A whole benchmark: one pass over the predictions, one row per image and protocol, one mean per protocol."""

import contextlib
import functools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dad.errors import UserError
from dad.evaluation.datasets import dataset_rules
from dad.evaluation.one_image import (
    Failure,
    How,
    Image,
    Result,
    Row,
    Scored,
    Subject,
    message_of,
    score_image,
    shown_by,
)
from dad.evaluation.predictions import EstimatorPredictions, PredictionFolder
from dad.evaluation.protocol import Protocol, available_protocols, load_protocol
from dad.evaluation.summary import COLUMNS, summarise

if TYPE_CHECKING:
    from dad.data.benchmarks.base import Benchmark

__all__ = [
    "COLUMNS",
    "Failure",
    "PredictionFolder",
    "Row",
    "Scored",
    "Subject",
    "evaluate",
    "evaluate_subjects",
    "resolve_protocols",
    "subject_of",
    "summarise",
]


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
    workers: int = 0,
) -> list[Row]:
    """Score a benchmark under several protocols in one pass; one image is in memory at a time.

    predictions: an estimator (callable, with `kind` and `name`) or a `PredictionFolder`.
    protocols: names, paths or loaded protocols; "all" stands for every protocol in the package that scores this kind.
    model: the value of the `model` column, by default the name of the estimator or folder.
    strict: upstream's behaviour on NaN predictions and images without valid pixels; see `score` and `summarise`.
    failures: a list to which images that cannot be scored are added; they get rows with the status "failed" and the
        others are scored. Without it the first one raises.
    progress: called with (images done, images in all) after every image.
    on_scored: called with every image that has a scored pixel under the first protocol. It should not keep what it is
        given: that would keep the image in memory.
    workers: threads that score while the next images are predicted, see `evaluate_subjects`.

    Returns rows with the keys `COLUMNS`, images in the benchmark's order, protocols in the given order. An image
    without valid pixels has n = 0 and NaN metrics. Raises UserError naming the image (without `failures`) when it
    cannot be read, or its prediction is missing, of another shape than the ground truth, or not finite inside the mask.
    """
    subject = subject_of(predictions, protocols, name=model)
    (rows,) = evaluate_subjects(
        benchmark,
        [subject],
        strict=strict,
        failures=None if failures is None else [failures],
        progress=progress,
        on_scored=on_scored,
        workers=workers,
    )
    return rows


def subject_of(predictions: Any, protocols: Sequence[str | Path | Protocol], *, name: str | None = None) -> Subject:
    """What is scored, from what `evaluate` takes."""
    ready = isinstance(predictions, PredictionFolder | EstimatorPredictions)
    source = predictions if ready else EstimatorPredictions(predictions)
    return Subject(source.name if name is None else name, source, resolve_protocols(protocols, source.kind))


def evaluate_subjects(
    benchmark: "Benchmark",
    subjects: Sequence[Subject],
    *,
    strict: bool = False,
    failures: Sequence[list[Failure]] | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_scored: Callable[[Scored], None] | None = None,
    workers: int = 0,
) -> list[list[Row]]:
    """Rows as `evaluate` gives them, one list for each subject: an image is decoded once for all, and the edges of its
    truth are found once.

    workers: threads that score images while the next ones are predicted; up to `workers` + 1 images are in memory. The
    rows are the same for every number. With `on_scored` there are none. failures: a list for each subject.
    """
    if len(benchmark) == 0:
        raise UserError(f"benchmark {benchmark.name} has no images")
    how = How(dataset_rules(benchmark), getattr(benchmark, "label", benchmark.name), strict, failures is not None)
    rows: list[list[Row]] = [[] for _ in subjects]
    pending: deque[tuple[int, Future[list[Result]]]] = deque()

    def collect() -> None:
        index, future = pending.popleft()
        for number, (subject, (found, failed)) in enumerate(zip(subjects, future.result(), strict=True)):
            if failures is not None:
                failures[number].extend(failed)
            for protocol, values in zip(subject.protocols, found, strict=True):
                head = {
                    "model": subject.name,
                    "dataset": how.dataset,
                    "protocol": protocol.id,
                    "protocol_hash": protocol.hash,
                }
                rows[number].append({column: {**head, **values}[column] for column in COLUMNS})
        if progress is not None:
            progress(index + 1, len(benchmark))

    with _pool(0 if on_scored else workers) as submit:
        for index in range(len(benchmark)):
            image = _predicted(benchmark, index, subjects, how.lenient)
            shows = [shown_by(on_scored, image, subject, how.dataset, len(benchmark)) for subject in subjects]
            pending.append((index, submit(functools.partial(score_image, image, subjects, how, shows))))
            del image, shows
            while len(pending) > (0 if on_scored else workers):
                collect()
        while pending:
            collect()
    return rows


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[Callable[[Callable[[], Any]], "Future[Any]"]]:
    """Something that runs functions: in threads, or at once without any."""
    if not workers:
        yield _at_once
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool.submit
    finally:
        pool.shutdown(cancel_futures=True)


def _at_once(function: Callable[[], Any]) -> "Future[Any]":
    done: Future[Any] = Future()
    done.set_result(function())
    return done


def _predicted(benchmark: "Benchmark", index: int, subjects: Sequence[Subject], lenient: bool) -> Image:
    """One image with every subject's map. Whatever it raises, memory too, is the failure of this image."""
    try:
        sample, problem = benchmark[index], ""
    except Exception as error:
        if not lenient:
            raise
        sample, problem = None, message_of(error, benchmark.image(index))
    found: list[Any] = []
    for subject in subjects:
        try:
            found.append(problem or subject.source.predict(sample))
        except Exception as error:  # as above, of this subject
            if not lenient:
                raise
            found.append(message_of(error, benchmark.image(index)))
    failed = any(isinstance(one, str) for one in found)
    return Image(index, benchmark.image(index) if failed else "", sample, found)


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
