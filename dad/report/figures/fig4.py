"""Fig. 4: what each normalization makes of a real pseudo-label, and which pixels a pixel is normalized with."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dad.report.colour import colourise
from dad.report.figures.job import Drawing, Job
from dad.report.grid import Chart, Column, Grid, Tile, map_tile
from dad.report.pictures import photo_pictures
from dad.report.style import HAIRLINE, MARK, PALETTE, QUIET
from dad.study.config import LossConfig
from dad.study.figures import teacher_on_photos

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "Normalization strategies"
CAPTION = (
    "Global, hybrid, local and no normalization: the pixels that a marked pixel is normalized with (its norm. area), "
    "and the map that results."
)
TABLES = ()
NOTES = """\
- The label is the map of {{ teacher }} for the largest central square of the middle photo of the training set,
  `{{ photo }}`, at the training's {{ study.crop.size }} pixels.
- The marked pixel is at row {{ place[0] }} and column {{ place[1] }} of the label, chosen beforehand
  ({{ "%.0f" % (100 * marked[0]) }}% down, {{ "%.0f" % (100 * marked[1]) }}% across).
- Groups (`{{ study.loss.groups }}`) and arithmetic (`{{ study.loss.variant }}`) are those that the study trains with,
  drawn by the loss's own code. Hybrid normalization averages the differences of student and label over its three
  levels; its S = 1 holds the same pixels as global normalization{%
  if study.loss.variant == "hdn" and study.loss.groups != "spatial" %}, but for the largest value, which upstream's code
  leaves out of every group{% endif %}.
- Histograms (counts on a square-root scale): all label values grey, those of the area blue, the groups' edges dashed,
  the marked pixel's value red.
"""

MARKED = (0.7, 0.4)
"""Where the marked pixel is: its row and column as a share of the map."""
REST = "#C8C8C8"
"""Colour of the pixels that are not in its area."""
BINS = 48
SHADE = 0.82
"""How far pixels outside the area are moved towards white."""


needs = teacher_on_photos


@dataclass(frozen=True)
class Panel:
    """One normalization at one level: the area (S,S) bool of the marked pixel, and the map (S,S) that results.

    edges: the label values between which the groups of the level lie; empty without groups of ranges.
    """

    title: str
    area: NDArray[np.bool_]
    values: NDArray[np.float32]
    edges: tuple[float, ...] = ()


def label_of(job: Job) -> tuple[NDArray[np.uint8], NDArray[np.float32], str]:
    """The middle photo's largest central square at training size (S,S,3), the teacher's map (S,S), the photo's id."""
    import torch

    from dad.data.crops import CropPlan
    from dad.models.estimator import load

    picture = photo_pictures(job.manifest, 1, largest=None)[0]
    crop = job.study.crop
    plan = CropPlan(seed=0, min_crop=1, size=crop.size, patches=0, flip=False, context="center")
    height, width = picture.rgb.shape[:2]
    square = plan.views(picture.rgb, plan.draw(picture.id, 0, width, height)).square
    teacher = load(job.study.teacher, short_side=crop.size)
    label = teacher(torch.from_numpy(square)[None])[0, 0].float().cpu().numpy()
    return (square.transpose(1, 2, 0) * 255).round().astype(np.uint8), label, picture.id


def marked(shape: tuple[int, ...]) -> tuple[int, int]:
    """Row and column of the marked pixel."""
    return int(MARKED[0] * shape[0]), int(MARKED[1] * shape[1])


def panels(label: NDArray[np.float32], loss: LossConfig) -> list[Panel]:
    """Global, hybrid at its three levels, local and none, by the code that the loss runs on."""
    import torch

    from dad.distill.normalization import group_index, normalise
    from dad.study.normalizations import NORMALIZATIONS

    target = torch.from_numpy(label)[None, None]
    options = {"groups": loss.groups, "variant": loss.variant}
    made = []
    for normalization in ("global", "hybrid", "local"):
        groups = group_index(target, normalization=normalization, **options)[0].numpy()
        maps = normalise(target, normalization=normalization, **options)[0].numpy()
        for level, group, values in zip(NORMALIZATIONS[normalization].segments, groups, maps, strict=True):
            title = f"{normalization} norm." + ("" if normalization == "global" else f", S = {level}")
            inside = group >= 0
            area = (group == group[marked(group.shape)]) & inside
            made.append(Panel(title, area, np.where(inside, values, np.nan), _edges(label, group, loss)))
    itself = np.zeros(label.shape, np.bool_)
    itself[marked(label.shape)] = True
    return [*made, Panel("no norm.", itself, label)]


def _edges(label: NDArray[np.float32], group: NDArray[np.int64], loss: LossConfig) -> tuple[float, ...]:
    """The smallest label of every group but the first; groups of the image plane have no such edges."""
    if loss.groups == "spatial":
        return ()
    return tuple(float(label[group == one].min()) for one in np.unique(group[group >= 0])[1:])


def draw(job: Job) -> Drawing:
    """The photo and its label on the left; per normalization the area, the map and the label's histogram."""
    rgb, label, photo = label_of(job)
    shown, place, coloured = panels(label, job.study.loss), marked(label.shape), colourise(label)
    columns: list[Column] = [("photo and label", [Tile(rgb, dot=place), Tile(coloured, dot=place), Chart(_legend)])]
    for panel in shown:
        histogram = Chart(
            functools.partial(_histogram, label=label, panel=panel, place=place), inset=(0.02, 0.1, 0.02, 0)
        )
        columns.append(
            (panel.title, [Tile(_faded(coloured, panel.area), dot=place), map_tile(panel.values), histogram])
        )
    rows = ("norm. area", "normalized map", "pixels by value")
    gaps = {1: 0.28, 2: 0.12, 5: 0.12, 6: 0.12}
    grid = Grid(rows, columns, heights=[1, 1, 0.72], title=job.title, tile=1.5, gaps=gaps, foot=0.65)
    grid.key("disparity, each map on a scale of its own; histograms are over the label's values", below=0.3)
    facts = {"teacher": job.needs.methods[0].title, "photo": photo, "place": place, "marked": MARKED}
    return Drawing(grid.figure, facts, numbers_of(shown, place))


def numbers_of(shown: Sequence[Panel], place: tuple[int, int]) -> list[dict[str, object]]:
    """Per panel how large the area is and what the map's values are."""
    return [
        {
            "panel": panel.title,
            "area_pixels": int(panel.area.sum()),
            "area_share": float(panel.area.mean()),
            "marked_value": float(panel.values[place]),
            "least": float(np.nanmin(panel.values)),
            "most": float(np.nanmax(panel.values)),
        }
        for panel in shown
    ]


def _faded(pixels: NDArray[np.uint8], area: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A picture (H,W,3) with what is outside the area grey and almost white."""
    grey = pixels.mean(axis=2, keepdims=True).repeat(3, axis=2)
    faded = grey + SHADE * (255 - grey)
    return np.where(area[..., None], pixels, faded).astype(np.uint8)


def _histogram(axes: "Axes", *, label: NDArray[np.float32], panel: Panel, place: tuple[int, int]) -> None:
    bins = np.linspace(label.min(), label.max(), BINS + 1)
    axes.hist(label.ravel(), bins, color=REST)
    if panel.area.sum() > 1:
        axes.hist(label[panel.area], bins, color=PALETTE[0])
    for edge in panel.edges:
        axes.axvline(edge, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.axvline(label[place], color=MARK, linewidth=1.2)
    axes.set_yscale("function", functions=(np.sqrt, np.square))  # the sky alone can fill one bin
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", labelsize=7, length=2, pad=1.5)
    axes.locator_params(axis="x", nbins=4)
    axes.set_facecolor("none")
    axes.spines["bottom"].set_color(HAIRLINE)


def _legend(axes: "Axes") -> None:
    """Beside the histograms what their colours are."""
    for colour, text in ((MARK, "the marked pixel"), (PALETTE[0], "in its area"), (REST, "all pixels")):
        axes.plot([], [], "o", color=colour, label=text)
    axes.legend(loc="center left", fontsize=8)
    axes.set_axis_off()
