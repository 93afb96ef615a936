"""Fig. 7: the average AbsRel against the number of training photos."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dad.report.figures.job import Drawing, Job
from dad.report.style import INK, QUIET, draw_curve, look_of, new_figure
from dad.study.cells import study_groups, table_rows
from dad.study.config import StudyConfig
from dad.study.figures import TITLES, Method, Needs
from dad.study.paper import paper

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dad.analysis.frame import Frame

TITLE = "Comparison of data scaling"
CAPTION = (
    "AbsRel, averaged over the benchmarks, against the number of training photos: our method and the SSI baseline."
)
TABLES = ("scaling",)
NOTES = """\
- AbsRel, averaged over {{ datasets|join(", ") }}, each weighing the same; below, each data set by itself.
- Photo sets are nested: {% for count in study.scaling %}{{ "{:,}".format(count) }}{{ ", " if not loop.last }}{%
  endfor %} photos; every student is trained for the same number of steps.
- Bands are 95 % intervals over the images of each benchmark{%
  if job.seeds|length > 1 %} and the {{ job.seeds|length }} seeds{% else %}; with one seed they say nothing of
  another training{% endif %}. The paired difference is the one to judge by: both methods see the same images. What
  became of the paper's statements about this curve is in scaling.md.
"""
DIFFERENCE = "ours − SSI"
SHAPE = {"linewidth": 1.8, "markersize": 6.5, "err_kws": {"alpha": 0.16, "linewidth": 0.6}}
LOOKS = {name: {**look_of(place), **SHAPE} for place, name in enumerate(("ours", "ssi", DIFFERENCE))}


def needs(study: StudyConfig) -> Needs:
    """The scores of the table `scaling`."""
    if not study.scaling:
        return Needs(reason="the study names no sizes of photo sets (scaling)")
    rows = table_rows(study, "scaling")
    if reason := next((row.reason for row in rows if row.reason), None):
        return Needs(reason=reason)
    methods = tuple(Method(row.factors["method"], row) for row in rows)
    groups = study_groups(study, "scaling")
    return Needs(
        methods, scores=tuple((group, name) for method in methods for name in method.row.subjects for group in groups)
    )


def draw(job: Job) -> Drawing:
    """Above, average and paired difference; below, a facet per data set; all with 95 % bands and the teacher's line."""
    from matplotlib.patches import Patch

    from dad.analysis.frame import load_frame

    frame = load_frame(job.study, "scaling", job.results)
    curves = curves_of(frame)
    average, *single = frame.columns
    figure = new_figure(max(8.2, 2.3 * len(single)), 5.6)
    figure.get_layout_engine().set(wspace=0.05, hspace=0.06)
    above, below = figure.subfigures(2, 1, height_ratios=(1.35, 1))
    left, right = above.subplots(1, 2, width_ratios=(1.35, 1))
    facets = below.subplots(1, len(single), squeeze=False)[0]
    names = [paper().dataset_name(column.dataset) or column.dataset for column in single]
    titles = [f"average over {len(single)} benchmarks", *names]
    for axes, column, title in zip((left, *facets), frame.columns, titles, strict=True):
        here = curves[curves["dataset"] == column.dataset].groupby("method")
        for method in ("ours", "ssi"):
            draw_curve(axes, here.get_group(method), "photos", label=TITLES[method], **LOOKS[method])
        teacher = f"teacher: {job.needs.method('teacher').title}"
        line = {"color": QUIET, "linewidth": 1.3, "linestyle": (0, (5, 2)), "label": teacher}
        axes.axhline(here.get_group("teacher")["mean"].iloc[0], **line)
        _photo_axis(axes, job.study.scaling, title, size=9 if axes is left else 7)
    left.set_ylabel("average AbsRel↓")
    facets[0].set_ylabel("AbsRel↓")
    gaps = curves[(curves["dataset"] == average.dataset) & (curves["method"] == DIFFERENCE)]
    draw_curve(right, gaps, "photos", **LOOKS[DIFFERENCE])
    right.axhline(0, color=INK, linewidth=0.9)
    _photo_axis(right, job.study.scaling, "ours minus SSI baseline, paired: below 0 ours is better", size=9)
    right.set_ylabel("difference in average AbsRel")
    handles = [*left.get_legend_handles_labels()[0], Patch(color=QUIET, alpha=0.16, linewidth=0, label="95 % interval")]
    figure.legend(handles=handles, loc="outside lower left", ncols=4, fontsize=8.5)
    figure.suptitle(job.title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return Drawing(figure, {"datasets": [column.title for column in single]}, numbers_of(curves))


def curves_of(frame: "Frame") -> "pd.DataFrame":
    """A line per method (also the paired difference), size and column: method, photos, dataset, mean, low, high."""
    import pandas as pd

    lines = frame.lines[(frame.lines["role"] == "row") & (frame.lines["metric"] == "abs_rel")].astype({"photos": int})
    gaps = lines[lines["method"] == "ours"].assign(method=DIFFERENCE)
    place, ends = ["method", "photos", "dataset"], ["mean", "low", "high"]
    own = lines[[*place, "mean", "ci_low", "ci_high"]].set_axis([*place, *ends], axis=1)
    return pd.concat([own, gaps[[*place, "ref_difference", "ref_low", "ref_high"]].set_axis([*place, *ends], axis=1)])


def _photo_axis(axes: "Axes", counts: Sequence[int], title: str, *, size: float) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_title(title, loc="left")
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
