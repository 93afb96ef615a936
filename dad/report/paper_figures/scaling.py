"""Fig. 7: the average AbsRel against the number of training photos."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from dad.report.paper_figures.job import Drawing, Job, dataset_titles, method_title
from dad.report.paper_figures.scores import method_values
from dad.report.statistics import Interval, Values, bootstrap_average, paired
from dad.report.style import INK, MARKERS, PALETTE, QUIET, new_figure
from dad.study.figures import Method

METRIC = "abs_rel"
NAMES = {"ours": "ours", "ssi": "SSI baseline"}
LOOKS = {"ours": (PALETTE[0], MARKERS[0]), "ssi": (PALETTE[1], MARKERS[1])}
DIFFERENCE = "ours − SSI"


def draw(job: Job) -> Drawing:
    """On the left both curves with the teacher's line, on the right their difference, each with 95 % bands."""
    datasets = [benchmark.dataset for benchmark in job.study.benchmarks]
    counts = job.study.scaling
    curves = {
        name: [_values(job, method, datasets) for method in job.needs.methods if method.role == name] for name in ("ours", "ssi")
    }
    teacher = _values(job, job.needs.method("teacher"), datasets)
    intervals = {name: [bootstrap_average(values) for values in curve] for name, curve in curves.items()}
    pairs = zip(curves["ours"], curves["ssi"], strict=True)
    gaps = [[paired(ours, ssi) for ours, ssi in zip(*pair, strict=True)] for pair in pairs]
    of_teacher = bootstrap_average(teacher)
    figure = new_figure(8.2, 3.7)
    figure.get_layout_engine().set(wspace=0.06)
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    for name, curve in intervals.items():
        colour, marker = LOOKS[name]
        _curve(left, counts, curve, colour, marker)
    _name_curves(left, counts, intervals, of_teacher, method_title(job.needs.method("teacher"), lines=False))
    _curve(right, counts, [bootstrap_average(values) for values in gaps], PALETTE[2], MARKERS[2])
    right.axhline(0, color=INK, linewidth=0.9)
    right.set_title("ours minus SSI baseline, paired", loc="left")
    right.set_ylabel("difference in average AbsRel")
    left.set_title(f"average over {len(datasets)} benchmarks", loc="left")
    left.set_ylabel("average AbsRel↓")
    for axes in (left, right):
        _photo_axis(axes, counts)
    figure.suptitle(job.title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    named = {NAMES[name]: curve for name, curve in curves.items()} | {DIFFERENCE: gaps}
    numbers = [
        _line(name, count, values, datasets) for name, curve in named.items() for count, values in zip(counts, curve, strict=True)
    ]
    return Drawing(figure, _notes(job, datasets), [*numbers, _line("teacher", 0, teacher, datasets)])


def _values(job: Job, method: Method, datasets: Sequence[str]) -> list[Values]:
    return [method_values(job.study, job.root, method, dataset, [METRIC])[METRIC] for dataset in datasets]


def _curve(axes: Axes, counts: Sequence[int], curve: Sequence[Interval], colour: str, marker: str) -> None:
    axes.fill_between(counts, [one.low for one in curve], [one.high for one in curve], color=colour, alpha=0.16, linewidth=0)
    for side in ("low", "high"):
        axes.plot(counts, [getattr(one, side) for one in curve], color=colour, linewidth=0.6, alpha=0.6)
    axes.plot(
        counts, [one.mean for one in curve], color=colour, marker=marker, linewidth=1.8, markersize=6, markeredgecolor="white"
    )


def _name_curves(
    axes: Axes, counts: Sequence[int], intervals: dict[str, list[Interval]], teacher: Interval, teacher_name: str
) -> None:
    axes.axhline(teacher.mean, color=QUIET, linewidth=1.3, linestyle=(0, (5, 2)))
    for name in intervals:
        colour, marker = LOOKS[name]
        axes.plot([], [], color=colour, marker=marker, linewidth=1.8, markersize=6, markeredgecolor="white", label=NAMES[name])
    axes.plot([], [], color=QUIET, linewidth=1.3, linestyle=(0, (5, 2)), label=f"teacher: {teacher_name}")
    axes.fill_between([], [], [], color=QUIET, alpha=0.16, linewidth=0, label="95 % interval")
    low = min(teacher.mean, *(one.low for curve in intervals.values() for one in curve))
    high = max(teacher.mean, *(one.high for curve in intervals.values() for one in curve))
    axes.set_ylim(low - 0.06 * (high - low), high + 0.62 * (high - low))  # room for the legend
    axes.legend(loc="upper right", fontsize=8.5, handlelength=2.4, frameon=True, edgecolor="none", framealpha=1)


def _photo_axis(axes: Axes, counts: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(counts)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training photos (log scale)")
    axes.grid(axis="y")
    if len(counts) > 6:
        axes.tick_params(axis="x", rotation=30)


def _line(name: str, count: int, values: Sequence[Values], datasets: Sequence[str]) -> dict[str, Any]:
    """One line of numbers: the average with its interval, then every data set's mean."""
    interval = bootstrap_average(values)
    line = {"method": name, "photos": count or "", "average_abs_rel": interval.mean, "low": interval.low, "high": interval.high}
    return line | {dataset: float(one.mean()) for dataset, one in zip(datasets, values, strict=True)}


def _notes(job: Job, datasets: Sequence[str]) -> list[str]:
    titles, seeds = dataset_titles(job.study), len(job.study.seeds)
    more = f" and the {seeds} seeds" if seeds > 1 else "; with one seed they say nothing of another training"
    covers = "the images of each benchmark" + more
    return [
        f"AbsRel, averaged over {', '.join(titles[name] for name in datasets)}, each weighing the same.",
        f"Photo sets are nested: {', '.join(f'{count:,}' for count in job.study.scaling)} photos; every student is trained for "
        "the same number of steps.",
        f"Bands are 95 % bootstrap intervals over {covers}. The paired difference on the right is the one to judge by: both "
        "methods see the same images.",
    ]
