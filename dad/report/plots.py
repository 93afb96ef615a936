"""The figure of a table: points and intervals of our rows, and the printed numbers in panels of their own."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from dad.report.results import Column, TableResult
from dad.report.style import HAIRLINE, INK, MARKERS, PALETTE, QUIET, log_ticks, new_figure, save_figure, styled
from dad.study.cells import Row
from dad.study.paper import paper

SPREAD = 0.5
"""Part of a row's height over which the blocks are set apart."""
TEACHER_LINES = ("--", ":", "-.")
"""Dashes of the teachers that have no row of their own."""


def write_table_figure(result: TableResult, path: Path) -> None:
    """Panels per column and printed metric: ours with 95 % intervals, and beside them the printed numbers as hollow marks.

    The two have axes of their own, because stand-ins and smaller networks are on another scale; errors are logarithmic, so that
    equal distances are equal ratios. Rows are the factors inside a block, colour and shape are the block. A table that the paper
    prints no numbers of has no panels for them and its columns stand side by side. Written are `path` (PNG) and an SVG beside it.
    """
    layout = result.layout
    # a table whose factors are all its blocks' has nothing left to tell rows apart: every row is a line of its own
    levels = layout.row_factors or layout.factors
    blocks = list(dict.fromkeys(_levels(row, layout.block) for row in result.rows))
    groups = list(dict.fromkeys(_levels(row, levels) for row in result.rows))
    labels = [", ".join(layout.label(factor, level) for factor, level in zip(levels, group, strict=True)) for group in groups]
    place = {row.name: _place(row, result, blocks, groups, levels) for row in result.rows}
    with styled():
        figure, panels = _panels(result, len(groups), len(blocks))
        for axes, column, metric, printed in panels:
            if printed:
                _printed(axes, result, column, metric, place, blocks)
            else:
                _ours(axes, result, column, metric, place, blocks)
            if axes.axison:
                _finish(axes, labels, metric)
        figure.suptitle(f"{layout.name}: {layout.title}", x=0.01, ha="left", fontsize=11, fontweight="bold", wrap=True)
        legend = _legend(result, blocks)
        figure.legend(handles=legend, loc="outside lower left", ncols=2, fontsize=8.5, handletextpad=0.6, columnspacing=3)
        save_figure(figure, path)


def _panels(result: TableResult, groups: int, blocks: int) -> tuple[Figure, list[tuple[Axes, Column, str, bool]]]:
    """The figure, and its panels with what each shows: (axes, column, metric, whether the printed numbers)."""
    columns, metrics = result.columns, result.layout.metrics
    row = min(0.36, max(0.2, 0.11 * blocks)) if groups > 6 else 0.36
    if result.layout.rows:
        wide, lines = 2 * len(metrics), len(columns)
        shown = [(column, metric, printed) for column in columns for metric in metrics for printed in (False, True)]
        width, ratios = (7.6 if wide == 2 else 13.0), (1.25, 1) * len(metrics)
    else:
        shown = [(column, metric, False) for column in columns for metric in metrics]
        wide = min(3, len(shown))
        lines, width, ratios = -(-len(shown) // wide), 3.8 * wide, (1,) * wide
    figure = new_figure(width, 1.35 + lines * (0.75 + row * groups))
    figure.get_layout_engine().set(hspace=0.06, wspace=0.03)
    grid = figure.subplots(lines, wide, squeeze=False, sharey=True, width_ratios=ratios).flat
    panels = [(axes, *one) for axes, one in zip(grid, shown, strict=False)]
    for axes in list(grid)[len(shown) :]:
        axes.set_axis_off()
    return figure, panels


def _levels(row: Row, factors: Sequence[str]) -> tuple[str, ...]:
    return tuple(row.factors[factor] for factor in factors)


def _place(
    row: Row, result: TableResult, blocks: list[tuple[str, ...]], groups: list[tuple[str, ...]], levels: Sequence[str]
) -> float:
    """A row's height in its panel: its group's integer, moved by its block."""
    group = groups.index(_levels(row, levels))
    block = blocks.index(_levels(row, result.layout.block))
    return group + (SPREAD * (block / (len(blocks) - 1) - 0.5) if len(blocks) > 1 else 0.0)


def _look(result: TableResult, row: Row, blocks: list[tuple[str, ...]]) -> tuple[str, str]:
    index = blocks.index(_levels(row, result.layout.block))
    return PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)]


def _ours(
    axes: Axes, result: TableResult, column: Column, metric: str, place: dict[str, float], blocks: list[tuple[str, ...]]
) -> None:
    for row in result.rows:
        interval = result.interval(row, column, metric) if row.subjects else None
        if interval is None or math.isnan(interval.mean):
            words = "no number" if row.subjects else textwrap.shorten(row.reason, 60, placeholder=" …")
            axes.text(0.02, place[row.name], words, transform=axes.get_yaxis_transform(), va="center", fontsize=6.5, color=QUIET)
            continue
        colour, marker = _look(result, row, blocks)
        axes.hlines(place[row.name], interval.low, interval.high, color=colour, linewidth=1.6)
        face = "white" if row.model else colour
        axes.plot(interval.mean, place[row.name], marker, color=colour, markersize=6, markerfacecolor=face, markeredgewidth=0.9)
    for row, dashes in zip(result.teachers, TEACHER_LINES, strict=False):
        mean = result.interval(row, column, metric).mean
        if not math.isnan(mean):
            axes.axvline(mean, color=INK, linewidth=1.0, linestyle=dashes)
    axes.set_title(f"ours: {column.title}" if result.layout.rows else column.title, loc="left", fontsize=9)


def _printed(
    axes: Axes, result: TableResult, column: Column, metric: str, place: dict[str, float], blocks: list[tuple[str, ...]]
) -> None:
    numbers = {row.name: (row, result.printed(row, column, metric)) for row in result.rows}
    if not any(number for _, number in numbers.values()):
        axes.text(0.5, 0.5, "not in the paper", transform=axes.transAxes, ha="center", va="center", color=QUIET)
        axes.set_axis_off()
        return
    for name, (row, number) in numbers.items():
        if number is not None:
            colour, marker = _look(result, row, blocks)
            marker = "x" if paper().foreign(number) else marker
            look = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 1.5, "markersize": 6}
            axes.plot(number.value, place[name], marker, **look)
    axes.set_title(f"printed: {column.paper}", loc="left", fontsize=9)


def _finish(axes: Axes, labels: list[str], metric: str) -> None:
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    for boundary in range(1, len(labels)):
        axes.axhline(boundary - 0.5, color=HAIRLINE, linewidth=0.7)
    axes.margins(x=0.08)
    axes.grid(axis="x")
    if not axes.lines or all(line.get_linestyle() != "None" for line in axes.lines):
        axes.set_xticks([])
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


def _legend(result: TableResult, blocks: list[tuple[str, ...]]) -> list[Line2D]:
    handles = []
    for index, block in enumerate(blocks if result.layout.block else []):
        name = ", ".join(result.layout.label(factor, level) for factor, level in zip(result.layout.block, block, strict=True))
        colour, marker = PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)]
        handles.append(Line2D([], [], color=colour, marker=marker, linewidth=1.6, label=name))
    for row, dashes in zip(result.teachers, TEACHER_LINES, strict=False):
        handles.append(Line2D([], [], color=INK, linewidth=1.0, linestyle=dashes, label=f"{result.label(row)}, ours"))
    if any(row.model for row in result.rows):
        look = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": QUIET, "markeredgewidth": 0.9}
        handles.append(Line2D([], [], color=QUIET, linewidth=1.6, **look, label="ours, an estimator scored as it is"))
    covers = "images" if result.seeds == 1 else f"images and {result.seeds} seeds"
    handles.append(Line2D([], [], color=QUIET, linewidth=1.6, label=f"95 % interval over {covers}, each row by itself"))
    if result.layout.rows:
        printed = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": QUIET, "markeredgewidth": 1.5}
        handles.append(Line2D([], [], color="none", **printed, label="printed in the paper"))
    if any(paper().foreign(number) for number in paper().numbers(result.table)):
        handles.append(Line2D([], [], color="none", marker="x", markeredgecolor=QUIET, label="printed, under another protocol"))
    return handles
