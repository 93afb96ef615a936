"""Pairs of rows in the paper's printed order, and whether ours are ordered likewise."""

import itertools
import math
from dataclasses import dataclass

from dad.report.claims import Verdict, better, how_much_worse, means
from dad.report.estimates import Estimate
from dad.report.frame import Column, Frame
from dad.study.cells import Row
from dad.study.paper import paper


@dataclass(frozen=True)
class Ordering:
    """Two rows that the paper prints further apart than its noise floor, and whether ours are ordered likewise."""

    better: Row
    worse: Row
    column: Column
    printed: tuple[float, float]
    ours: tuple[float, float]
    interval: Estimate
    """Ours: by how much `worse` is worse, in the metric's unit; negative where the order is reversed."""
    verdict: Verdict


def orderings(frame: Frame, metric: str = "abs_rel") -> list[Ordering]:
    """All pairs of rows that the paper prints apart by more than its noise floor, on every data set with a printed column.

    Numbers that were not made under the paper's own protocol order nothing and are left out.
    """
    found = []
    for column, pair in itertools.product(frame.columns, itertools.combinations(frame.scored, 2)):
        lines = [frame.value(row, column, metric) for row in pair]
        if any(math.isnan(line["paper"]) or line["foreign"] for line in lines):
            continue
        values = {row.name: line["paper"] for row, line in zip(pair, lines, strict=True)}
        lower, higher = sorted(pair, key=lambda row: values[row.name])
        ahead, behind = (lower, higher) if paper().metrics[metric].better == "lower" else (higher, lower)
        printed = (values[ahead.name], values[behind.name])
        if paper().within_noise(*printed):
            continue
        difference = how_much_worse(frame, ahead, behind, column, metric)
        ours = means(frame, (ahead, behind), column, (metric, metric))
        found.append(Ordering(ahead, behind, column, printed, ours, difference, better(difference).verdict))
    return found
