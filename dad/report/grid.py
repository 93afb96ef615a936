"""Grids of pictures: a row per image, a column per estimator. Sizes are given in inches, so nothing overlaps."""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dad.report.colour import colourise, shaded, shrunk, smaller
from dad.report.style import MARK, QUIET, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

SIDE = 0.3
"""Inches left of the grid, for the rows' titles."""
EDGE = 0.1
GAP = 0.06
"""Inches between columns."""
ROW_GAP = 0.08
TALLEST = 1.35
"""Largest height of a row as a multiple of a tile's width; a taller picture is shown narrower."""
DRAWN = 800
"""Longest side in pixels at which a picture is drawn: more than a tile has."""
WORST = 0.5
"""Relative error at the end of its colour scale, the same in all pictures so that they can be compared."""
LETTER = 0.58
"""Width of a letter as a share of its size."""
TITLE, HEADING = 11, 8.5
"""Sizes of the title's and the columns' letters in points."""
FAR_TO_NEAR = {0.0: "far", 1.0: "near"}

Box = tuple[float, float, float, float]


@dataclass
class Tile:
    """A picture uint8 (H,W,3), with a label in its corner, a box (x0, y0, x1, y1) and a dot (row, column) drawn on it.

    What it is made from may be as large as it likes; it keeps no more pixels than are drawn, because all tiles of a
    sheet are in memory together, and one at the size of ETH3D's images has 73 MB.
    """

    pixels: NDArray[np.uint8]
    label: str = ""
    box: Box | None = None
    dot: tuple[int, int] | None = None
    shape: tuple[int, ...] = ()
    """Height and width in pixels in which box and dot are given: those of what is shown, before it was made smaller."""

    def __post_init__(self) -> None:
        self.shape = self.shape or self.pixels.shape[:2]
        self.pixels = smaller(self.pixels, DRAWN, Image.Resampling.BOX)


@dataclass(frozen=True)
class Chart:
    """Something drawn into axes, over one row or several; `inset`: inches for its labels (left, top, right, bottom)."""

    draw: "Callable[[Axes], object]"
    rows: int = 1
    inset: Box = (0, 0, 0, 0)


Content = Tile | Chart | str | None
"""What a grid has in one place; words stand there instead of a picture."""
Column = tuple[str, Sequence[Content]]
"""A title, and what is in each row."""


def map_tile(
    disparity: NDArray[np.floating],
    *,
    like: NDArray[np.floating] | None = None,
    label: str = "",
    box: Box | None = None,
) -> Tile:
    """A map (H,W), coloured on its own scale or another's (`dad.report.colour.colourise`).

    It is made as small as it is drawn before it is coloured: at ETH3D's size a colour scale takes a gigabyte.
    """
    return Tile(colourise(shrunk(disparity, DRAWN), like=like), label, box, shape=disparity.shape)


def error_tile(error: NDArray[np.floating], label: str = "") -> Tile:
    """A map (H,W) of relative errors, on the scale that they all share."""
    return Tile(shaded(shrunk(error, DRAWN) / WORST, "magma"), label, shape=error.shape)


class Grid:
    """A figure of rows and columns: a title above, column titles, row titles on the left, legends below.

    heights: each row's height as a multiple of the tile's width; where they are not given the pictures of the first
    column decide. widths: each column's share of `tile` inches, 1 by default. gaps: extra inches before a column, by
    its number. foot: inches below the grid. Titles are broken into lines that fit. Places are in inches from the lower
    left corner.
    """

    def __init__(
        self,
        rows: Sequence[str],
        columns: Sequence[Column],
        *,
        title: str,
        heights: Sequence[float] | None = None,
        tile: float = 1.5,
        widths: Sequence[float] | None = None,
        gaps: Mapping[int, float] | None = None,
        foot: float = 0.42,
    ) -> None:
        heights = heights or [one.shape[0] / one.shape[1] for one in columns[0][1] if isinstance(one, Tile)]
        across = _spaced([tile * share for share in widths or [1.0] * len(columns)], GAP, gaps or {})
        down = _spaced([tile * min(height, TALLEST) for height in heights], ROW_GAP, {})
        self.width, self.foot = SIDE + sum(across) + EDGE, foot
        title = broken_up(title, self.width - 2 * EDGE, TITLE)
        names = [broken_up(name, wide + GAP, HEADING) for (name, _), wide in zip(columns, across[::2], strict=True)]
        head = 0.24 + 0.18 * (title.count("\n") + 1) + max(name.count("\n") + 1 for name in names) * HEADING * 1.25 / 72
        self.height = foot + sum(down) + head
        self._x = SIDE + np.cumsum([0, *across])
        self._y = foot + sum(down) - np.cumsum([0, *down])
        self.figure = new_figure(self.width, self.height, layout=None, dpi=200)  # of pictures inside the SVG, too
        self.text(EDGE, self.height - 0.08, title, fontsize=TITLE, fontweight="bold", va="top")
        for column, ((_, contents), name) in enumerate(zip(columns, names, strict=True)):
            left, _, right, top = self.place(0, column)
            self.text((left + right) / 2, top + 0.08, name, ha="center", fontsize=HEADING, linespacing=1.15)
            for row, content in enumerate(contents):
                self._put(row, column, content)
        for row, name in enumerate(rows):
            _, bottom, _, top = self.place(row, 0)
            size = (top - bottom) * 72 / (LETTER * max(map(len, name.split("\n"))))
            look = {"rotation": 90, "ha": "center", "va": "center", "linespacing": 1.05}
            self.text(SIDE / 2 + 0.03, (top + bottom) / 2, name, fontsize=min(8, max(5, size)), **look)

    def place(self, row: int, column: int, rows: int = 1) -> Box:
        """The left, lower, right and upper end of a place, or of several `rows` of a column."""
        return self._x[2 * column], self._y[2 * (row + rows) - 1], self._x[2 * column + 1], self._y[2 * row]

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Text at a place."""
        self.figure.text(x / self.width, y / self.height, text, parse_math=False, **style)

    def axes(self, left: float, bottom: float, right: float, top: float) -> "Axes":
        """Axes between two places."""
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, (right - left) / self.width, (top - bottom) / self.height)
        )

    def key(
        self,
        text: str = "disparity, each map on a scale of its own",
        *,
        colours: str = "Spectral_r",
        scale: "Normalize | None" = None,
        ticks: Mapping[float, str] = FAR_TO_NEAR,
        extend: str = "neither",
        column: int = 0,
        below: float = 0.1,
    ) -> None:
        """A legend of colours with words beside it, under a column and so many inches below the grid."""
        from matplotlib.cm import ScalarMappable

        left, top = self._x[2 * column] + 0.1, self.foot - below
        bar = self.figure.colorbar(
            ScalarMappable(scale, colours),
            cax=self.axes(left, top - 0.1, left + 1.2, top),
            orientation="horizontal",
            extend=extend,
        )
        bar.ax.set_xticks(list(ticks), list(ticks.values()))
        bar.ax.set_xticks([], minor=True)
        bar.ax.tick_params(labelsize=7.5, length=2, pad=1.5)
        bar.outline.set_linewidth(0.5)
        words = broken_up(text, self.width - left - 1.35 - EDGE, 8)
        self.text(left + 1.35, top - 0.05, words, fontsize=8, va="center", color=QUIET)

    def error_key(self, text: str, *, column: int = 0, below: float = 0.1) -> None:
        """The legend of `error_tile`."""
        from matplotlib.colors import Normalize

        ticks = {tick: f"{tick:g}" for tick in (0, WORST / 2, WORST)}
        self.key(
            text, colours="magma", scale=Normalize(0, WORST), ticks=ticks, extend="max", column=column, below=below
        )

    def _put(self, row: int, column: int, content: Content) -> None:
        """What is in a place; a picture is whole and with its own aspect in the middle of it."""
        if isinstance(content, Chart):
            left, bottom, right, top = self.place(row, column, content.rows)
            inset = content.inset
            content.draw(self.axes(left + inset[0], bottom + inset[3], right - inset[2], top - inset[1]))
        elif content is not None:
            axes = self.axes(*self.place(row, column))
            axes.set_axis_off()
            if isinstance(content, Tile):
                _show(axes, content)
            else:
                axes.text(0.5, 0.5, content, ha="center", va="center", fontsize=8, color=QUIET)


def _show(axes: "Axes", tile: Tile) -> None:
    height, width = tile.shape
    # places on the picture are in its own pixels, however many of them are drawn
    axes.imshow(tile.pixels, extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    if tile.box:
        x0, y0, x1, y1 = (end - 0.5 for end in tile.box)
        for colour, line in (("#000000", 2.2), ("#FFFFFF", 1.1)):  # seen on light and dark ground
            axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=colour, linewidth=line, clip_on=False)
    if tile.dot:
        axes.plot(tile.dot[1], tile.dot[0], "o", markersize=5.5, color=MARK, markeredgecolor="white", markeredgewidth=1)
    if tile.label:
        ground = {"facecolor": "#000000B0", "edgecolor": "none", "pad": 1.5}
        axes.text(0.03, 0.04, tile.label, transform=axes.transAxes, color="white", fontsize=8, bbox=ground)


def _spaced(sizes: Sequence[float], gap: float, more: Mapping[int, float]) -> list[float]:
    """Sizes with the gaps between them; `more` are inches on top of the gap before a size, by its number."""
    return [inches for number, size in enumerate(sizes) for inches in (gap + more.get(number, 0), size)][1:]


class _AtJoints(textwrap.TextWrapper):
    """Breaks lines at spaces, and names at their joints: `Contrast|Ramp`, `my_|teachers:|dpt`."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=[a-z0-9])(?=[A-Z])|(?<=[_:./+-])(?=\w))")


def broken_up(text: str, inches: float, size: float) -> str:
    """`text` with its lines broken where they would be wider."""
    wrapper = _AtJoints(max(6, int(inches * 72 / (LETTER * size))), break_on_hyphens=False)
    return "\n".join(part for line in text.split("\n") for part in wrapper.wrap(line) or [""])
