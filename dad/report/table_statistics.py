"""The statistics of a table: per row and column the mean, and the differences to the best row and to the row's reference."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dad.report.statistics import Difference, Interval, Values, bootstrap_average, holm, judged_difference, paired, value_matrices


def table_statistics(
    scores: pd.DataFrame,
    better: Mapping[str, str],
    *,
    columns: Mapping[str, Sequence[str]] | None = None,
    references: Mapping[str, str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """One line per row, column and metric, in the order in which the rows first appear in `scores`.

    better: metric -> "lower" or "higher"; the best row of a column and metric is chosen by it, the others are compared with it.
    columns: name -> the data sets it averages; by default one column per data set.
    references: row -> the row it is compared with; a row may have none.

    Columns: row, dataset (the column's name), metric, mean, ci_low, ci_high, n (images), seeds, difference_to_best, diff_low,
    diff_high, p_holm, effect, and the same for the reference: reference (its row), ref_difference, ref_low, ref_high, ref_p_holm,
    ref_effect. Both p are adjusted over the rows of one column and metric. The best row is chosen from the same scores that it is
    compared on, which favours it a little; its own difference is 0, without an interval.
    """
    if scores.empty:
        return pd.DataFrame(columns=["row", "dataset", "metric"])
    rows = list(dict.fromkeys(scores["row"]))
    columns = columns or {name: (name,) for name in dict.fromkeys(scores["dataset"])}
    lines = []
    for (name, datasets), (metric, direction) in itertools.product(columns.items(), better.items()):
        parts = {row: value_matrices(scores, row, datasets, metric) for row in rows}
        lines += _column_lines(name, metric, direction, parts, references or {}, seed)
    order = {name: index for index, name in enumerate(rows)}
    return pd.DataFrame(lines).sort_values("row", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def _column_lines(
    name: str, metric: str, direction: str, parts: dict[str, list[Values]], references: Mapping[str, str], seed: int
) -> list[dict[str, Any]]:
    """The lines of one column and metric, a row each."""
    intervals = {row: bootstrap_average(values, seed=seed) for row, values in parts.items()}
    finite = [row for row in parts if np.isfinite(intervals[row].mean)]
    sign = 1 if direction == "lower" else -1
    best = min(finite, key=lambda row: sign * intervals[row].mean, default=None)
    to_best = _differences(parts, {row: best for row in parts if best not in (None, row)}, seed)
    to_reference = _differences(parts, {row: other for row, other in references.items() if row in parts and other in parts}, seed)
    lines = []
    for row, values in parts.items():
        line = {"row": row, "dataset": name, "metric": metric}
        line |= dict(zip(("mean", "ci_low", "ci_high"), _ends(intervals[row]), strict=True))
        line |= {"n": sum(one.shape[1] for one in values), "seeds": len(values[0])}
        difference, p = to_best.get(row, (None, np.nan))
        if difference is None:
            line |= {"difference_to_best": 0.0 if row == best else np.nan, "diff_low": np.nan, "diff_high": np.nan}
        else:
            line |= dict(zip(("difference_to_best", "diff_low", "diff_high"), _ends(difference.interval), strict=True))
        line |= {"p_holm": p, "effect": difference.effect if difference else np.nan}
        difference, p = to_reference.get(row, (None, np.nan))
        ends = _ends(difference.interval) if difference else (np.nan,) * 3
        line |= {"reference": references[row] if difference else ""}
        line |= dict(zip(("ref_difference", "ref_low", "ref_high"), ends, strict=True))
        line |= {"ref_p_holm": p, "ref_effect": difference.effect if difference else np.nan}
        lines.append(line)
    return lines


def _differences(parts: dict[str, list[Values]], others: Mapping[str, str], seed: int) -> dict[str, tuple[Difference, float]]:
    """Row -> its difference to the other row and p after Holm's correction over all of them."""
    found = {
        row: judged_difference([paired(*pair) for pair in zip(parts[row], parts[other], strict=True)], seed=seed)
        for row, other in others.items()
    }
    adjusted = holm([difference.p for difference in found.values()])
    return {row: (difference, float(p)) for (row, difference), p in zip(found.items(), adjusted, strict=True)}


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.mean, interval.low, interval.high
