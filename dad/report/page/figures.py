"""Pictures inside the page, as data addresses: every figure of the reports folder with its caption."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dad.errors import UserError
from dad.report.figures import FIGURES, figure_needs, figure_number
from dad.study.cells import TABLES
from dad.study.config import StudyConfig
from dad.study.paper import paper

WIDEST = 2000
"""Pixels; figures are drawn for print at more than a screen shows."""

SMALL = 300_000
"""Bytes of a PNG file up to which it goes into the page as it is: plots are smaller and sharper so."""


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
    """Markdown."""
    more: str = ""
    """Markdown of what was run and of the numbers."""
    command: str = ""
    reason: str = ""
    """Why this study can not have it."""


def figure_views(study: StudyConfig, reports: Path) -> list[FigureView]:
    """The paper's figures in its order, then the pictures of its tables that exist."""
    views = [_figure(study, reports, name) for name in FIGURES]
    for table in TABLES:
        layout = paper().table(table)
        for suffix, title in (("", "means and intervals"), ("_photos", "maps of teacher and students")):
            if (reports / f"{table}{suffix}.png").is_file():
                source, width, height = embedded(reports / f"{table}{suffix}.png")
                views.append(FigureView(f"{table}{suffix}-picture", layout.name, f"{layout.title}: {title}", source, width, height))
    return views


def _figure(study: StudyConfig, reports: Path, name: str) -> FigureView:
    text, path, caption = FIGURES[name], reports / f"{name}.png", reports / f"{name}.md"
    heading = f"Fig. {figure_number(name)}"
    if not path.is_file():
        reason = figure_needs(study, name).reason or ""
        return FigureView(name, heading, text.TITLE, command=f"snakemake --cores 1 reports/{name}.png", reason=reason)
    source, width, height = embedded(path)
    words, more = parted(caption.read_text()) if caption.is_file() else (text.CAPTION, "")
    return FigureView(name, heading, text.TITLE, source, width, height, words, more)


def parted(text: str) -> tuple[str, str]:
    """A figure's Markdown as its caption and the sections after it, without the title and the picture, which the page has already.

    Headings of sections become the fourth level, which is where they stand on the page.
    """
    lines = [line for line in text.splitlines() if not line.startswith(("# ", "!["))]
    start = next((place for place, line in enumerate(lines) if line.startswith("## ")), len(lines))
    sections = [f"##{line}" if line.startswith("## ") else line for line in lines[start:]]
    return "\n".join(lines[:start]).strip(), "\n".join(sections).strip()


def embedded(path: Path) -> tuple[str, int, int]:
    """A picture as (data address, width, height): a small PNG file as it is, others as WebP at most `WIDEST` pixels wide."""
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            if opened.format == "PNG" and len(data) <= SMALL:
                opened.load()
                return _address("png", data), opened.width, opened.height
            picture = opened.convert("RGB")
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise UserError(f"{path} is not a readable picture ({type(error).__name__}); make it again") from None
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)), Image.Resampling.LANCZOS)
    return webp(picture), picture.width, picture.height


def webp(picture: Image.Image) -> str:
    """A picture as the data address of a WebP file; the same pixels give the same text."""
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=88, method=3)
    return _address("webp", buffer.getvalue())


def png(codes: NDArray[np.uint8]) -> str:
    """One channel (H,W), exactly, as the data address of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(codes).save(buffer, format="PNG", compress_level=6)
    return _address("png", buffer.getvalue())


def _address(kind: str, encoded: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"
