"""The figure of a table: points and intervals of our rows, and the printed numbers in panels of their own."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from dad.report.results import Column, TableResult
from dad.report.style import HAIRLINE, MARKERS, PALETTE, QUIET, new_figure, save_png, styled
from dad.study.cells import Row
from dad.study.paper import paper

SPREAD = 0.5
"""Part of a row's height over which the blocks are set apart."""


def write_table_figure(result: TableResult, path: Path, *, metric: str = "abs_rel") -> None:
    """One line of panels per data set: ours with 95 % intervals on the left, the printed numbers as hollow marks on the right.

    The two panels have axes of their own, because stand-ins and smaller networks are on another scale; both are logarithmic, so
    that equal distances are equal ratios. Rows are the factors inside a block, colour and shape are the block.
    """
    layout = result.layout
    blocks = list(dict.fromkeys(_levels(row, layout.block) for row in result.rows))
    groups = list(dict.fromkeys(_levels(row, layout.row_factors) for row in result.rows))
    labels = [
        ", ".join(layout.label(factor, level) for factor, level in zip(layout.row_factors, group, strict=True)) for group in groups
    ]
    with styled():
        height = 1.15 + len(result.columns) * (0.75 + 0.36 * len(groups))
        figure = new_figure(7.6, height)
        figure.get_layout_engine().set(hspace=0.06, wspace=0.03)
        panels = figure.subplots(len(result.columns), 2, squeeze=False, sharey=True, width_ratios=(1.25, 1))
        for (ours, theirs), column in zip(panels, result.columns, strict=True):
            place = {row.name: _place(row, result, blocks, groups) for row in result.rows}
            _ours(ours, result, column, metric, place, blocks)
            _printed(theirs, result, column, metric, place, blocks)
            for axes in (ours, theirs):
                if axes.axison:
                    _finish(axes, labels, metric)
        figure.suptitle(f"Table {layout.number}: {layout.title}", x=0.01, ha="left", fontsize=11, fontweight="bold")
        figure.legend(
            handles=_legend(result, blocks), loc="outside lower left", ncols=2, fontsize=8.5, handletextpad=0.6, columnspacing=3
        )
        save_png(figure, path)


def _levels(row: Row, factors: Sequence[str]) -> tuple[str, ...]:
    return tuple(row.factors[factor] for factor in factors)


def _place(row: Row, result: TableResult, blocks: list[tuple[str, ...]], groups: list[tuple[str, ...]]) -> float:
    """A row's height in its panel: its group's integer, moved by its block."""
    group = groups.index(_levels(row, result.layout.row_factors))
    block = blocks.index(_levels(row, result.layout.block))
    return group + (SPREAD * (block / (len(blocks) - 1) - 0.5) if len(blocks) > 1 else 0.0)


def _look(result: TableResult, row: Row, blocks: list[tuple[str, ...]]) -> tuple[str, str]:
    index = blocks.index(_levels(row, result.layout.block))
    return PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)]


def _ours(
    axes: Axes, result: TableResult, column: Column, metric: str, place: dict[str, float], blocks: list[tuple[str, ...]]
) -> None:
    for row in result.rows:
        mean = result.statistics.loc[(row.name, column.dataset, metric), "mean"] if row.cells else math.nan
        if math.isnan(mean):
            words = "no number" if row.cells else "not trained"
            axes.text(0.02, place[row.name], words, transform=axes.get_yaxis_transform(), va="center", fontsize=7, color=QUIET)
            continue
        colour, marker = _look(result, row, blocks)
        low, high = result.statistics.loc[(row.name, column.dataset, metric), ["ci_low", "ci_high"]]
        axes.hlines(place[row.name], low, high, color=colour, linewidth=1.6)
        axes.plot(mean, place[row.name], marker, color=colour, markersize=6, markeredgecolor="white", markeredgewidth=0.6)
    axes.set_title(f"ours: {column.title}", loc="left")


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
            axes.plot(
                number.value,
                place[name],
                marker,
                markerfacecolor="white",
                markeredgecolor=colour,
                markeredgewidth=1.5,
                markersize=6,
            )
    axes.set_title(f"printed: {column.paper}", loc="left")


def _finish(axes: Axes, labels: list[str], metric: str) -> None:
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    for boundary in range(1, len(labels)):
        axes.axhline(boundary - 0.5, color=HAIRLINE, linewidth=0.7)
    axes.set_xscale("log")
    axes.margins(x=0.08)
    axes.autoscale_view()
    ticks = log_ticks(*axes.get_xlim())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x")
    axes.set_xlabel(f"{paper().metrics[metric].arrow} (log scale)")


def log_ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers from `low` to `high` (both positive) that read well on a logarithmic axis."""
    if high / low > 4:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        leads = (1, 1.5, 2, 3, 5, 7) if high / low < 20 else (1, 3) if high / low < 1000 else (1,)
        candidates = [round(lead * 10.0**decade, 9) for decade in decades for lead in leads]
    else:
        magnitude = 10.0 ** math.floor(math.log10((high - low) / 3))
        step = max(lead * magnitude for lead in (1, 2, 2.5, 5) if lead * magnitude <= (high - low) / 3)
        candidates = [round(index * step, 9) for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [tick for tick in candidates if low <= tick <= high]


def _legend(result: TableResult, blocks: list[tuple[str, ...]]) -> list[Line2D]:
    handles = []
    for index, block in enumerate(blocks if result.layout.block else []):
        name = ", ".join(result.layout.label(factor, level) for factor, level in zip(result.layout.block, block, strict=True))
        colour, marker = PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)]
        handles.append(Line2D([], [], color=colour, marker=marker, linewidth=1.6, label=name))
    covers = "images" if result.seeds == 1 else f"images and {result.seeds} seeds"
    handles.append(Line2D([], [], color=QUIET, linewidth=1.6, label=f"95 % interval over {covers}, each row by itself"))
    handles.append(
        Line2D([], [], color="none", marker="o", markerfacecolor="white", markeredgecolor=QUIET, label="printed in the paper")
    )
    return handles
