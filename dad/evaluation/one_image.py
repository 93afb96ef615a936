"""One image scored: every subject under every protocol, a row for each.

Whatever an image raises is the failure of this image, where failures are noted; else it is raised.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dad.errors import UserError
from dad.evaluation.datasets import DatasetRules
from dad.evaluation.detail import DepthEdges, detail_fitted, local_global_fitted
from dad.evaluation.fitting import UNKNOWNS, Fitted, fit_maps
from dad.evaluation.maps import Maps
from dad.evaluation.protocol import Protocol
from dad.evaluation.score import score_with_bias
from dad.evaluation.summary import IN_METRES, MEASURED, Row
from dad.faults import explain

if TYPE_CHECKING:
    from dad.data.benchmarks.base import Sample


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


@dataclass(frozen=True)
class Subject:
    """Something that is scored: its name, where its maps come from, and the protocols."""

    name: str
    source: Any
    protocols: Sequence[Protocol]


Result = tuple[list[Row], list[Failure]]
"""Of one subject on one image."""


@dataclass(frozen=True)
class How:
    """What holds for all images of a data set."""

    limits: DatasetRules
    dataset: str
    strict: bool
    lenient: bool
    """Whether what cannot be scored is noted instead of raised."""


@dataclass(frozen=True)
class Image:
    """An image with its predictions; where there is none, the message that says why. `name` is for these."""

    index: int
    name: str
    sample: Any
    predictions: Sequence[Any]


def shown_by(
    on_scored: Callable[[Scored], None] | None, image: Image, subject: Subject, dataset: str, total: int
) -> Callable[[Fitted, Row], None] | None:
    """What hands an image's first result of a subject to who wants to look at it; None for nobody."""
    if on_scored is None:
        return None
    about = {"model": subject.name, "dataset": dataset, "index": image.index, "total": total, "sample": image.sample}
    return functools.partial(_show, on_scored, about)


def score_image(
    image: Image, subjects: Sequence[Subject], how: How, shows: Sequence[Callable[[Fitted, Row], None] | None]
) -> list[Result]:
    """One image, every subject under every protocol."""
    results: list[Result] = []
    edges: list[DepthEdges] = []
    for subject, prediction, show in zip(subjects, image.predictions, shows, strict=True):
        failed: list[Failure] = []
        if isinstance(prediction, str):
            message = prediction
            failed.append(Failure(how.dataset, image.name, message))
            found = [_failed(image.name, "", message) for _ in subject.protocols]
        else:
            found = _score_sample(image.sample, prediction, subject, how, failed, edges, show)
        results.append((found, failed))
    return results


def _score_sample(
    sample: "Sample",
    prediction: np.ndarray,
    subject: Subject,
    how: How,
    failed: list[Failure],
    edges: list[DepthEdges],
    show: Callable[[Fitted, Row], None] | None,
) -> list[Row]:
    """One image under every protocol; what cannot be scored is added to `failed`, or raised.

    edges: those of the truth, once they are known. show: called with the first protocol's result, before the next one
    takes memory.
    """
    rows: list[Row] = []
    maps: Maps | None = None
    for protocol in subject.protocols:
        try:
            maps = maps or Maps(prediction, sample.depth, sample.mask if how.strict else sample.usable, sample.id)
            fitted = fit_maps(maps, kind=subject.source.kind, protocol=protocol, dataset=how.limits, strict=how.strict)
            if not edges:
                edges.append(DepthEdges(fitted.depth, fitted.labels))
            rows.append(_row(sample, fitted, edges[0]))
        except np.linalg.LinAlgError as error:
            raise UserError(str(error)) from None
        except Exception as error:  # as in `_predicted`
            if not how.lenient:
                raise
            failure = Failure(how.dataset, sample.id, message_of(error, sample.id))
            if failure not in failed[-1:]:
                failed.append(failure)
            rows.append(_failed(sample.id, sample.scene, failure.message))
        else:
            if show is not None and protocol is subject.protocols[0] and rows[-1]["n"]:
                show(fitted, rows[-1])
    return rows


def message_of(error: Exception, image: str) -> str:
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
    status, messages = (
        "ok",
        [f"{left_out} pixels are left out: their truth is not positive or not finite" if left_out else ""],
    )
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
