"""Fig. 5: what a teacher makes of a region when it sees the whole image, and when it sees the region alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dad.evaluation.fitting import fit_image
from dad.evaluation.score import score_fitted
from dad.report.colour import colourise
from dad.report.figures.job import Drawing, Job, Outcome, better_on, method_title
from dad.report.figures.methods import Method, Needs, maps_of
from dad.report.grid import Tile, picture_grid
from dad.report.pictures import Picture, as_disparity, photo_pictures, predict, scene_depth
from dad.study.config import StudyConfig
from dad.study.photos import manifest_name

if TYPE_CHECKING:
    from dad.models.estimator import AnyEstimator

TITLE = "Different inputs lead to different pseudo-labels"
CAPTION = (
    "Global depth: the teacher sees the whole image, and the region is cut out of its map. Local depth: the teacher sees the "
    "region."
)
TABLES = ()
NOTES = """\
- {{ teacher }} with inputs of {{ study.crop.size }} pixels, on photos {{ photos }}: evenly spaced in the training set's order. The
  regions, a third of the photo in width and height, are at places fixed beforehand.
- The region alone fills the teacher's input, so it is seen three times as large as in the whole photo.
{% if rendered %}
- The photos are rendered, so their true depth is known (training never reads it). The numbers are of the region, each map fitted to
  the truth of the region alone under the protocol {{ job.protocol }}.
{% endif %}
"""
PHOTOS = 3
REGION = ((1 / 3, 1 / 3), (1 / 3, 3 / 5), (1 / 4, 1 / 2))
"""Per row the upper left corner of the region as a share of height and width: three places, so that not all show the same."""
SIZE = 1 / 3
"""The region's side as a share of the photo's."""


def needs(study: StudyConfig) -> Needs:
    """The teacher and the training photos."""
    return maps_of((Method("teacher", "table4", "teacher", model=study.teacher),), manifest=manifest_name(study.photos))


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


def both_inputs(teacher: "AnyEstimator", picture: Picture, corner: tuple[float, float]) -> Inputs:
    """The teacher on the whole photo and on its region."""
    x0, y0, x1, y1 = box = region_of(picture.rgb.shape, corner)
    whole = predict(teacher, picture.rgb)
    return Inputs(picture, box, whole, predict(teacher, np.ascontiguousarray(picture.rgb[y0:y1, x0:x1])))


def draw(job: Job) -> Drawing:
    """A row per photo: photo and global depth whole, then the region magnified: photo, global depth, local depth, true depth."""
    from dad.models.estimator import load

    teacher = load(job.study.teacher, short_side=job.study.crop.size)
    pictures = photo_pictures(job.layout.root / job.needs.manifest, PHOTOS, largest=None)
    rows = [both_inputs(teacher, picture, corner) for picture, corner in zip(pictures, REGION, strict=False)]
    depths = [scene_depth(row.picture) for row in rows]
    rendered = any(depth is not None for depth in depths)
    wholes = [as_disparity(row.whole, teacher.kind) for row in rows]
    columns = [
        ("photo", [Tile(row.picture.rgb, row.box) for row in rows]),
        ("global depth", [Tile(colourise(whole), row.box) for whole, row in zip(wholes, rows, strict=True)]),
        ("the region", [Tile(row.cut(row.picture.rgb)) for row in rows]),
        ("global depth,\ncut out", [Tile(colourise(row.cut(whole))) for whole, row in zip(wholes, rows, strict=True)]),
        ("local depth", [Tile(colourise(as_disparity(row.local, teacher.kind))) for row in rows]),
    ]
    numbers: list[dict[str, Any]] = []
    if rendered:
        columns.append(("true depth", [true_tile(row, depth) for row, depth in zip(rows, depths, strict=True)]))
        for row, depth in zip(rows, depths, strict=True):
            numbers += measured(job, teacher.kind, row, depth) if depth is not None else []
    names = [f"photo {index}" for index in range(1, len(rows) + 1)]
    grid = picture_grid(names, columns, title=job.title, tile=1.7, gaps={2: 0.14})
    facts = {
        "teacher": method_title(job.needs.methods[0]),
        "photos": ", ".join(f"`{row.picture.id}`" for row in rows),
        "rendered": rendered,
    }
    return Drawing(grid.figure, facts, numbers, outcomes(numbers))


def true_tile(row: Inputs, depth: NDArray[np.float32] | None) -> Tile:
    """The region's true map, where it is known."""
    if depth is None:
        return Tile(None, words="no truth")
    with np.errstate(divide="ignore"):
        return Tile(colourise(row.cut(np.where(depth > 0, 1 / depth, np.nan))))


def measured(job: Job, kind: str, row: Inputs, depth: NDArray[np.float32]) -> list[dict[str, Any]]:
    """AbsRel and delta1 of the region from both inputs."""
    truth = row.cut(depth)
    lines = []
    for name, values in (("global depth", row.cut(row.whole)), ("local depth", row.local)):
        fitted = fit_image(np.ascontiguousarray(values), truth, truth > 0, kind=kind, protocol=job.protocol)
        scores = score_fitted(fitted)
        lines.append({"photo": row.picture.id, "input": name, "abs_rel": scores["abs_rel"], "delta1": scores["delta1"]})
    return lines


def outcomes(numbers: list[dict[str, Any]]) -> list[Outcome]:
    """Whether the region alone gives the better label, as the paper's figure shows."""
    pairs = [(whole["abs_rel"], local["abs_rel"]) for whole, local in zip(numbers[::2], numbers[1::2], strict=True)]
    paper = "the local depth is the better label of the region"
    return better_on(paper, pairs, things="photos", measure="AbsRel of the region", names="cut out and local")
