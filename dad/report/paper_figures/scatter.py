"""Fig. 9: predicted against true depth, of the baseline and of ours, over whole benchmarks and on a picture of each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from numpy.typing import NDArray

from dad.data.benchmarks import Benchmark
from dad.evaluation.fitting import Fitted
from dad.evaluation.score import score_fitted
from dad.models.estimator import AnyEstimator
from dad.report.colour import colourise
from dad.report.datasets import benchmark_of
from dad.report.figures import log_ticks
from dad.report.paper_figures.job import Drawing, Job, dataset_titles
from dad.report.paper_figures.pictures import (
    Picture,
    benchmark_pictures,
    evenly,
    load_method,
    predict,
    true_disparity,
)
from dad.report.paper_figures.sheet import Sheet, row_heights
from dad.report.style import QUIET

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


@dataclass
class Density:
    """How many pixels of a benchmark have which true and predicted depth: counts (CELLS,CELLS) between logarithmic edges (m)."""

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    images: int
    abs_rel: float
    unit: str


def density(job: Job, benchmark: Benchmark, estimator: AnyEstimator, edges: NDArray[np.float64]) -> Density:
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
    truth = np.concatenate([_some(sample.depth[sample.mask]) for sample in samples])
    low, high = np.percentile(truth, ENDS)
    return np.geomspace(low, high, CELLS + 1)


def _some(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most about PIXELS of an image's values (n,), evenly: enough for percentiles."""
    return values[:: max(1, values.size // PIXELS)]


def draw(job: Job) -> Drawing:
    """Per benchmark rows of photo, truth and both maps; beside them the two densities."""
    columns = ["photo", "true depth", "base", "ours", "base: predicted against true", "ours: predicted against true"]
    benchmarks = [benchmark_of(job.study, job.root, dataset) for dataset in job.needs.datasets]
    groups = [list(benchmark_pictures(benchmark, PICTURES)) for benchmark in benchmarks]
    edges = [depth_edges(benchmark) for benchmark in benchmarks]
    pictures = [picture for group in groups for picture in group]
    first = [sum(map(len, groups[:index])) for index in range(len(groups))]
    heights = row_heights([picture.rgb.shape for picture in pictures])
    widths = [1, 1, 1, 1, 1.85, 1.85]
    sheet = Sheet(heights, columns, title=job.title, tile=1.4, widths=widths, column_gaps={4: 0.12, 5: 0.04})
    for row, picture in enumerate(pictures):
        sheet.show(row, 0, picture.rgb)
        sheet.show(row, 1, colourise(true_disparity(picture)))
        sheet.row_title(row, picture.source)
    numbers: list[dict[str, Any]] = []
    for column, method in enumerate(job.needs.methods):
        estimator = load_method(method, job.root)
        for row, picture in enumerate(pictures):
            sheet.show(row, 2 + column, _aligned_colours(job, picture, estimator))
        for number, benchmark in enumerate(benchmarks):
            found = density(job, benchmark, estimator, edges[number])
            axes = sheet.axes(first[number], 4 + column, rows=len(groups[number]), inset=(0.4, 0, 0.02, 0.34))
            _density(axes, found)
            numbers.append({"method": method.role, "dataset": benchmark.name, "images": found.images, "abs_rel": found.abs_rel})
    sheet.colour_key("maps after alignment, on the truth's scale")
    colours = ScalarMappable(LogNorm(LEAST, 1), "viridis_r")
    ticks = [LEAST * 10**power for power in range(4)]
    sheet.value_key("pixels, relative to the fullest cell", colours, ticks, left=sheet.left(4) + 0.4)
    return Drawing(sheet.figure, _notes(job, pictures), numbers)


def _aligned_colours(job: Job, picture: Picture, estimator: AnyEstimator) -> NDArray[np.uint8]:
    fitted = picture.fit(predict(estimator, picture.rgb), estimator.kind, job.protocol)
    aligned = fitted.transform(fitted.prediction.copy()).astype(np.float64)
    with np.errstate(divide="ignore"):
        disparity = aligned if fitted.rules.score_domain == "disparity" else 1 / aligned
    return colourise(disparity, like=true_disparity(picture))


def _density(axes: Axes, found: Density) -> None:
    """The counts in logarithmic shades, and the diagonal on which the prediction is the truth."""
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


def _notes(job: Job, pictures: list[Picture]) -> list[str]:
    titles = dataset_titles(job.study)
    names = ", ".join(f"{titles[picture.source]} `{picture.id}`" for picture in pictures)
    return [
        f"Maps: images spread evenly over each benchmark, {names}.",
        f"Densities: the scored pixels of up to {IMAGES} images of the benchmark, spread evenly over it, after the protocol's "
        "alignment; every image weighs the same. Both axes run over the middle 99 % of the true depths, predictions beyond them "
        "are drawn at the edge. On the red diagonal the prediction is the truth.",
        "Base is the previous method: global normalization, no random crop.",
    ]
