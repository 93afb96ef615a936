"""Fig. 9: predicted against true depth, of the baseline and of ours, over whole benchmarks and on a picture of each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dad.data.benchmarks import Benchmark
from dad.evaluation.fitting import Fitted
from dad.evaluation.score import score_fitted
from dad.report.colour import colourise
from dad.report.figures.job import Drawing, Job, Outcome
from dad.report.figures.methods import Needs, ablation_sets, all_sets, base_and_ours, maps_of
from dad.report.grid import DRAWN, Grid, row_heights
from dad.report.pictures import (
    aligned_disparity,
    benchmark_of,
    benchmark_pictures,
    evenly,
    load_method,
    predict,
    shrunk,
)
from dad.report.style import QUIET, log_ticks
from dad.report.templates import number
from dad.study.config import StudyConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dad.models.estimator import AnyEstimator

TITLE = "Qualitative comparison with baseline distillation"
CAPTION = (
    "Maps, and predicted against true depth, of the baseline (global normalization alone) and of our method; on the red diagonal "
    "the prediction is the truth."
)
TABLES = ("table2",)
NOTES = """\
- Maps: images spread evenly over each benchmark, {% for picture in pictures %}{{ titles[picture.source] }} `{{
  picture.id }}`{{ ", " if not loop.last }}{% endfor %}.
- Densities: the scored pixels of up to {{ images }} images of the benchmark, spread evenly over it, after the protocol's alignment;
  every image weighs the same. Both axes run over the middle 99 % of the true depths, predictions beyond them are drawn at the edge.
  On the red diagonal the prediction is the truth.
- Base is the previous method: global normalization, no random crop.
"""
IMAGES = 100
"""At most so many images of a benchmark, spread evenly over it, go into its density."""
PIXELS = 20_000
"""Of each image, for the ends of the axes."""
CELLS = 90
"""Cells of the density along each axis."""
LEAST = 1e-3
"""The emptiest shade, relative to the fullest cell."""
PICTURES = 2
"""Of each benchmark."""
RED = "#E8000B"
ENDS = (0.5, 99.5)
"""Percentiles of the true depth at the ends of both axes."""


def needs(study: StudyConfig) -> Needs:
    """The students of the previous method and of ours, and images of the ablations' data sets."""
    return maps_of(base_and_ours(study), datasets=ablation_sets(study) or all_sets(study))


@dataclass
class Density:
    """How many pixels of a benchmark have which true and predicted depth: counts (CELLS,CELLS) between logarithmic edges (m)."""

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    images: int
    abs_rel: float
    unit: str


def density(job: Job, benchmark: Benchmark, estimator: "AnyEstimator", edges: NDArray[np.float64]) -> Density:
    """Predictions of the benchmark's images after the protocol's alignment; every image weighs the same."""
    counts, errors = np.zeros((len(edges) - 1, len(edges) - 1)), []
    for picture in benchmark_pictures(benchmark, IMAGES):
        fitted = picture.fit(predict(estimator, picture.rgb), estimator.kind, job.protocol)
        if not fitted.truth.size:
            continue
        truth, aligned = depths(fitted)
        counts += np.histogram2d(truth, np.clip(aligned, edges[0], edges[-1]), [edges, edges])[0] / truth.size
        errors.append(score_fitted(fitted)["abs_rel"])
    unit = "" if benchmark.name == "samples" else " (m)"  # some samples have depth up to a factor only
    return Density(edges, counts, len(errors), float(np.mean(errors)), unit)


def depths(fitted: Fitted) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True and predicted depth (n,) of the scored pixels, whatever the protocol's score domain is."""
    truth, aligned = (values.astype(np.float64) for values in (fitted.truth, fitted.transform(fitted.pixels)))
    if fitted.rules.score_domain == "disparity":
        with np.errstate(divide="ignore"):
            return 1 / truth, 1 / np.maximum(aligned, 1e-6)
    return truth, aligned


def depth_edges(benchmark: Benchmark) -> NDArray[np.float64]:
    """Logarithmic edges (CELLS+1,) over the true depths of the benchmark."""
    samples = (benchmark[index] for index in evenly(len(benchmark), IMAGES))
    truth = np.concatenate([_some(sample.depth[sample.usable]) for sample in samples])
    low, high = np.percentile(truth, ENDS)
    return np.geomspace(low, high, CELLS + 1)


def _some(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most about PIXELS of an image's values (n,), evenly: enough for percentiles."""
    return values[:: max(1, values.size // PIXELS)]


def draw(job: Job) -> Drawing:
    """Per benchmark rows of photo, truth and both maps; beside them the two densities."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    columns = ["photo", "true depth", "base", "ours", "base: predicted against true", "ours: predicted against true"]
    benchmarks = [benchmark_of(job.study, job.layout, dataset) for dataset in job.needs.datasets]
    groups = [list(benchmark_pictures(benchmark, PICTURES)) for benchmark in benchmarks]
    edges = [depth_edges(benchmark) for benchmark in benchmarks]
    pictures = [picture for group in groups for picture in group]
    heights = row_heights([picture.rgb.shape for picture in pictures])
    grid = Grid(heights, columns, title=job.title, tile=1.4, widths=[1, 1, 1, 1, 1.85, 1.85], gaps={4: 0.12, 5: 0.04}, foot=0.42)
    for row, picture in enumerate(pictures):
        grid.show(row, 0, picture.rgb)
        grid.show(row, 1, colourise(picture.drawn_truth))
        grid.row_title(row, picture.place)
    numbers: list[dict[str, Any]] = []
    for column, method in enumerate(job.needs.methods):
        estimator, first = load_method(method, job.layout), 0
        for row, picture in enumerate(pictures):
            fitted = picture.fit(predict(estimator, picture.rgb), estimator.kind, job.protocol)
            grid.show(row, 2 + column, colourise(shrunk(aligned_disparity(fitted), DRAWN), like=picture.drawn_truth))
        for benchmark, group, ends in zip(benchmarks, groups, edges, strict=True):
            found = density(job, benchmark, estimator, ends)
            _density(grid.axes(first, 4 + column, rows=len(group), inset=(0.4, 0, 0.02, 0.34)), found)
            numbers.append({"method": method.role, "dataset": benchmark.name, "images": found.images, "abs_rel": found.abs_rel})
            first += len(group)
    grid.colour_key("maps after alignment, on the truth's scale")
    ticks = [LEAST * 10**power for power in range(4)]
    shades = ScalarMappable(LogNorm(LEAST, 1), "viridis_r")
    grid.value_key("pixels, relative to the fullest cell", shades, ticks, left=grid.left(4) + 0.4)
    return Drawing(grid.figure, {"pictures": pictures, "images": IMAGES}, numbers, outcomes(numbers))


def outcomes(numbers: list[dict[str, Any]]) -> list[Outcome]:
    """Per data set, whether ours lies closer to the diagonal, as the paper's figure shows."""
    found = []
    for dataset in dict.fromkeys(line["dataset"] for line in numbers):
        base, ours = (line["abs_rel"] for line in numbers if line["dataset"] == dataset)
        said = f"AbsRel on {dataset} is {number(base, more=1)} for the baseline and {number(ours, more=1)} for ours"
        found.append(Outcome("our method is closer to the diagonal than the baseline", said, ours < base))
    return found


def _density(axes: "Axes", found: Density) -> None:
    """The counts in logarithmic shades, and the diagonal on which the prediction is the truth."""
    from matplotlib.colors import LogNorm

    shown = np.ma.masked_less_equal(found.counts.T / max(found.counts.max(), 1e-12), 0)
    axes.pcolormesh(found.edges, found.edges, shown, norm=LogNorm(LEAST, 1), cmap="viridis_r", rasterized=True)
    ends = (found.edges[0], found.edges[-1])
    axes.plot(ends, ends, color=RED, linewidth=1.3)
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
