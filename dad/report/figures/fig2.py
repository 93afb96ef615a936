"""Fig. 2: what the fit over the whole image costs the central region, in a picture and in numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dad.analysis.scores import subject_values
from dad.evaluation.detail import local_global_fitted
from dad.evaluation.fitting import Fitted, fit_maps
from dad.report.figures.job import Drawing, Job, Outcome, dataset_titles
from dad.report.grid import Content, Grid, Tile, error_tile, map_tile
from dad.report.pictures import Region, cut, load_method, pictures_of, relative_error, true_disparity
from dad.report.style import INK, PALETTE, QUIET
from dad.report.templates import signed, with_interval
from dad.study.config import StudyConfig
from dad.study.figures import Needs, ablation_sets, base_and_ours, other_methods
from dad.study.paper import paper
from dad.study.tables import ABLATION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dad.analysis.estimates import Interval

TITLE = "Issue with global normalization"
CAPTION = (
    "Two alignments of the central w/2, h/2 region: least squares over the whole image before the region is cut out, "
    "and over the region alone. Metrics are computed on the region."
)
TABLES = ("table2", "table4", "table5")
NOTES = """\
- (a): {{ teacher }} on the middle image of each data set, errors after the two alignments: {{ shown }}.
- (b): means over all images, with 95 % intervals (over images, and over seeds where there are several). The two
  alignments of a method see the same images, so their paired `difference` (local minus global) says more than two
  overlapping intervals; `local_better_in` is the share of images in which the local fit is better.
"""
METRICS = ("abs_rel", "delta1")
ALIGNMENTS: dict[str, dict[str, Any]] = {
    "global": {"label": "global least squares: fit over the whole image", "facecolor": PALETTE[1]},
    "local": {"label": "local least squares: fit over the region", "facecolor": PALETTE[0], "hatch": "////"},
}
"""How the two look in a chart: a colour, repeated by a hatch."""
COLUMNS = ("photo, central region", "the region", "its true depth", "error, global fit", "error, local fit")
BARS = 2.25
"""Inches that a line of bar charts takes."""
SHORT = {"midas": "MiDaS", "marigold": "Marigold", "base": "base\nstudent", "ours": "our\nstudent"}
"""What stands below the bars, where it is not the method's role."""


def needs(study: StudyConfig) -> Needs:
    """The teacher to look at; the scores of all methods that the study has."""
    if not ablation_sets(study):
        return Needs(reason="the study has no benchmark standing in for ETH3D or DIODE")
    methods = (*other_methods(study), *(method for method in base_and_ours(study) if not method.row.reason))
    scores = tuple((ABLATION, subject) for method in methods for subject in method.row.subjects)
    return Needs(methods, (), (study.teacher,), scores, ablation_sets(study))


def region_errors(fitted: Fitted) -> dict[str, NDArray[np.float64]]:
    """Alignment -> the absolute relative error (H/2,W/2) of the central region, NaN where nothing is scored."""
    local = fit_maps(fitted.maps.centre, kind=fitted.kind, protocol=fitted.rules, dataset=fitted.limits)
    return {"global": cut(relative_error(fitted), centre(fitted.mask.shape)), "local": relative_error(local)}


def centre(shape: tuple[int, ...]) -> Region:
    """The central h/2 x w/2 region, as `dad.evaluation.maps` cuts it."""
    height, width = shape[:2]
    return width // 4, height // 4, width // 4 + width // 2, height // 4 + height // 2


def draw(job: Job) -> Drawing:
    """Pictures of the teacher above, bars of all methods below."""
    pictures = pictures_of(job.layout, job.needs.datasets, 1)
    estimator = load_method(job.needs.method("teacher"), job.layout)
    rows: list[list[Content]] = []
    said = []
    for picture in pictures:
        fitted, region = picture.fitted(estimator, job.protocol), centre(picture.rgb.shape)
        measured = {name: local_global_fitted(fitted)[f"centre_{name}_abs_rel"] for name in ALIGNMENTS}
        errors = [error_tile(error, f"AbsRel {measured[name]:.3f}") for name, error in region_errors(fitted).items()]
        truth = map_tile(cut(true_disparity(picture), region))
        rows.append([Tile(picture.rgb, box=region), Tile(cut(picture.rgb, region)), truth, *errors])
        both = " and ".join(f"{value:.4f}" for value in measured.values())
        said.append(f"{picture.place} `{picture.id}` (AbsRel {both})")
    columns = list(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    foot = 0.85 + len(job.needs.datasets) * BARS
    grid = Grid([picture.place for picture in pictures], columns, title=job.title, tile=1.72, foot=foot)
    grid.key("")
    grid.error_key("absolute relative error", column=3)
    numbers = region_numbers(job)
    _bars(job, grid, numbers)
    facts = {"teacher": job.needs.method("teacher").title, "shown": ", ".join(said)}
    return Drawing(grid.figure, facts, numbers, outcomes(job, numbers))


def region_numbers(job: Job) -> list[dict[str, Any]]:
    """One line per method, data set and metric: the region's mean under both alignments, with intervals."""
    from dad.analysis.estimates import mean_of

    lines = []
    for dataset in job.needs.datasets:
        for method in job.needs.methods:
            keys = [f"centre_{name}_{metric}" for metric in METRICS for name in ALIGNMENTS]
            values = subject_values(job.study, job.layout, method.row.subjects, dataset, keys)
            for metric in METRICS:
                both = {name: values[f"centre_{name}_{metric}"] for name in ALIGNMENTS}
                line: dict[str, Any] = {"dataset": dataset, "method": method.role, "metric": metric}
                for name, matrix in both.items():
                    line |= _ends(name, mean_of(matrix).interval())
                line |= _ends("difference", mean_of(both["local"] - both["global"]).interval())
                better = np.sign(both["global"] - both["local"]) * (1 if metric == "abs_rel" else -1)
                line |= {"local_better_in": float((better > 0).mean()), "images": both["global"].shape[1]}
                lines.append(line)
    return lines


def _ends(name: str, interval: "Interval") -> dict[str, float]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def outcomes(job: Job, numbers: Sequence[dict[str, Any]]) -> list[Outcome]:
    """Per data set, whether the region is better with a fit of its own for every method, as in the paper's figure."""
    from dad.analysis.estimates import Interval

    found = []
    for dataset in job.needs.datasets:
        lines = [line for line in numbers if (line["dataset"], line["metric"]) == (dataset, "abs_rel")]
        gains = [Interval(*(line[f"difference{end}"] for end in ("", "_low", "_high"))) for line in lines]
        worse = [line["method"] for line, gain in zip(lines, gains, strict=True) if gain.low > 0]
        mean = signed(float(np.mean([gain.mean for gain in gains])))
        said = "; ".join(
            f"{line['method']} {with_interval(gain, signs=True)}" for line, gain in zip(lines, gains, strict=True)
        )
        ours = f"on {dataset} local minus global is {mean} in AbsRel on average ({said})"
        found.append(
            Outcome(
                "the fit over the region alone lowers its error", ours, not worse and max(g.mean for g in gains) < 0
            )
        )
    return found


def _bars(job: Job, grid: Grid, numbers: Sequence[dict[str, Any]]) -> None:
    """(b): a line of charts per data set, a chart per metric."""
    titles, top = dataset_titles(job.study), grid.foot - 0.55
    width = (grid.width - 1.4) / 2
    for line, dataset in enumerate(job.needs.datasets):
        for column, metric in enumerate(METRICS):
            left, upper = 0.65 + column * (width + 0.6), top - 0.55 - line * BARS
            axes = grid.axes(left, upper - BARS + 0.85, left + width, upper)
            _chart(axes, [one for one in numbers if (one["dataset"], one["metric"]) == (dataset, metric)], metric)
            axes.set_title(f"{titles[dataset]}, central region", loc="left", fontsize=9)
    corner = (0.4 / grid.width, (top + 0.05) / grid.height)
    handles = axes.get_legend_handles_labels()
    grid.figure.legend(*handles, loc="upper left", bbox_to_anchor=corner, ncols=2, fontsize=8.5, columnspacing=3)
    for name, y in (("(a)", grid.height - 0.33), ("(b)", top - 0.02)):
        grid.text(0.1, y, name, fontsize=9, fontweight="bold", va="top")


def _chart(axes: "Axes", numbers: Sequence[dict[str, Any]], metric: str) -> None:
    places = np.arange(len(numbers))
    for side, (name, look) in zip((-0.18, 0.18), ALIGNMENTS.items(), strict=True):
        axes.bar(places + side, [line[name] for line in numbers], 0.34, edgecolor="white", linewidth=0, **look)
        ends = ([line[f"{name}_{end}"] for line in numbers] for end in ("low", "high"))
        axes.vlines(places + side, *ends, color=INK, linewidth=1.1)
    axes.set_xticks(places, [SHORT.get(line["method"], line["method"]) for line in numbers], fontsize=8)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set_ylabel(paper().metrics[metric].arrow, fontsize=8.5)
    axes.grid(axis="y")
    axes.spines["bottom"].set_color(QUIET)
    axes.margins(x=0.02)
