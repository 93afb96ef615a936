"""A table's picture: points and intervals of our rows beside the printed numbers, or heat maps where it is a grid."""

import math
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from dad.analysis.columns import Column
from dad.analysis.contrasts import TO_BEST, TO_REFERENCE
from dad.analysis.effects import Effects, cell_means, decided_interactions, effects_of, heading, interactions
from dad.analysis.frame import Frame, words
from dad.report.curves import curves_figure
from dad.report.style import GIVEN, HAIRLINE, INK, PALETTE, QUIET, log_ticks, look_of, new_figure, save_figure, styled
from dad.study.cells import Row
from dad.study.paper import paper

SPREAD = 0.5
"""Part of a row's height over which the blocks are set apart."""
DASHES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
"""Of the lines of several models of one kind above the rows."""
BESIDE = {"teacher": INK, "source": PALETTE[2], "no-skill": QUIET}
"""Colours of the lines of models above the rows."""


def write_table_figure(frame: Frame, path: Path) -> None:
    """A table as PNG (`path`) and SVG: curves if its file says so, heat maps of a grid, else points with intervals."""
    effects = None if frame.layout.curves else effects_of(frame)
    with styled():
        drawn = curves_figure(frame) if frame.layout.curves else None
        figure = drawn or (grid_figure(frame, effects) if effects else points_figure(frame))
        title = f"{frame.layout.name}: {frame.layout.title}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", wrap=True)
        save_figure(figure, path)


def points_figure(frame: Frame) -> Figure:
    """Panels per column and printed metric: ours with 95 % intervals, the paired differences that say more than two
    overlapping intervals, and the printed numbers as hollow marks.

    Each has an axis of its own, because stand-ins and smaller networks are on another scale; errors are logarithmic, so
    that equal distances are equal ratios. A table that the paper prints no numbers of has no panels for them.
    """
    table = _placed(frame)
    figure, panels = _panels(frame, table)
    for axes, column, metric, kind in panels:
        PANELS[kind](axes, frame, column, table[(table["dataset"] == column.dataset) & (table["metric"] == metric)])
        if axes.axison:
            _finish(axes, list(table["line"].unique()), metric, kind)
    handles = _legend(frame, table["part"].unique())
    figure.legend(handles=handles, loc="outside lower left", ncols=2, fontsize=8.5, handletextpad=0.6, columnspacing=3)
    return figure


def _placed(frame: Frame) -> pd.DataFrame:
    """The lines of the rows with what tells them apart inside a block (`line`) and their block (`part`) in words.

    A panel has a line per combination of the levels inside a block, in which the blocks are set apart and coloured.
    """
    layout, table = frame.layout, frame.lines[frame.lines["role"] == "row"]
    # all factors tell lines apart where they are all the blocks'
    inside = layout.row_factors or layout.factors
    return table.assign(line=words(layout, table, inside), part=words(layout, table, layout.block))


def _panels(frame: Frame, table: pd.DataFrame) -> tuple[Figure, list[tuple[Axes, Column, str, str]]]:
    """The figure, and its panels with what each shows: (axes, column, metric, one of PANELS); a line per column."""
    kinds = [kind for kind in PANELS if kind != "printed" or frame.printed]
    metrics, groups = frame.layout.metrics, table["line"].nunique()
    shown = [(column, metric, kind) for column in frame.columns for metric in metrics for kind in kinds]
    wide, lines = len(kinds) * len(metrics), len(frame.columns)
    row = min(0.36, max(0.2, 0.11 * table["part"].nunique())) if groups > 6 else 0.36
    figure = new_figure(1.8 + 2.9 * wide, 1.35 + lines * (0.75 + row * groups))
    figure.set_layout_engine("constrained", hspace=0.06, wspace=0.03)
    ratios = [{"ours": 1.25, "difference": 1.1, "printed": 0.9}[kind] for kind in kinds] * len(metrics)
    grid = figure.subplots(lines, wide, squeeze=False, sharey=True, width_ratios=ratios).flat
    return figure, [(axes, *one) for axes, one in zip(grid, shown, strict=True)]


def _point_plot(axes: Axes, rows: pd.DataFrame, shown: pd.Series, values: Sequence[str], **look: Any) -> None:
    """Points of some rows at their places; a second and third value are an interval's ends, given and not computed."""
    if not shown.any():
        return
    labels, names = list(rows["line"].unique()), list(rows["part"].unique())
    looks = [look_of(place) for place in range(len(names))]
    seaborn.pointplot(
        rows[shown].melt(["line", "part"], list(values)),
        x="value",
        y="line",
        hue="part",
        order=labels,
        hue_order=names,
        palette=[one["color"] for one in looks],
        markers=look.pop("markers", [one["marker"] for one in looks]),
        dodge=SPREAD if len(names) > 1 else False,
        linestyle="none",
        legend=False,
        ax=axes,
        err_kws={"linewidth": 1.6},
        **(GIVEN if len(values) > 1 else {"errorbar": None}),
        **look,
    )


def _ours(axes: Axes, frame: Frame, column: Column, rows: pd.DataFrame) -> None:
    known, metric = rows["mean"].notna(), rows["metric"].iloc[0]
    labels, names = list(rows["line"].unique()), list(rows["part"].unique())
    for row in rows[~known].to_dict("records"):
        said = textwrap.shorten(row["reason"], 60, placeholder=" …") if row["reason"] else "no number"
        height = labels.index(row["line"])
        if len(names) > 1:  # where seaborn dodges it to
            height += SPREAD * (names.index(row["part"]) / (len(names) - 1) - 0.5)
        axes.text(0.02, height, said, transform=axes.get_yaxis_transform(), va="center", fontsize=6.5, color=QUIET)
    drawn = rows.assign(ci_low=rows["ci_low"].fillna(rows["mean"]), ci_high=rows["ci_high"].fillna(rows["mean"]))
    as_is = rows["row"].isin([row.name for row in frame.rows if row.model])
    ends, size = ("mean", "ci_low", "ci_high"), {"markersize": 6, "markeredgewidth": 0.9}
    _point_plot(axes, drawn, known & ~as_is, ends, **size)
    _point_plot(axes, drawn, known & as_is, ends, markerfacecolor="white", **size)
    for row, look in _beside(frame):
        mean = frame.value(row, column, metric)["mean"]
        if not math.isnan(mean):
            axes.axvline(mean, **look)
    axes.set_title(f"ours: {column.title}" if frame.printed else column.title, loc="left", fontsize=9)


def _beside(frame: Frame) -> Iterator[tuple[Row, dict[str, Any]]]:
    """The models above the rows, as lines: a colour for what they are, dashes for which."""
    counts: Counter[str] = Counter()
    for row in frame.beside:
        yield row, {"color": BESIDE[row.role], "linewidth": 1.0, "linestyle": DASHES[counts[row.role] % len(DASHES)]}
        counts[row.role] += 1


def _differences(axes: Axes, frame: Frame, column: Column, rows: pd.DataFrame) -> None:
    """The paired difference of each row to its reference, or to the best row of the table where it has none."""
    ends = (TO_REFERENCE if frame.layout.reference else TO_BEST)[:3]
    _point_plot(axes, rows, rows[ends[1]].notna(), ends, markersize=5, markeredgewidth=0.9)
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_title(
        f"paired, minus {'its reference' if frame.layout.reference else 'the best row'}", loc="left", fontsize=9
    )


def _printed(axes: Axes, frame: Frame, column: Column, rows: pd.DataFrame) -> None:
    known, foreign = rows["paper"].notna(), rows["foreign"]
    if not known.any():
        axes.text(0.5, 0.5, "not in the paper", transform=axes.transAxes, ha="center", va="center", color=QUIET)
        axes.set_axis_off()
        return
    _point_plot(axes, rows, known & ~foreign, ["paper"], markersize=6, markerfacecolor="white", markeredgewidth=1.5)
    _point_plot(axes, rows, known & foreign, ["paper"], markers="x", markersize=6, markeredgewidth=1.5)
    axes.set_title(f"printed: {column.paper}", loc="left", fontsize=9)


PANELS: dict[str, Callable[[Axes, Frame, Column, pd.DataFrame], None]] = {
    "ours": _ours,
    "difference": _differences,
    "printed": _printed,
}


def _finish(axes: Axes, labels: list[str], metric: str, kind: str) -> None:
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("")
    for boundary in range(1, len(labels)):
        axes.axhline(boundary - 0.5, color=HAIRLINE, linewidth=0.7)
    axes.margins(x=0.08)
    axes.grid(axis="x")
    if not any(line.get_marker() not in ("", "None", None) for line in axes.lines):
        axes.set_xticks([])
        axes.set_xlabel("")
    elif kind == "difference":
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel(f"difference in {paper().metrics[metric].label}")
    elif paper().metrics[metric].better == "lower":
        axes.set_xscale("log")
        axes.autoscale_view()
        ticks = log_ticks(*axes.get_xlim())
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(f"{paper().metrics[metric].arrow} (log scale)")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel(paper().metrics[metric].arrow)


def _legend(frame: Frame, blocks: Iterable[str]) -> list[Line2D]:
    handles, hollow = [], {"marker": "o", "markerfacecolor": "white", "markeredgecolor": QUIET}
    for index, name in enumerate(blocks if frame.layout.block else []):
        handles.append(Line2D([], [], **look_of(index), linewidth=1.6, label=name))
    handles += [Line2D([], [], label=f"{frame.label(row)}, scored by us", **look) for row, look in _beside(frame)]
    if any(row.model for row in frame.rows):
        handles.append(Line2D([], [], color=QUIET, linewidth=1.6, **hollow, label="ours, an estimator scored as is"))
    covers = "images" if frame.repeats == 1 else f"images and {frame.repeats} seeds"
    handles.append(Line2D([], [], color=QUIET, linewidth=1.6, label=f"95 % interval over {covers}, each row by itself"))
    if frame.printed:
        handles.append(Line2D([], [], color="none", **hollow, markeredgewidth=1.5, label="printed in the paper"))
    if frame.lines["foreign"].any():
        handles.append(
            Line2D([], [], color="none", marker="x", markeredgecolor=QUIET, label="printed, under another protocol")
        )
    return handles


def grid_figure(frame: Frame, effects: Effects) -> Figure:
    """Per column the means by two factors, and what these two do together beyond the sum of what each does."""
    means = [cell_means(frame, effects, column) for column in frame.columns]
    height, width = means[0].shape
    figure = new_figure(2 * (2.1 + 0.72 * width), 0.9 + len(means) * (1.0 + 0.4 * height))
    grid = figure.subplots(len(means), 2, squeeze=False)
    others = [heading(frame, one).lower() for one in effects.dimensions[:-2]]
    metric = paper().metrics[effects.metric]
    for (left, right), column, values in zip(grid, frame.columns, means, strict=True):
        apart = interactions(values)
        decided = decided_interactions(frame, effects, column, values)
        end = max(1e-9, float(apart.abs().max().max()))
        colours = "viridis" if metric.better == "higher" else "viridis_r"
        around = {"cmap": "RdBu_r", "vmin": -end, "vmax": end, "annot": apart}
        _heat_map(
            left, frame, effects, values, cmap=colours, fmt=f".{paper().decimals}f", cbar_kws={"label": metric.arrow}
        )
        shown = apart.where(decided | apart.isna(), 0.0)
        _heat_map(right, frame, effects, shown, fmt="+.4f", cbar_kws={"label": "beyond the sum"}, **around)
        over = f", mean over {' and '.join(others)}" if others else ""
        left.set_title(f"{column.title}: {metric.label}{over}", loc="left")
        right.set_title("interaction (white: undecided)", loc="left")
    return figure


def _heat_map(axes: Axes, frame: Frame, effects: Effects, values: pd.DataFrame, **options: Any) -> None:
    """One heat map with its numbers; where nothing was run, it says so."""
    rows, columns = effects.axes
    options = {"annot": True} | options
    seaborn.heatmap(values, ax=axes, annot_kws={"fontsize": 8}, linewidths=0.8, **options)
    for i, j in zip(*values.isna().to_numpy().nonzero(), strict=True):
        axes.text(j + 0.5, i + 0.5, "not run", ha="center", va="center", fontsize=7, color=QUIET)
    axes.tick_params(length=0)
    axes.tick_params(axis="x", rotation=0)
    axes.tick_params(axis="y", rotation=0)
    axes.set(xlabel=heading(frame, columns), ylabel=heading(frame, rows))
