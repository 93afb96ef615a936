"""Fig. 2: what the fit over the whole image costs the central region, in a picture and in numbers."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Patch
from numpy.typing import NDArray

from dad.evaluation.detail import local_global_fitted
from dad.evaluation.fitting import Fitted, fit_image
from dad.report.colour import NO_VALUE, colourise
from dad.report.datasets import benchmark_of
from dad.report.paper_figures.job import Drawing, Job, dataset_titles, method_title
from dad.report.paper_figures.pictures import (
    Picture,
    benchmark_pictures,
    load_method,
    predict,
    true_disparity,
)
from dad.report.paper_figures.scores import method_values
from dad.report.paper_figures.sheet import Sheet, outline, row_heights
from dad.report.statistics import Interval, bootstrap_mean
from dad.report.style import INK, PALETTE, QUIET
from dad.study.paper import paper

ALIGNMENTS = {"global": "global least squares: fit over the whole image", "local": "local least squares: fit over the region"}
METRICS = ("abs_rel", "delta1")
WORST = 0.5
"""Relative error at the end of the colour scale."""
COLOURS = {"global": PALETTE[1], "local": PALETTE[0]}
BARS = 2.25
"""Inches that a line of bar charts takes."""
SHORT = {"midas": "MiDaS", "marigold": "Marigold", "base": "base\nstudent", "ours": "our\nstudent"}
"""What stands below the bars, where it is not the method's role."""


def centre(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The central h/2 x w/2 region, as `dad.evaluation.detail` cuts it."""
    rows, columns = (slice(size // 4, size // 4 + size // 2) for size in shape[:2])
    return rows, columns


def local_fit(fitted: Fitted) -> Fitted:
    """The region cut out of an image, and the fit over it alone."""
    region = centre(fitted.mask.shape)
    return fit_image(
        fitted.prediction[region],
        fitted.depth[region],
        fitted.labels[region],
        kind=fitted.kind,
        protocol=fitted.rules,
        dataset=fitted.limits,
        strict=fitted.strict,
    )


def region_errors(fitted: Fitted) -> dict[str, NDArray[np.float64]]:
    """Alignment -> the absolute relative error (H/2,W/2) of the region, NaN where nothing is scored."""
    region = centre(fitted.mask.shape)
    local = local_fit(fitted)
    errors = {}
    for name, transform in (("global", fitted.transform), ("local", local.transform)):
        aligned = transform(local.prediction.astype(np.float32)).astype(np.float64)
        truth = np.where(local.mask, local.depth, np.nan).astype(np.float64)
        truth = 1 / truth if fitted.rules.score_domain == "disparity" else truth
        errors[name] = np.abs(aligned - truth) / truth
    assert errors["global"].shape == fitted.prediction[region].shape
    return errors


def draw(job: Job) -> Drawing:
    """Pictures of the teacher above, bars of all methods below."""
    pictures = [next(benchmark_pictures(benchmark_of(job.study, job.root, name), 1)) for name in job.needs.datasets]
    numbers = region_numbers(job)
    columns = ["photo, central region", "the region", "its true depth", "error, global fit", "error, local fit"]
    foot = 0.85 + len(job.needs.datasets) * BARS
    sheet = Sheet(row_heights([picture.rgb.shape for picture in pictures]), columns, title=job.title, tile=1.72, foot=foot)
    notes = _pictures(job, sheet, pictures)
    _bars(job, sheet, numbers)
    notes.append(
        "(b): means over all images, with 95 % intervals (bootstrap over images, and over seeds where there are several). The two "
        "alignments of a method see the same images, so their paired `difference` (local minus global) says more than two "
        "overlapping intervals; `local_better_in` is the share of images in which the local fit is better."
    )
    return Drawing(sheet.figure, notes, numbers)


def _pictures(job: Job, sheet: Sheet, pictures: list[Picture]) -> list[str]:
    """Draw the rows of (a); returns what to say of them."""
    teacher = job.needs.method("teacher")
    estimator = load_method(teacher, job.root)
    said = []
    for row, picture in enumerate(pictures):
        fitted = picture.fit(predict(estimator, picture.rgb), estimator.kind, job.protocol)
        region = centre(picture.rgb.shape)
        axes = sheet.show(row, 0, picture.rgb)
        outline(axes, (region[1].start, region[0].start, region[1].stop, region[0].stop))
        sheet.show(row, 1, picture.rgb[region])
        sheet.show(row, 2, colourise(true_disparity(picture)[region]))
        measured = local_global_fitted(fitted)
        for column, (name, error) in enumerate(region_errors(fitted).items(), start=3):
            axes = sheet.show(row, column, _error_colours(error))
            value = f"AbsRel {measured[f'centre_{name}_abs_rel']:.3f}"
            ground = {"facecolor": "#000000B0", "edgecolor": "none", "pad": 1.5}
            axes.text(0.03, 0.04, value, transform=axes.transAxes, color="white", fontsize=8, bbox=ground)
        sheet.row_title(row, picture.source)
        said.append(
            f"{picture.source} `{picture.id}` (AbsRel {measured['centre_global_abs_rel']:.4f} and "
            f"{measured['centre_local_abs_rel']:.4f})"
        )
    sheet.colour_key("")
    colours = ScalarMappable(Normalize(0, WORST), "magma")
    sheet.value_key("absolute relative error", colours, (0, WORST / 2, WORST), left=sheet.left(3), extend="max")
    return [
        f"(a): {method_title(teacher, lines=False)} on the middle image of each data set, errors after the two alignments: "
        f"{', '.join(said)}."
    ]


def _error_colours(error: NDArray[np.float64]) -> NDArray[np.uint8]:
    colours = (matplotlib.colormaps["magma"](np.clip(np.nan_to_num(error) / WORST, 0, 1), bytes=True)[..., :3]).copy()
    colours[np.isnan(error)] = NO_VALUE
    return colours


def region_numbers(job: Job) -> list[dict[str, Any]]:
    """One line per method, data set and metric: the region's mean under both alignments, with intervals."""
    lines = []
    for dataset in job.needs.datasets:
        for method in job.needs.methods:
            keys = [f"centre_{name}_{metric}" for metric in METRICS for name in ALIGNMENTS]
            values = method_values(job.study, job.root, method, dataset, keys)
            for metric in METRICS:
                both = {name: values[f"centre_{name}_{metric}"] for name in ALIGNMENTS}
                line: dict[str, Any] = {"dataset": dataset, "method": method.role, "metric": metric}
                for name, matrix in both.items():
                    interval = bootstrap_mean(matrix)
                    line |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
                gain = bootstrap_mean(both["local"] - both["global"])
                line |= {"difference": gain.mean, "difference_low": gain.low, "difference_high": gain.high}
                better = np.sign(both["global"] - both["local"]) * (1 if metric == "abs_rel" else -1)
                line |= {"local_better_in": float((better > 0).mean()), "images": both["global"].shape[1]}
                lines.append(line)
    return lines


def _bars(job: Job, sheet: Sheet, numbers: list[dict[str, Any]]) -> None:
    """(b): a line of charts per data set, a chart per metric."""
    titles, top = dataset_titles(job.study), sheet.bottom + 0.55
    width = (sheet.width - 1.4) / 2
    handles = [Patch(**_look(name), label=text) for name, text in ALIGNMENTS.items()]
    corner = (0.4 / sheet.width, 1 - (top - 0.05) / sheet.height)
    sheet.figure.legend(handles=handles, loc="upper left", bbox_to_anchor=corner, ncols=2, fontsize=8.5, columnspacing=3)
    sheet.text(0.1, top + 0.02, "(b)", fontsize=9, fontweight="bold", va="top")
    sheet.text(0.1, 0.33, "(a)", fontsize=9, fontweight="bold", va="top")
    for line, dataset in enumerate(job.needs.datasets):
        for column, metric in enumerate(METRICS):
            axes = sheet.box(0.65 + column * (width + 0.6), top + 0.55 + line * BARS, width, BARS - 0.85)
            _chart(axes, [one for one in numbers if (one["dataset"], one["metric"]) == (dataset, metric)], metric)
            axes.set_title(f"{titles[dataset]}, central region", loc="left", fontsize=9)


def _look(alignment: str) -> dict[str, Any]:
    """Colour, repeated by a hatch."""
    hatch = "////" if alignment == "local" else None
    return {"facecolor": COLOURS[alignment], "hatch": hatch, "edgecolor": "white", "linewidth": 0}


def _chart(axes: Axes, numbers: list[dict[str, Any]], metric: str) -> None:
    for place, line in enumerate(numbers):
        for side, name in enumerate(ALIGNMENTS):
            interval = Interval(line[name], line[f"{name}_low"], line[f"{name}_high"])
            x = place + (side - 0.5) * 0.36
            axes.bar(x, interval.mean, 0.34, **_look(name))
            axes.plot([x, x], [interval.low, interval.high], color=INK, linewidth=1.1)
    axes.set_xticks(range(len(numbers)), [SHORT.get(line["method"], line["method"]) for line in numbers], fontsize=8)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set_ylabel(paper().metrics[metric].arrow, fontsize=8.5)
    axes.grid(axis="y")
    axes.spines["bottom"].set_color(QUIET)
    axes.margins(x=0.02)
