"""Fig. 5: what a teacher makes of a region when it sees the whole image, and when it sees the region alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dad.evaluation.fitting import fit_image
from dad.evaluation.score import score_fitted
from dad.models.estimator import AnyEstimator, load
from dad.report.colour import colourise
from dad.report.paper_figures.job import Drawing, Job, method_title
from dad.report.paper_figures.pictures import Picture, as_disparity, photo_pictures, predict, scene_depth
from dad.report.paper_figures.sheet import Sheet, outline, row_heights

PHOTOS = 3
REGION = ((1 / 3, 1 / 3), (1 / 3, 3 / 5), (1 / 4, 1 / 2))
"""Per row the upper left corner of the region as a share of height and width: three places, so that not all show the same."""
SIZE = 1 / 3
"""The region's side as a share of the photo's."""


@dataclass(frozen=True)
class Inputs:
    """A photo, its region as x0, y0, x1, y1 pixels, the teacher's map (H,W) of the whole, and its map (h,w) of the region."""

    picture: Picture
    box: tuple[int, int, int, int]
    whole: NDArray[np.float32]
    local: NDArray[np.float32]

    def cut(self, values: NDArray) -> NDArray:
        """The region of a map or picture of the whole photo."""
        x0, y0, x1, y1 = self.box
        return values[y0:y1, x0:x1]


def region_of(shape: tuple[int, ...], corner: tuple[float, float]) -> tuple[int, int, int, int]:
    """The region of a photo of this (H,W,...) shape as x0, y0, x1, y1."""
    height, width = shape[:2]
    y, x = round(corner[0] * height), round(corner[1] * width)
    return x, y, min(x + round(SIZE * width), width), min(y + round(SIZE * height), height)


def both_inputs(teacher: AnyEstimator, picture: Picture, corner: tuple[float, float]) -> Inputs:
    """The teacher on the whole photo and on its region."""
    x0, y0, x1, y1 = box = region_of(picture.rgb.shape, corner)
    whole = predict(teacher, picture.rgb)
    return Inputs(picture, box, whole, predict(teacher, np.ascontiguousarray(picture.rgb[y0:y1, x0:x1])))


def draw(job: Job) -> Drawing:
    """A row per photo: photo and global depth whole, then the region magnified: photo, global depth, local depth, true depth."""
    teacher = load(job.study.teacher, short_side=job.study.crop.size)
    pictures = photo_pictures(job.root, job.needs.manifest, PHOTOS, largest=None)
    rows = [both_inputs(teacher, picture, corner) for picture, corner in zip(pictures, REGION, strict=False)]
    depths = [scene_depth(row.picture) for row in rows]
    rendered = any(depth is not None for depth in depths)
    columns = ["photo", "global depth", "the region", "global depth,\ncut out", "local depth"] + ["true depth"] * rendered
    sheet = Sheet(
        row_heights([row.picture.rgb.shape for row in rows]), columns, title=job.title, tile=1.7, column_gaps={2: 0.14}, foot=0.38
    )
    numbers = []
    for index, (row, depth) in enumerate(zip(rows, depths, strict=True)):
        whole = as_disparity(row.whole, teacher.kind)
        outline(sheet.show(index, 0, row.picture.rgb), row.box)
        outline(sheet.show(index, 1, colourise(whole)), row.box)
        tiles = [row.cut(row.picture.rgb), colourise(row.cut(whole)), colourise(as_disparity(row.local, teacher.kind))]
        for column, pixels in enumerate(tiles, start=2):
            sheet.show(index, column, pixels)
        if depth is not None:
            with np.errstate(divide="ignore"):
                sheet.show(index, 5, colourise(row.cut(np.where(depth > 0, 1 / depth, np.nan))))
            numbers += _numbers(job, teacher, row, depth)
        sheet.row_title(index, f"photo {index + 1}")
    sheet.colour_key()
    names = ", ".join(f"`{row.picture.id}`" for row in rows)
    notes = [
        f"{method_title(job.needs.methods[0], lines=False)} with inputs of {job.study.crop.size} pixels, on photos {names}: evenly "
        "spaced in the training set's order. The regions, a third of the photo in width and height, are at places fixed "
        "beforehand.",
        "The region alone fills the teacher's input, so it is seen three times as large as in the whole photo.",
    ]
    if rendered:
        notes.append(
            "The photos are rendered, so their true depth is known (training never reads it). The numbers are of the region, each "
            f"map fitted to the truth of the region alone under the protocol {job.protocol}."
        )
    return Drawing(sheet.figure, notes, numbers)


def _numbers(job: Job, teacher: AnyEstimator, row: Inputs, depth: NDArray[np.float32]) -> list[dict[str, object]]:
    """AbsRel and delta1 of the region from both inputs."""
    truth = row.cut(depth)
    lines = []
    for name, values in (("global depth", row.cut(row.whole)), ("local depth", row.local)):
        fitted = fit_image(np.ascontiguousarray(values), truth, truth > 0, kind=teacher.kind, protocol=job.protocol)
        measured = score_fitted(fitted)
        line = {"photo": row.picture.id, "input": name, "abs_rel": measured["abs_rel"], "delta1": measured["delta1"]}
        lines.append(line)
    return lines
