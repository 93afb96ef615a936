"""Grids of pictures with every place given in inches, so that nothing overlaps whatever the pictures' shapes are."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from dad.report.style import INK, QUIET

SIDE = 0.3
"""Inches left of the grid, for the rows' titles."""
EDGE = 0.1
TALLEST = 1.35
"""Largest height of a row as a multiple of a tile's width; a taller picture is shown narrower."""
WHITE = "#FFFFFF"
DRAWN = 800
"""Longest side in pixels at which a picture is drawn: more than a tile has."""


class Sheet:
    """A figure with a grid of tiles: a title line above, column titles, row titles on the left, a legend below.

    heights: each row's height as a multiple of the tile's width. widths: each column's share of `tile` inches, 1 by default. gaps:
    extra inches before a column or row, by its number. foot: inches below the grid.
    """

    def __init__(
        self,
        heights: Sequence[float],
        columns: Sequence[str],
        *,
        title: str,
        tile: float = 1.5,
        widths: Sequence[float] | None = None,
        gap: float = 0.06,
        row_gap: float = 0.08,
        column_gaps: dict[int, float] | None = None,
        foot: float = 0.42,
        size: float = 8.5,
    ) -> None:
        lines = max(text.count("\n") + 1 for text in columns)
        self._widths = [tile * share for share in widths or [1.0] * len(columns)]
        self._heights = [tile * min(height, TALLEST) for height in heights]
        extra = column_gaps or {}
        before = np.cumsum([extra.get(i, 0) for i in range(len(columns))])
        self._left = [SIDE + float(before[i]) + sum(self._widths[:i]) + gap * i for i in range(len(columns))]
        head = 0.42 + lines * size * 1.25 / 72
        self._top = [head + sum(self._heights[:i]) + row_gap * i for i in range(len(heights))]
        self.width = self._left[-1] + self._widths[-1] + EDGE
        self.height = self._top[-1] + self._heights[-1] + foot
        self.figure = Figure(figsize=(self.width, self.height), dpi=200)  # of pictures inside the SVG, too
        FigureCanvasAgg(self.figure)
        self.text(EDGE, 0.08, title, fontsize=11, fontweight="bold", va="top")
        for left, width, text in zip(self._left, self._widths, columns, strict=True):
            self.text(left + width / 2, head - 0.08, text, ha="center", va="baseline", fontsize=size, linespacing=1.15)

    def text(self, x: float, y: float, text: str, **style: object) -> None:
        """Text at inches from the figure's upper left corner."""
        self.figure.text(x / self.width, 1 - y / self.height, text, **{"color": INK, "parse_math": False, **style})

    def row_title(self, row: int, text: str, *, x: float = SIDE / 2 + 0.03, **style: object) -> None:
        """A row's title, turned, at its left or `x` inches from the edge."""
        middle = self._top[row] + self._heights[row] / 2
        room = self._heights[row] * 72 / (0.62 * len(text))  # points of height per letter, which is about 0.62 as wide as high
        style = {"rotation": 90, "ha": "center", "va": "center", "fontsize": min(8, max(5, room)), "color": INK, **style}
        self.text(x, middle, text, **style)

    def box(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes at inches from the upper left corner."""
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(place)

    def axes(self, row: int, column: int, *, rows: int = 1, inset: tuple[float, float, float, float] = (0, 0, 0, 0)) -> Axes:
        """The axes of a tile, or of several `rows`, smaller by inches on the left, top, right and bottom."""
        left, top, right, bottom = inset
        return self.box(
            self._left[column] + left,
            self._top[row] + top,
            self._widths[column] - left - right,
            self._top[row + rows - 1] + self._heights[row + rows - 1] - self._top[row] - top - bottom,
        )

    def show(self, row: int, column: int, pixels: NDArray[np.uint8]) -> Axes:
        """A picture (H,W,3), whole and with its own aspect, in the middle of its tile."""
        height, width = pixels.shape[:2]
        room_width, room_height = self._widths[column], self._heights[row]
        scale = min(room_width / width, room_height / height)
        left = self._left[column] + (room_width - width * scale) / 2
        top = self._top[row] + (room_height - height * scale) / 2
        axes = self.box(left, top, width * scale, height * scale)
        # places on the picture are in its own pixels, however many of them are drawn
        axes.imshow(reduced(pixels), aspect="auto", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        axes.set_axis_off()
        return axes

    def note(self, row: int, column: int, text: str) -> None:
        """A word in the middle of a tile that has no picture."""
        axes = self.axes(row, column)
        axes.set_axis_off()
        axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=8, color=QUIET, transform=axes.transAxes)

    def left(self, column: int) -> float:
        """Where a column begins, in inches."""
        return self._left[column]

    @property
    def bottom(self) -> float:
        """Where the grid ends, in inches from the upper edge."""
        return self._top[-1] + self._heights[-1]

    def colour_key(self, text: str = "each map on a scale of its own", *, left: float | None = None) -> None:
        """The legend of coloured maps, from far to near, below the grid."""
        begin, top = (self._left[0] if left is None else left) + 0.26, self.bottom + 0.12
        axes = self.box(begin, top, 1.1, 0.1)
        axes.imshow(np.linspace(0, 1, 256)[None], cmap="Spectral_r", aspect="auto")
        axes.set_axis_off()
        style = {"fontsize": 8, "va": "center"}
        self.text(begin - 0.05, top + 0.05, "far", ha="right", **style)
        self.text(begin + 1.15, top + 0.05, "near", ha="left", **style)
        self.text(begin + 1.5, top + 0.05, text, ha="left", **{**style, "color": QUIET})

    def value_key(
        self, text: str, colours: ScalarMappable, ticks: Sequence[float], *, left: float, extend: str = "neither"
    ) -> None:
        """A colour bar with numbers below the grid, from `left` inches on."""
        top = self.bottom + 0.12
        bar = self.figure.colorbar(colours, cax=self.box(left, top, 1.3, 0.1), orientation="horizontal", extend=extend)
        bar.ax.set_xticks(list(ticks), [f"{tick:g}" for tick in ticks])
        bar.ax.set_xticks([], minor=True)
        bar.ax.tick_params(labelsize=7.5, length=2, pad=1.5)
        bar.outline.set_linewidth(0.5)
        self.text(left + 1.4, top + 0.05, text, fontsize=8, va="center")


def reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H,W,3) with a longest side of at most DRAWN pixels."""
    image = Image.fromarray(pixels)
    image.thumbnail((DRAWN, DRAWN), Image.Resampling.BOX)
    return np.asarray(image)


def outline(axes: Axes, box: tuple[float, float, float, float], colour: str = WHITE) -> None:
    """A rectangle x0, y0, x1, y1 in pixels on a picture, seen on light and dark ground."""
    x0, y0, x1, y1 = box
    for edge, width in (("#000000", 2.2), (colour, 1.1)):
        axes.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=edge, linewidth=width))


def row_heights(shapes: Sequence[tuple[int, ...]]) -> list[float]:
    """The heights of rows of pictures of these (H,W,...) shapes, as multiples of a tile's width."""
    return [shape[0] / shape[1] for shape in shapes]
