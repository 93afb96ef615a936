"""Photos beside the maps of teacher and students: a row per photo, a column per estimator, each map on its own colours."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dad.errors import UserError
from dad.files import atomic_path
from dad.report.colour import colourise
from dad.report.style import INK, QUIET

GAP = 4
"""Pixels between tiles."""
MARGIN = 12
TALLEST = 1.35
"""Largest height of a tile as a multiple of its width; a taller photo is shown narrower."""


def contact_sheet(
    photos: Sequence[tuple[str, NDArray[np.uint8]]],
    maps: Mapping[str, Sequence[NDArray[np.float32]]],
    out: Path,
    *,
    title: str | None = None,
    tile: int = 240,
) -> None:
    """Write a PNG: columns are the photo and every entry of `maps`, rows are photos.

    photos: (name, uint8 (H,W,3)).
    maps: column title (a line break in it starts a second line) -> one disparity map (H,W) per photo, of any size; all are shown
    at the photo's aspect.
    tile: width of a column in pixels; title: written above all, in as many lines as it needs.

    The same input gives the same bytes. Raises UserError without photos, or when a column has more or fewer maps than there are
    photos.
    """
    if not photos:
        raise UserError("a contact sheet needs at least one photo")
    for name, column in maps.items():
        if len(column) != len(photos):
            raise UserError(f"column {name!r} has {len(column)} maps for {len(photos)} photos")
    heading, small = _font("DejaVuSans-Bold.ttf", max(11, tile // 16)), _font("DejaVuSans.ttf", max(9, tile // 22))
    titles = [_fit("photo", heading, tile), *(_fit(name, heading, tile) for name in maps)]
    line, label = _line_height(heading), _line_height(small)
    width = 2 * MARGIN + len(titles) * tile + (len(titles) - 1) * GAP
    title = _fit(title, heading, width - 2 * MARGIN) if title else None
    head = MARGIN + ((title.count("\n") + 2) * line if title else 0)
    top = head + max(text.count("\n") + 1 for text in titles) * line + GAP
    sizes = [_tile_size(photo.shape[:2], tile) for _, photo in photos]
    sheet = Image.new("RGB", (width, top + sum(height + label + 2 * GAP for _, height in sizes) + MARGIN - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.multiline_text((MARGIN, MARGIN), title, fill=INK, font=heading, spacing=2)
    for index, text in enumerate(titles):
        draw.multiline_text((MARGIN + index * (tile + GAP), head), text, fill=INK, font=heading, spacing=2)
    y = top
    for index, ((name, photo), size) in enumerate(zip(photos, sizes, strict=True)):
        tiles = [photo, *(colourise(column[index]) for column in maps.values())]
        for place, pixels in enumerate(tiles):
            image = Image.fromarray(np.ascontiguousarray(pixels)).resize(
                size, Image.Resampling.LANCZOS if place == 0 else Image.Resampling.BILINEAR
            )
            sheet.paste(image, (MARGIN + place * (tile + GAP) + (tile - size[0]) // 2, y))
        draw.text((MARGIN, y + size[1] + 1), _shorten(name, small, width - 2 * MARGIN), fill=QUIET, font=small)
        y += size[1] + label + 2 * GAP
    with atomic_path(out) as temporary:
        sheet.save(temporary, format="PNG")


def _tile_size(shape: tuple[int, int], tile: int) -> tuple[int, int]:
    """(width, height) in pixels of a photo of this (H,W) shape inside its tile."""
    height, width = shape
    scale = min(tile / width, TALLEST * tile / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that comes with Matplotlib, so that every machine draws the same letters."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _line_height(font: ImageFont.FreeTypeFont) -> int:
    return sum(font.getmetrics()) + 2


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """`text` with line breaks between words where a line would be wider than a tile; a word that is still too wide is cut."""
    lines: list[str] = []
    for line in text.split("\n"):
        current = ""
        for word in line.split():
            joined = f"{current} {word}".strip()
            if current and font.getlength(joined) > width:
                lines.append(current)
                current = word
            else:
                current = joined
        lines.append(current)
    return "\n".join(_shorten(line, font, width) for line in lines)


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """`text`, or its end after three dots where it does not fit: the ends of paths and ids tell them apart."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"…{text}") > width:
        text = text[1:]
    return f"…{text}"
