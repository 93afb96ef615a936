"""Tables that are grids: what each level of a factor does on average, and what two factors do together beyond that; and
tables whose rows are doses of one factor.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dad.analysis.columns import Column
from dad.analysis.estimates import Interval, average_of
from dad.analysis.frame import Frame, words
from dad.study.cells import Row

Dimension = tuple[str, ...]
"""The factors of one axis of a grid: one factor, or those of a table's blocks together."""
Level = tuple[str, ...]
"""Levels of a dimension's factors."""


@dataclass(frozen=True)
class Effects:
    """The main effects of a grid in one metric, and the two dimensions that its heat maps are laid out by."""

    metric: str
    dimensions: tuple[Dimension, ...]
    mains: dict[tuple[str, str], list[Interval]]
    """(dimension, level), as they are written, in the order of the table -> on each of its columns the mean over the
    rows with this level minus the mean over all rows.
    """

    @property
    def axes(self) -> tuple[Dimension, Dimension]:
        """Rows and columns of the heat maps, which average over the other dimensions."""
        return self.dimensions[-2], self.dimensions[-1]


def heading(frame: Frame, dimension: Dimension) -> str:
    """What a dimension is called."""
    return ", ".join(map(frame.layout.heading, dimension))


def level_label(frame: Frame, dimension: Dimension, level: Level) -> str:
    """How a level is written."""
    return ", ".join(frame.layout.label(*pair) for pair in zip(dimension, level, strict=True))


def level_of(row: Row, dimension: Dimension) -> Level:
    """A row's level."""
    return tuple(row.factors[factor] for factor in dimension)


def grid_dimensions(frame: Frame) -> tuple[Dimension, ...]:
    """The dimensions of a table that is a grid: several with at least two levels each, nothing printed, and every
    combination of levels a row, whether it could be run or not. Empty for other tables.
    """
    possible = [
        *([frame.layout.block] if frame.layout.block else []),
        *((factor,) for factor in frame.layout.row_factors),
    ]
    levels = {dimension: {level_of(row, dimension) for row in frame.rows} for dimension in possible}
    varied = tuple(dimension for dimension, found in levels.items() if len(found) > 1)
    whole = math.prod(len(levels[dimension]) for dimension in varied) == len(frame.rows)
    return varied if len(varied) > 1 and whole and not frame.printed and len(frame.trained) > 2 else ()


def effects_of(frame: Frame) -> Effects | None:
    """The main effects of a grid in its first metric, over the rows that were run; None for other tables.

    Where combinations are missing, levels are averaged over different rows: such an effect is not the level's alone.
    """
    dimensions, metric = grid_dimensions(frame), frame.layout.metrics[0]
    if not dimensions:
        return None
    mains = {}
    for dimension in dimensions:
        for level in dict.fromkeys(level_of(row, dimension) for row in frame.trained):
            having = [row for row in frame.trained if level_of(row, dimension) == level]
            shares = {row.name: (row in having) / len(having) - 1 / len(frame.trained) for row in frame.trained}
            terms = [(name, metric, share) for name, share in shares.items()]
            place = heading(frame, dimension), level_label(frame, dimension, level)
            mains[place] = [average_of(frame.contrast(column, terms)).interval() for column in frame.columns]
    return Effects(metric, dimensions, mains)


def cell_means(frame: Frame, effects: Effects, column: Column) -> pd.DataFrame:
    """Our means by the levels (as written) of the heat map's axes, averaged over the others; NaN where nothing ran."""
    lines, (rows, columns) = frame.lines, effects.axes
    here = lines[(lines["role"] == "row") & (lines["dataset"] == column.dataset) & (lines["metric"] == effects.metric)]
    table = here.assign(row=words(frame.layout, here, rows), column=words(frame.layout, here, columns))
    means = table.pivot_table("mean", "row", "column", dropna=False)
    return means.reindex(index=table["row"].unique(), columns=table["column"].unique())


def interactions(means: pd.DataFrame) -> pd.DataFrame:
    """What is left of cell means (levels of one factor by levels of the other) beyond both main effects; 0 where
    factors add up.

    Where combinations are missing, row and column effects are fitted by least squares to the ones that are there.
    """
    known = means.stack().dropna()
    return (_beyond_both(known.index) @ known).unstack().reindex_like(means)


def decided_interactions(frame: Frame, effects: Effects, column: Column, means: pd.DataFrame) -> pd.DataFrame:
    """Whether the 95 % interval of an interaction, which is a weighted sum of rows as well, leaves out zero."""
    known = means.stack().dropna().index
    rows: dict[tuple[str, str], list[str]] = {}
    for row in frame.trained:
        at, along = (level_label(frame, axis, level_of(row, axis)) for axis in effects.axes)
        rows.setdefault((at, along), []).append(row.name)
    found = {}
    for place, weights in _beyond_both(known).iterrows():
        terms = [(name, effects.metric, weights[cell] / len(rows[cell])) for cell in known for name in rows[cell]]
        interval = average_of(frame.contrast(column, terms)).interval()
        found[place] = interval.low > 0 or interval.high < 0
    return pd.Series(found).unstack().reindex_like(means).eq(True)


def _beyond_both(cells: pd.MultiIndex) -> pd.DataFrame:
    """The matrix that takes means of these cells to what is left of them beyond both main effects (least squares)."""
    levels = [pd.get_dummies(cells.get_level_values(axis)) for axis in (0, 1)]
    design = pd.concat(levels, axis=1).to_numpy(np.float64)
    return pd.DataFrame(np.eye(len(cells)) - design @ np.linalg.pinv(design), index=cells, columns=cells)


def curve_lines(frame: Frame) -> pd.DataFrame:
    """One line per row with a reference and column: facet, line, along, title, and the error relative to the
    reference's: 1 plus the paired difference over the reference's mean, with the ends of its interval. A reference is 1
    at its own level.
    """
    form, metric, lines = frame.layout.curves, frame.layout.metrics[0], []
    assert form is not None
    for row in frame.scored:
        reference = frame.reference(row)
        if reference is None or not reference.subjects:
            continue
        for column in frame.columns:
            own, base = frame.value(row, column, metric), frame.value(reference, column, metric)["mean"]
            place = {"facet": row.factors[form.facets], "line": row.factors[form.lines], "title": column.title}
            ends = {
                name: 1 + own[f"ref_{key}"] / base
                for name, key in (("mean", "difference"), ("low", "low"), ("high", "high"))
            }
            lines.append(place | {"along": float(row.factors[form.along])} | ends)
            start = {"along": float(reference.factors[form.along]), "mean": 1.0, "low": 1.0, "high": 1.0}
            if (first := place | start) not in lines:
                lines.append(first)
    return pd.DataFrame(lines)
