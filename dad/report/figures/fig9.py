"""Fig. 9: predicted against true depth, of the baseline and of ours, over whole benchmarks and on a picture of each."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dad.data.benchmarks import Benchmark
from dad.evaluation.score import score_fitted
from dad.report.figures.job import Drawing, Job, Outcome
from dad.report.grid import Chart, Column, Content, Grid, Tile, map_tile
from dad.report.pictures import aligned_depth, aligned_disparity, benchmark_of, benchmark_pictures, evenly, load_method
from dad.report.style import MARK, QUIET, log_ticks
from dad.report.templates import number
from dad.study.config import StudyConfig
from dad.study.figures import Needs, ablation_sets, all_sets, base_and_ours, maps_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dad.models.estimator import AnyEstimator

TITLE = "Qualitative comparison with baseline distillation"
CAPTION = (
    "Maps, and predicted against true depth, of the baseline (global normalization alone) and of our method; on the "
    "red diagonal the prediction is the truth."
)
TABLES = ("table2",)
NOTES = """\
- Maps: images spread evenly over each benchmark, {% for picture in pictures %}{{ titles[picture.source] }} `{{
  picture.id }}`{{ ", " if not loop.last }}{% endfor %}.
- Densities: the scored pixels of up to {{ images }} images of the benchmark, spread evenly over it, after the
  protocol's alignment; every image weighs the same. Both axes run over the middle 99 % of the true depths, predictions
  beyond them are drawn at the edge. On the red diagonal the prediction is the truth.
- Base is the previous method: global normalization, no random crop.
"""
IMAGES = 100
"""At most so many images of a benchmark, spread evenly over it, go into its density."""
PIXELS = 20_000
"""About so many of each image are enough for the ends of the axes."""
BINS = 90
"""Of the density along each axis."""
LEAST = 1e-3
"""The emptiest shade, relative to the fullest bin."""
PICTURES = 2
"""Of each benchmark."""
ENDS = (0.5, 99.5)
"""Percentiles of the true depth at the ends of both axes."""


def needs(study: StudyConfig) -> Needs:
    """The students of the previous method and of ours, and images of the ablations' data sets."""
    return maps_of(base_and_ours(study), datasets=ablation_sets(study) or all_sets(study))


@dataclass
class Density:
    """Pixels of a benchmark by true and predicted depth: counts (BINS,BINS) between logarithmic edges (m)."""

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    images: int
    abs_rel: float
    unit: str


def density(job: Job, benchmark: Benchmark, estimator: "AnyEstimator", edges: NDArray[np.float64]) -> Density:
    """Predictions of the benchmark's images after the protocol's alignment; every image weighs the same."""
    counts, errors = np.zeros((len(edges) - 1, len(edges) - 1)), []
    for picture in benchmark_pictures(benchmark, IMAGES):
        fitted = picture.fitted(estimator, job.protocol)
        if not fitted.truth.size:
            continue
        truth, aligned = fitted.depth[fitted.mask], aligned_depth(fitted)[fitted.mask]
        counts += np.histogram2d(truth, np.clip(aligned, edges[0], edges[-1]), [edges, edges])[0] / truth.size
        errors.append(score_fitted(fitted)["abs_rel"])
    unit = "" if benchmark.name == "samples" else " (m)"  # some samples have depth up to a factor only
    return Density(edges, counts, len(errors), float(np.mean(errors)), unit)


def depth_edges(benchmark: Benchmark) -> NDArray[np.float64]:
    """Logarithmic edges (BINS+1,) over the true depths of the benchmark."""
    samples = (benchmark[index] for index in evenly(len(benchmark), IMAGES))
    known = (sample.depth[sample.usable] for sample in samples)
    truth = np.concatenate([depth[:: max(1, depth.size // PIXELS)] for depth in known])
    low, high = np.percentile(truth, ENDS)
    return np.geomspace(low, high, BINS + 1)


def draw(job: Job) -> Drawing:
    """Per benchmark rows of photo, truth and both maps; beside them the two densities."""
    from matplotlib.colors import LogNorm

    benchmarks = [benchmark_of(job.layout, dataset) for dataset in job.needs.datasets]
    groups = [list(benchmark_pictures(benchmark, PICTURES)) for benchmark in benchmarks]
    edges = [depth_edges(benchmark) for benchmark in benchmarks]
    pictures = [picture for group in groups for picture in group]
    maps: list[Column] = [
        ("photo", [Tile(picture.rgb) for picture in pictures]),
        ("true depth", [map_tile(picture.drawn_truth) for picture in pictures]),
    ]
    charts: list[Column] = []
    numbers: list[dict[str, Any]] = []
    for method in job.needs.methods:
        estimator = load_method(method, job.layout)
        aligned = (
            (aligned_disparity(picture.fitted(estimator, job.protocol)), picture.drawn_truth) for picture in pictures
        )
        maps.append((method.role, [map_tile(one, like=truth) for one, truth in aligned]))
        contents: list[Content] = []
        for benchmark, group, ends in zip(benchmarks, groups, edges, strict=True):
            found = density(job, benchmark, estimator, ends)
            chart = Chart(functools.partial(_density, found=found), rows=len(group), inset=(0.4, 0, 0.02, 0.34))
            contents += [chart, *[None] * (len(group) - 1)]
            numbers.append(
                {"method": method.role, "dataset": benchmark.name, "images": found.images, "abs_rel": found.abs_rel}
            )
        charts.append((f"{method.role}: predicted against true", contents))
    widths, gaps = [1, 1, 1, 1, 1.85, 1.85], {4: 0.12, 5: 0.04}
    rows = [picture.place for picture in pictures]
    grid = Grid(rows, [*maps, *charts], title=job.title, tile=1.4, widths=widths, gaps=gaps)
    grid.key("maps after alignment, on the truth's scale")
    ticks = {LEAST * 10**power: f"{LEAST * 10**power:g}" for power in range(4)}
    words = "pixels, relative to the fullest bin"
    grid.key(words, colours="viridis_r", scale=LogNorm(LEAST, 1), ticks=ticks, column=4)
    return Drawing(grid.figure, {"pictures": pictures, "images": IMAGES}, numbers, outcomes(numbers))


def outcomes(numbers: list[dict[str, Any]]) -> list[Outcome]:
    """Per data set, whether ours lies closer to the diagonal, as the paper's figure shows."""
    found = []
    for dataset in dict.fromkeys(line["dataset"] for line in numbers):
        base, ours = (line["abs_rel"] for line in numbers if line["dataset"] == dataset)
        said = f"AbsRel on {dataset} is {number(base, more=1)} for the baseline and {number(ours, more=1)} for ours"
        found.append(Outcome("our method is closer to the diagonal than the baseline", said, ours < base))
    return found


def _density(axes: "Axes", *, found: Density) -> None:
    """The counts in logarithmic shades, and the diagonal on which the prediction is the truth."""
    from matplotlib.colors import LogNorm

    shown = np.ma.masked_less_equal(found.counts.T / max(found.counts.max(), 1e-12), 0)
    axes.pcolormesh(found.edges, found.edges, shown, norm=LogNorm(LEAST, 1), cmap="viridis_r", rasterized=True)
    ends = (found.edges[0], found.edges[-1])
    axes.plot(ends, ends, color=MARK, linewidth=1.3)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    ticks = log_ticks(*ends)[:: 2 if len(log_ticks(*ends)) > 5 else 1]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
    axes.tick_params(labelsize=7.5, length=2, pad=1.5)
    axes.set_xlabel(f"true depth{found.unit}", fontsize=8, labelpad=1.5)
    axes.set_ylabel(f"predicted{found.unit}", fontsize=8, labelpad=1)
    text = f"AbsRel {found.abs_rel:.3f}"
    ground = {"facecolor": "#FFFFFFD0", "edgecolor": "none", "pad": 1.2}
    axes.text(0.04, 0.95, text, transform=axes.transAxes, va="top", fontsize=8, bbox=ground)
    axes.spines[:].set(visible=True, color=QUIET)
