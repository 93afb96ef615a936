"""What was scored, to look at: a picture per image with photo, truth, aligned prediction and where it errs."""

import math
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dad.errors import UserError
from dad.evaluation.evaluate import Scored
from dad.report.colour import colourise, shaded, shrunk, smaller
from dad.report.grid import WORST, Grid, Tile
from dad.report.pictures import aligned_disparity, relative_error
from dad.report.style import save_png, styled

LARGEST = 330
"""Longest side in pixels at which a map is drawn: about what it gets in the picture."""
SPARSE = 0.1
"""Share of scored pixels below which truth and error are drawn at half this size, so that single points are seen."""

NAMES = {"abs_rel": "AbsRel", "delta1": "δ1", "rmse": "RMSE", "silog": "SILog", "boundary_f1": "boundary F1"}


class ScorePreviews:
    """Draws some of the images that `dad.evaluation.evaluate.evaluate` scores; to be given to it as `on_scored`.

    count: how many images of each data set, spread evenly over it; all where it has fewer. The place of one that could
    not be scored is taken by the next. Written are FOLDER/<data set>/<id of the image, with the suffix .png>, each
    whole or not at all, with the same bytes for the same input.
    """

    def __init__(self, folder: Path, *, count: int = 8) -> None:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"previews go to a folder, {folder} is a file")
        self.folder, self.count = folder, count
        self._drawn: Counter[str] = Counter()

    def __call__(self, scored: Scored) -> None:
        """Draw the image if it is the turn of one."""
        due = math.ceil((scored.index + 1) * self.count / scored.total)
        if self._drawn[scored.dataset] < due:
            self._drawn[scored.dataset] += 1
            draw_scored(scored, preview_path(self.folder, scored.dataset, scored.sample.id))


def preview_path(folder: Path, dataset: str, image: str) -> Path:
    """Where the picture of an image lies: the image's own path, kept inside the folder."""
    parts = ["up" if part == ".." else part for part in PurePosixPath(image).parts if part != "/"]
    return folder / dataset / PurePosixPath(*parts).with_suffix(".png")


def draw_scored(scored: Scored, path: Path) -> None:
    """Write one picture: photo | truth | aligned prediction | absolute relative error, with the numbers below.

    Truth and prediction are drawn as disparity on one colour scale, the truth's. Grey is what is not scored, or, in the
    prediction, not finite. The error is that of the protocol: of disparity where it scores disparity.
    """
    columns = [(name, [Tile(pixels)]) for name, pixels in panels_of(scored).items()]
    with styled():
        grid = Grid([], columns, title=f"{scored.dataset}  {scored.sample.id}", tile=2.9, foot=0.75)
        grid.key("the truth's scale", column=1)
        grid.error_key("", column=3)
        grid.text(0.1, 0.15, caption_of(scored), fontsize=9)
        save_png(grid.figure, path, dpi=120)


def panels_of(scored: Scored) -> dict[str, NDArray[np.uint8]]:
    """Title -> picture (H,W,3), none longer than LARGEST."""
    fitted = scored.fitted
    with np.errstate(divide="ignore", invalid="ignore"):
        truth = np.where(fitted.mask, 1 / fitted.depth.astype(np.float64), np.nan)
    largest = LARGEST if fitted.mask.mean() >= SPARSE else LARGEST // 2
    shown = shrunk(truth, largest)
    return {
        "photo": smaller(scored.sample.rgb, LARGEST),
        "ground truth": colourise(shown),
        "prediction, aligned": colourise(shrunk(aligned_disparity(fitted), LARGEST), like=shown),
        "absolute relative error": shaded(shrunk(relative_error(fitted), largest) / WORST, "magma"),
    }


def caption_of(scored: Scored) -> str:
    """Model, protocol and numbers of one image."""
    row = scored.row
    numbers = [
        f"{label} {row[name]:.4g}" for name, label in NAMES.items() if row[name] is not None and np.isfinite(row[name])
    ]
    share = f"{row['n']} pixels scored ({row['n'] / scored.fitted.mask.size:.1%})"
    return "   ".join([scored.model, scored.fitted.rules.id, *numbers, share])
