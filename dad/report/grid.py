"""Grids of pictures: a row per image, a column per estimator. Every place is given in inches, so nothing overlaps."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dad.report.style import INK, QUIET, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

SIDE = 0.3
"""Inches left of the grid, for the rows' titles."""
EDGE = 0.1
TALLEST = 1.35
"""Largest height of a row as a multiple of a tile's width; a taller picture is shown narrower."""
DRAWN = 800
"""Longest side in pixels at which a picture is drawn: more than a tile has."""
WORST = 0.5
"""Relative error at the end of its colour scale, the same in all pictures so that they can be compared."""
LETTER = 0.58
"""Width of a letter as a share of its size."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of a picture."""


@dataclass(frozen=True)
class Tile:
    """A picture uint8 (H,W,3) with a box drawn on it and a label in its corner, or words instead of a picture.

    What it is made from may be as large as it likes; it keeps no more pixels than are drawn, because all tiles of a sheet are in
    memory together, and one at the size of ETH3D's images has 73 MB.
    """

    pixels: NDArray[np.uint8] | None
    box: Box | None = None
    words: str = ""
    label: str = ""
    shape: tuple[int, int] | None = field(init=False)
    """The picture's height and width, in whose pixels the box is."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", None if self.pixels is None else self.pixels.shape[:2])
        object.__setattr__(self, "pixels", None if self.pixels is None else reduced(self.pixels))


class Grid:
    """A figure with a grid of tiles: a title above, column titles, row titles on the left, a legend below.

    heights: each row's height as a multiple of the tile's width. widths: each column's share of `tile` inches, 1 by default. gaps:
    extra inches before a column, by its number. foot: inches below the grid. Titles are broken into lines that fit.
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
        gaps: Mapping[int, float] | None = None,
        foot: float = 0.38,
        size: float = 8.5,
    ) -> None:
        self._widths = [tile * share for share in widths or [1.0] * len(columns)]
        self._heights = [tile * min(height, TALLEST) for height in heights]
        before = np.cumsum([(gaps or {}).get(i, 0) for i in range(len(columns))])
        self._left = [SIDE + float(before[i]) + sum(self._widths[:i]) + gap * i for i in range(len(columns))]
        self.width = self._left[-1] + self._widths[-1] + EDGE
        title, words = _broken(title, self.width - 2 * EDGE, 11.5), []
        for width, text in zip(self._widths, columns, strict=True):
            words.append(_broken(text, width + gap, size))
        self.head = 0.24 + 0.18 * (title.count("\n") + 1) + max(text.count("\n") + 1 for text in words) * size * 1.25 / 72
        self._top = [self.head + sum(self._heights[:i]) + row_gap * i for i in range(len(heights))]
        self.height = self._top[-1] + self._heights[-1] + foot
        self.figure = new_figure(self.width, self.height, layout=None, dpi=200)  # of pictures inside the SVG, too
        self.text(EDGE, 0.08, title, fontsize=11, fontweight="bold", va="top")
        for left, width, text in zip(self._left, self._widths, words, strict=True):
            self.text(left + width / 2, self.head - 0.08, text, ha="center", va="baseline", fontsize=size, linespacing=1.15)

    def text(self, x: float, y: float, text: str, **style: object) -> None:
        """Text at inches from the figure's upper left corner."""
        self.figure.text(x / self.width, 1 - y / self.height, text, **{"color": INK, "parse_math": False, **style})

    def row_title(self, row: int, text: str, *, x: float = SIDE / 2 + 0.03) -> None:
        """A row's title, turned, at its left or `x` inches from the edge."""
        longest = max(map(len, text.split("\n")))
        room = self._heights[row] * 72 / (LETTER * longest)
        middle = self._top[row] + self._heights[row] / 2
        self.text(x, middle, text, rotation=90, ha="center", va="center", fontsize=min(8, max(5, room)), linespacing=1.05)

    def box(self, left: float, top: float, width: float, height: float) -> "Axes":
        """Axes at inches from the upper left corner."""
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(place)

    def axes(self, row: int, column: int, *, rows: int = 1, inset: Box = (0, 0, 0, 0)) -> "Axes":
        """The axes of a tile, or of several `rows`, smaller by inches on the left, top, right and bottom."""
        left, top, right, bottom = inset
        return self.box(
            self._left[column] + left,
            self._top[row] + top,
            self._widths[column] - left - right,
            self._top[row + rows - 1] + self._heights[row + rows - 1] - self._top[row] - top - bottom,
        )

    def show(self, row: int, column: int, pixels: NDArray[np.uint8], box: Box | None = None, label: str = "") -> "Axes":
        """A picture (H,W,3), whole and with its own aspect, in the middle of its tile; with the outline of a box, and a label."""
        return self._show(row, column, Tile(pixels, box, label=label))

    def _show(self, row: int, column: int, tile: Tile) -> "Axes":
        height, width = tile.shape
        scale = min(self._widths[column] / width, self._heights[row] / height)
        left = self._left[column] + (self._widths[column] - width * scale) / 2
        top = self._top[row] + (self._heights[row] - height * scale) / 2
        axes = self.box(left, top, width * scale, height * scale)
        # places on the picture are in its own pixels, however many of them are drawn
        axes.imshow(tile.pixels, aspect="auto", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        axes.set_axis_off()
        if tile.box is not None:
            x0, y0, x1, y1 = (end - 0.5 for end in tile.box)
            for colour, line in (("#000000", 2.2), ("#FFFFFF", 1.1)):  # seen on light and dark ground
                axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=colour, linewidth=line, clip_on=False)
        if tile.label:
            ground = {"facecolor": "#000000B0", "edgecolor": "none", "pad": 1.5}
            axes.text(0.03, 0.04, tile.label, transform=axes.transAxes, color="white", fontsize=8, bbox=ground)
        return axes

    def put(self, row: int, column: int, tile: Tile) -> None:
        """A tile, whatever is in it."""
        if tile.pixels is not None:
            self._show(row, column, tile)
        elif tile.words:
            axes = self.axes(row, column)
            axes.set_axis_off()
            axes.text(0.5, 0.5, tile.words, ha="center", va="center", fontsize=8, color=QUIET, transform=axes.transAxes)

    def left(self, column: int) -> float:
        """Where a column begins, in inches."""
        return self._left[column]

    @property
    def bottom(self) -> float:
        """Where the grid ends, in inches from the upper edge."""
        return self._top[-1] + self._heights[-1]

    def colour_key(self, text: str = "each map on a scale of its own", *, left: float | None = None, top: float = 0.12) -> None:
        """The legend of coloured maps, from far to near, `top` inches below the grid."""
        begin, top = (self._left[0] if left is None else left) + 0.26, self.bottom + top
        axes = self.box(begin, top, 1.1, 0.1)
        axes.imshow(np.linspace(0, 1, 256)[None], cmap="Spectral_r", aspect="auto")
        axes.set_axis_off()
        self.text(begin - 0.05, top + 0.05, "far", ha="right", fontsize=8, va="center")
        self.text(begin + 1.15, top + 0.05, "near", ha="left", fontsize=8, va="center")
        words = _broken(text, self.width - begin - 1.5 - EDGE, 8)
        self.text(begin + 1.5, top + 0.05, words, ha="left", fontsize=8, va="center", color=QUIET)

    def value_key(
        self,
        text: str,
        colours: "ScalarMappable",
        ticks: Sequence[float],
        *,
        left: float,
        top: float = 0.12,
        extend: str = "neither",
    ) -> None:
        """A colour bar with numbers, `top` inches below the grid and `left` inches from the edge."""
        top = self.bottom + top
        bar = self.figure.colorbar(colours, cax=self.box(left, top, 1.3, 0.1), orientation="horizontal", extend=extend)
        bar.ax.set_xticks(list(ticks), [f"{tick:g}" for tick in ticks])
        bar.ax.set_xticks([], minor=True)
        bar.ax.tick_params(labelsize=7.5, length=2, pad=1.5)
        bar.outline.set_linewidth(0.5)
        self.text(left + 1.4, top + 0.05, text, fontsize=8, va="center")

    def error_key(self, text: str, *, left: float, top: float = 0.12) -> None:
        """The legend of maps of relative errors."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        colours = ScalarMappable(Normalize(0, WORST), "magma")
        self.value_key(text, colours, (0, WORST / 2, WORST), left=left, top=top, extend="max")


def picture_grid(
    rows: Sequence[str], columns: Sequence[tuple[str, Sequence[Tile]]], *, title: str, key: str = "", **options: object
) -> Grid:
    """A grid of whole columns: rows are the images' titles, a column is its title and a tile per image.

    The first column decides how high the rows are. key: the words beside the legend of colours. Other options are `Grid`'s.
    """
    heights = [tile.shape[0] / tile.shape[1] for tile in columns[0][1]]
    grid = Grid(heights, [name for name, _ in columns], title=title, **options)
    for row, name in enumerate(rows):
        grid.row_title(row, name)
        for column, (_, tiles) in enumerate(columns):
            grid.put(row, column, tiles[row])
    grid.colour_key(key or "disparity, each map on a scale of its own")
    return grid


def row_heights(shapes: Sequence[tuple[int, ...]]) -> list[float]:
    """The heights of rows of pictures of these (H,W,...) shapes, as multiples of a tile's width."""
    return [shape[0] / shape[1] for shape in shapes]


def reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H,W,3) with a longest side of at most DRAWN pixels; itself where it has no more."""
    if max(pixels.shape[:2]) <= DRAWN:
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((DRAWN, DRAWN), Image.Resampling.BOX)
    return np.asarray(image)


def _broken(text: str, inches: float, size: float) -> str:
    """`text` with its lines broken where they would be wider; a word that is still too wide is left whole."""
    letters = max(6, int(inches * 72 / (LETTER * size)))
    return "\n".join(part for line in text.split("\n") for part in textwrap.wrap(line, letters) or [""])
