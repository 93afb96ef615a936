"""From rows, one per image and protocol, to the means of a data set."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dad.evaluation.detail import CENTRE, DETAIL
from dad.evaluation.metrics import METRICS
from dad.evaluation.protocol import Protocol

MEASURED = (*METRICS, "scale", "shift", *DETAIL, *CENTRE, "log_bias")
"""What is measured of one image under one protocol."""

COLUMNS = [
    *("model", "dataset", "protocol", "protocol_hash", "image", "scene", "n"),
    *(*MEASURED, "status", "message"),
]
"""What is known of one image under one protocol. status: `ok`, `partial` (scored without pixels whose truth is not
positive or not finite although the mask has them), `empty` (no scored pixel, or too few for a fit) or `failed` (could
not be scored; n = 0); message: why, or what is suspicious about a prediction that was scored.
"""

IN_METRES = ("sq_rel", "rmse", "i_rmse")
"""Metrics that mean nothing where depth is known up to a factor only; they are empty (None) there."""

Row = dict[str, Any]

_OPTIONAL = tuple(name for name in (*DETAIL, *CENTRE) if name != "edge_n")


def summarise(rows: Iterable[Mapping[str, Any]], protocols: Sequence[Protocol], *, strict: bool = False) -> list[Row]:
    """Means over images, one entry per data set and protocol: dataset, protocol, protocol_hash, images, empty, failed,
    mean, and partial where there are some.

    `images` counts all images, `partial`, `empty` and `failed` those of these states (see `COLUMNS`). The mean is
    unweighted over images; under a protocol that averages over `pixels` the metrics of `METRICS` are those of all
    pixels together, as if they were one image's.

    Empty and failed images are left out of both; in strict mode a protocol whose upstream evaluator
    averages empty images in gives NaN, as upstream does. A NaN or infinite metric of an image that has pixels is never
    hidden: it makes the mean of this metric NaN or infinite. A metric that an image cannot have is left out for this
    image: those in metres where depth is relative, those at depth edges where there is none.
    """
    poisons = {protocol.id: strict and protocol.strict.empty_images == "poison" for protocol in protocols}
    pooled = {protocol.id: protocol.average == "pixels" for protocol in protocols}
    skips_nan = {protocol.id: strict and protocol.strict.empty_images == "skip" for protocol in protocols}
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["protocol"], row["protocol_hash"]), []).append(row)
    results = []
    for (dataset, protocol, digest), members in groups.items():
        scored = [row for row in members if row["status"] != "failed"]
        counted = scored if poisons[protocol] else [row for row in scored if row["n"] > 0]
        if skips_nan[protocol]:
            counted = [row for row in counted if not math.isnan(row["abs_rel"])]
        if pooled[protocol]:
            mean = _pooled(counted)
        else:
            mean = {metric: _mean([row[metric] for row in counted if row[metric] is not None]) for metric in METRICS}
        mean |= {metric: _mean([row[metric] for row in counted if not math.isnan(row[metric])]) for metric in _OPTIONAL}
        results.append(
            {
                "dataset": dataset,
                "protocol": protocol,
                "protocol_hash": digest,
                "images": len(members),
                **({"partial": partial} if (partial := sum(row["status"] == "partial" for row in members)) else {}),
                "empty": sum(row["n"] == 0 for row in scored),
                "failed": len(members) - len(scored),
                "mean": mean,
            }
        )
    return results


def _pooled(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The metrics of all pixels of all images together, from those of each image and its number of pixels."""

    def mean(metric: str, power: int = 1) -> float:
        """The mean over pixels of what is averaged in a metric, or of its square."""
        known = [row for row in rows if row[metric] is not None]
        values = [row["n"] * row[metric] ** power for row in known]
        if not known or not all(map(math.isfinite, values)):
            return sum(values) / len(values) if values else math.nan
        return math.fsum(values) / sum(row["n"] for row in known)

    def root(value: float) -> float:
        return math.sqrt(max(value, 0.0)) if not math.isnan(value) else math.nan

    found = {
        metric: root(mean(metric, 2)) if "rmse" in metric else mean(metric) for metric in METRICS if metric != "silog"
    }
    found["silog"] = 100.0 * root(mean("rmse_log", 2) - mean("log_bias") ** 2)
    return {metric: found[metric] for metric in METRICS}


def _mean(values: list[float]) -> float:
    """The mean, NaN for nothing; `fsum` makes it independent of the order of the images."""
    if any(not math.isfinite(value) for value in values):
        return sum(values) / len(values)
    return math.fsum(values) / len(values) if values else math.nan
