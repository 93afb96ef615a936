"""Fig. 7: the average AbsRel against the number of training photos."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dad.report.figures.job import Drawing, Job, method_title
from dad.report.figures.methods import TITLES, Needs, method_of
from dad.report.style import GIVEN, INK, MARKERS, PALETTE, QUIET, new_figure
from dad.study.cells import study_groups, table_rows
from dad.study.config import StudyConfig
from dad.study.paper import paper

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dad.report.frame import Frame

TITLE = "Comparison of data scaling"
CAPTION = "AbsRel, averaged over the benchmarks, against the number of training photos: our method and the SSI baseline."
TABLES = ("scaling",)
NOTES = """\
- AbsRel, averaged over {{ datasets|join(", ") }}, each weighing the same; below, each data set by itself.
- Photo sets are nested: {% for count in study.scaling %}{{ "{:,}".format(count) }}{{ ", " if not loop.last }}{% endfor %} photos;
  every student is trained for the same number of steps.
- Bands are 95 % intervals over the images of each benchmark{% if study.seeds|length > 1 %} and the {{ study.seeds|length
  }} seeds{% else %}; with one seed they say nothing of another training{% endif %}. The paired difference is the one to judge by:
  both methods see the same images. What became of the paper's statements about this curve is in scaling.md.
"""
COLOURS = {"ours": PALETTE[0], "ssi": PALETTE[1]}
DIFFERENCE = "ours − SSI"


def needs(study: StudyConfig) -> Needs:
    """The scores of the table `scaling`."""
    if not study.scaling:
        return Needs(reason="the study names no sizes of photo sets (scaling)")
    rows = table_rows(study, "scaling")
    if reason := next((row.reason for row in rows if row.reason), None):
        return Needs(reason=reason)
    methods = tuple(method_of(row.factors["method"], row) for row in rows)
    groups = study_groups(study, "scaling")
    return Needs(methods, scores=tuple((group, name) for method in methods for name in method.subjects for group in groups))


def draw(job: Job) -> Drawing:
    """Above the average and the paired difference, below a facet per data set; all with 95 % bands, and the teacher's line."""
    from dad.report.frame import load_frame

    frame = load_frame(job.study, "scaling", job.results)
    curves = curves_of(frame)
    average, *single = frame.columns
    wide = max(2, len(single))
    figure = new_figure(max(8.2, 2.3 * wide), 5.6)
    figure.get_layout_engine().set(wspace=0.05, hspace=0.06)
    above, below = figure.subfigures(2, 1, height_ratios=(1.35, 1))
    left, right = above.subplots(1, 2, width_ratios=(1.35, 1))
    _panel(left, curves, average.dataset, f"average over {len(single)} benchmarks")
    left.set_ylabel("average AbsRel↓")
    gaps = curves[(curves["dataset"] == average.dataset) & (curves["method"] == DIFFERENCE)]
    _band(right, gaps, PALETTE[2])
    right.axhline(0, color=INK, linewidth=0.9)
    right.set_ylabel("difference in average AbsRel")
    right.set_title("ours minus SSI baseline, paired: below 0 ours is better", loc="left")
    facets = below.subplots(1, wide)
    for axes, column in zip(facets, single, strict=False):
        _panel(axes, curves, column.dataset, paper().dataset_name(column.dataset) or column.dataset)
    facets[0].set_ylabel("AbsRel↓")
    for axes in facets[len(single) :]:
        axes.set_axis_off()
    for axes in (left, right):
        _photo_axis(axes, job.study.scaling)
    for axes in facets[: len(single)]:
        _photo_axis(axes, job.study.scaling, size=7)
    _legend(figure, method_title(job.needs.method("teacher")))
    figure.suptitle(job.title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(figure, {"datasets": [column.title for column in single]}, numbers_of(curves))


def curves_of(frame: "Frame") -> "pd.DataFrame":
    """One line per method, size and column: method, photos, dataset, mean, low, high; the paired difference is a method, too."""
    import pandas as pd

    lines = []
    for column in frame.columns:
        for row in frame.rows:
            values = frame.value(row, column, "abs_rel")
            place = {"photos": int(row.factors["photos"]), "dataset": column.dataset}
            own = {"mean": values["mean"], "low": values["ci_low"], "high": values["ci_high"]}
            lines.append({"method": row.factors["method"], **place, **own})
            if row.factors["method"] == "ours":
                gap = {"mean": values["ref_difference"], "low": values["ref_low"], "high": values["ref_high"]}
                lines.append({"method": DIFFERENCE, **place, **gap})
    return pd.DataFrame(lines)


def _panel(axes: "Axes", curves: "pd.DataFrame", dataset: str, title: str) -> None:
    """The two methods and the teacher's line on one data set."""
    here = curves[curves["dataset"] == dataset]
    for method, colour in COLOURS.items():
        _band(axes, here[here["method"] == method], colour, MARKERS[list(COLOURS).index(method)])
    axes.axhline(here[here["method"] == "teacher"]["mean"].iloc[0], color=QUIET, linewidth=1.3, linestyle=(0, (5, 2)))
    axes.set_title(title, loc="left")


def _band(axes: "Axes", lines: "pd.DataFrame", colour: str, marker: str = MARKERS[2]) -> None:
    """A curve with its interval."""
    import seaborn

    long = lines.melt(["photos"], ["mean", "low", "high"])
    look = {"color": colour, "marker": marker, "linewidth": 1.8, "markersize": 6.5, "err_kws": {"alpha": 0.16, "linewidth": 0.6}}
    seaborn.lineplot(long, x="photos", y="value", ax=axes, legend=False, sort=False, **GIVEN, **look)
    axes.set_ylabel("")


def _legend(figure: Any, teacher: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    look = {"linewidth": 1.8, "markersize": 6.5, "markeredgecolor": "white"}
    handles = [
        Line2D([], [], color=colour, marker=MARKERS[place], label=TITLES[method], **look)
        for place, (method, colour) in enumerate(COLOURS.items())
    ]
    handles.append(Line2D([], [], color=QUIET, linewidth=1.3, linestyle=(0, (5, 2)), label=f"teacher: {teacher}"))
    handles.append(Patch(color=QUIET, alpha=0.16, linewidth=0, label="95 % interval"))
    figure.legend(handles=handles, loc="outside lower left", ncols=4, fontsize=8.5)


def _photo_axis(axes: "Axes", counts: Sequence[int], *, size: float = 9) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    axes.set_xticks(counts, [f"{count / 1000:g}k" if count >= 1000 else str(count) for count in counts], fontsize=size)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training photos (log scale)", fontsize=size + 0.5)
    axes.grid(axis="y")
    if len(counts) > 6:
        axes.tick_params(axis="x", rotation=30)


def numbers_of(curves: "pd.DataFrame") -> list[dict[str, Any]]:
    """One line per method and size: the average with its interval, then every data set's mean."""
    names = {**TITLES, DIFFERENCE: DIFFERENCE, "teacher": "teacher"}
    lines = []
    for method in ("ours", "ssi", DIFFERENCE, "teacher"):
        for photos, lined in curves[curves["method"] == method].groupby("photos"):
            average, *single = lined.to_dict("records")
            line = {"method": names[method], "photos": photos or "", "average_abs_rel": average["mean"]}
            line |= {"low": average["low"], "high": average["high"]}
            lines.append(line | {one["dataset"]: one["mean"] for one in single})
    return lines
