"""Pictures inside the page, as data addresses: every figure and table of the reports folder with its caption."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dad.errors import UserError
from dad.report.figures import FIGURES, figure_needs, figure_number
from dad.report.page.sheets import report_html
from dad.study.config import StudyConfig
from dad.study.tables import table_names, table_of

WIDEST = 1600
"""Pixels; print figures have more than a screen shows. The page is at most 1216 wide; the rest is for a closer look."""


@dataclass(frozen=True)
class FigureView:
    """A figure, or the command that makes it."""

    name: str
    heading: str
    title: str
    source: str = ""
    """Data address."""
    width: int = 0
    height: int = 0
    caption: str = ""
    more: str = ""
    """What was run, and the numbers."""
    reason: str = ""
    """Why this study cannot have it."""


def figure_views(study: StudyConfig, reports: Path) -> list[FigureView]:
    """The paper's figures in its order, then the pictures of the study's tables that exist."""
    views = [_figure(study, reports, name) for name in FIGURES]
    for table in table_names(study):
        layout = table_of(study, table)
        for suffix, title in (("", "means and intervals"), ("_photos", "maps of teacher and students")):
            if (reports / f"{table}{suffix}.png").is_file():
                picture = embedded(reports / f"{table}{suffix}.png")
                views.append(FigureView(f"{table}{suffix}-picture", layout.name, f"{layout.title}: {title}", *picture))
    return views


def _figure(study: StudyConfig, reports: Path, name: str) -> FigureView:
    place = (name, f"Fig. {figure_number(name)}", FIGURES[name].TITLE)
    if not (reports / f"{name}.png").is_file():
        return FigureView(*place, reason=figure_needs(study, name).reason or "")
    return FigureView(
        *place, *embedded(reports / f"{name}.png"), *report_html(reports / f"{name}.md", name=name, deeper=2)
    )


def embedded(path: Path) -> tuple[str, int, int]:
    """A picture as (data address, width, height), at most `WIDEST` pixels wide."""
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise UserError(f"{path} is not a readable picture ({type(error).__name__}); make it again") from None
    picture.thumbnail((WIDEST, picture.height), Image.Resampling.LANCZOS)
    return webp(np.asarray(picture)), picture.width, picture.height


def webp(pixels: NDArray[np.uint8], *, exact: bool = False) -> str:
    """A picture as a data address of a WebP file, every pixel as it is where `exact`; equal pixels give equal text."""
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels)
    picture.save(buffer, format="WEBP", lossless=exact, quality=60 if exact else 82, method=3)
    return data_address("image/webp", buffer.getvalue())


def data_address(media: str, content: bytes) -> str:
    """A file of this media type as a data address."""
    return f"data:{media};base64,{base64.b64encode(content).decode()}"
