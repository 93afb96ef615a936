"""Tables that are grids: what each level of a factor does on average, and what two factors do together beyond that."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dad.report.frame import Column, Frame
from dad.report.statistics import Interval, Values, bootstrap_average, value_matrices
from dad.study.cells import Row


@dataclass(frozen=True)
class Effect:
    """The main effect of a level on one column: mean over the rows with this level minus mean over all rows, and its interval."""

    factor: str
    level: str
    column: Column
    interval: Interval


@dataclass(frozen=True)
class Effects:
    """The main effects of a grid in one metric, and the two factors that its heat maps are laid out by."""

    metric: str
    rows: str
    columns: str
    mains: tuple[Effect, ...]

    def of(self, factor: str, level: str) -> list[Effect]:
        """A level's effect on every column."""
        return [effect for effect in self.mains if (effect.factor, effect.level) == (factor, level)]

    def levels(self) -> list[tuple[str, str]]:
        """All (factor, level), in the order of the table."""
        return list(dict.fromkeys((effect.factor, effect.level) for effect in self.mains))


def grid_factors(frame: Frame) -> tuple[str, ...]:
    """The factors of a table that is a grid: several with at least two levels each, nothing printed, and every combination of their
    levels a row, whether it could be run or not. Empty for other tables.
    """
    levels = {factor: {row.factors[factor] for row in frame.rows} for factor in frame.layout.factors}
    varied = tuple(factor for factor, found in levels.items() if len(found) > 1)
    whole = np.prod([len(levels[factor]) for factor in varied]) == len(frame.rows)
    return varied if len(varied) > 1 and whole and not frame.printed and len(frame.trained) > 2 else ()


def effects_of(frame: Frame) -> Effects | None:
    """The main effects of a grid in its first metric, over the rows that were run; None for other tables.

    Where combinations are missing, levels are averaged over different rows: such an effect is not the level's alone.
    """
    factors, metric = grid_factors(frame), frame.layout.metrics[0]
    if not factors:
        return None
    mains = []
    for column in frame.columns:
        values = {row.name: value_matrices(frame.scores, row.name, column.datasets, metric) for row in frame.trained}
        everything = _averaged(frame.trained, values)
        for factor in factors:
            for level in dict.fromkeys(row.factors[factor] for row in frame.trained):
                having = [row for row in frame.trained if row.factors[factor] == level]
                parts = [one - whole for one, whole in zip(_averaged(having, values), everything, strict=True)]
                mains.append(Effect(factor, level, column, bootstrap_average(parts)))
    return Effects(metric, factors[-2], factors[-1], tuple(mains))


def _averaged(rows: "list[Row] | tuple[Row, ...]", values: dict[str, list[Values]]) -> list[Values]:
    """Per data set the mean over rows, (seeds, images)."""
    return [np.mean(parts, axis=0) for parts in zip(*(values[row.name] for row in rows), strict=True)]


def cell_means(frame: Frame, effects: Effects, column: Column) -> pd.DataFrame:
    """Our means by the levels of the grid's last two factors, averaged over the others; NaN where nothing was run."""
    orders = {name: list(dict.fromkeys(row.factors[name] for row in frame.rows)) for name in (effects.rows, effects.columns)}
    lines = frame.lines[(frame.lines["dataset"] == column.dataset) & (frame.lines["metric"] == effects.metric)]
    means = lines[lines["role"] == "row"].pivot_table("mean", effects.rows, effects.columns, dropna=False)
    return means.reindex(index=orders[effects.rows], columns=orders[effects.columns])


def interactions(means: pd.DataFrame) -> pd.DataFrame:
    """What is left of cell means (levels of one factor by levels of the other) beyond both main effects; 0 where factors add up.

    Where combinations are missing, row and column effects are fitted by least squares to the ones that are there.
    """
    known = [(i, j) for i, j in itertools.product(range(means.shape[0]), range(means.shape[1])) if np.isfinite(means.iloc[i, j])]
    design = np.zeros((len(known), sum(means.shape)))
    for line, (i, j) in enumerate(known):
        design[line, [i, means.shape[0] + j]] = 1
    values = np.array([means.iloc[place] for place in known])
    fitted = design @ np.linalg.lstsq(design, values, rcond=None)[0]
    left = pd.DataFrame(np.nan, means.index, means.columns)
    for place, value in zip(known, values - fitted, strict=True):
        left.iloc[place] = value
    return left
