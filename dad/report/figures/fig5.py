"""Fig. 5: what a teacher makes of a region when it sees the whole image, and when it sees the region alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dad.evaluation.fitting import fit_image
from dad.evaluation.score import score_fitted
from dad.report.figures.job import Drawing, Job, Outcome, better_on
from dad.report.grid import Content, Grid, Tile, map_tile
from dad.report.pictures import (
    Picture,
    Region,
    as_disparity,
    cut,
    photo_pictures,
    predict,
    region_of,
    true_disparity,
    with_exact_depth,
)
from dad.study.figures import teacher_on_photos

TITLE = "Different inputs lead to different pseudo-labels"
CAPTION = (
    "Global depth: the teacher sees the whole image, and the region is cut out of its map. Local depth: the teacher "
    "sees the region."
)
TABLES = ()
NOTES = """\
- {{ teacher }} with inputs of {{ study.crop.size }} pixels, on photos {{ photos }}: evenly spaced in the training set's
  order. The regions, a third of the photo in width and height, are at places fixed beforehand.
- The region alone fills the teacher's input, so it is seen three times as large as in the whole photo.
{% if rendered %}
- The photos are rendered, so their true depth is known (training never reads it). The numbers are of the region, each
  map fitted to the truth of the region alone under the protocol {{ job.protocol }}.
{% endif %}
"""
PHOTOS = 3
REGION = ((1 / 3, 1 / 3), (1 / 3, 3 / 5), (1 / 4, 1 / 2))
"""Per row the region's upper left corner as shares of height and width: three places, so that not all show the same."""
SIZE = 1 / 3
"""The region's side as a share of the photo's."""
COLUMNS = ("photo", "global depth", "the region", "global depth,\ncut out", "local depth", "true depth")


needs = teacher_on_photos


def draw(job: Job) -> Drawing:
    """A row per photo: photo and global depth whole, then the region magnified: photo, global, local and true depth."""
    from dad.models.estimator import load

    teacher = load(job.study.teacher, short_side=job.study.crop.size)
    pictures = [with_exact_depth(picture) for picture in photo_pictures(job.manifest, PHOTOS, largest=None)]
    rows: list[list[Content]] = []
    numbers: list[dict[str, Any]] = []
    for picture, corner in zip(pictures, REGION, strict=False):
        region = region_of(picture.rgb.shape, corner, SIZE)
        alone = cut(picture.rgb, region)
        whole, local = predict(teacher, picture.rgb), predict(teacher, alone)
        seen = as_disparity(whole, teacher.kind)
        row = [Tile(picture.rgb, box=region), map_tile(seen, box=region), Tile(alone), map_tile(cut(seen, region))]
        truth = map_tile(cut(true_disparity(picture), region)) if picture.labelled else "no truth"
        rows.append([*row, map_tile(as_disparity(local, teacher.kind)), truth])
        if picture.labelled:
            for name, values in (("global depth", cut(whole, region)), ("local depth", local)):
                numbers.append(
                    {"photo": picture.id, "input": name, **measured(job, picture, region, values, teacher.kind)}
                )
    columns = list(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    names = [f"photo {index}" for index in range(1, len(rows) + 1)]
    grid = Grid(names, columns if numbers else columns[:-1], title=job.title, tile=1.7, gaps={2: 0.14})
    grid.key()
    facts = {
        "teacher": job.needs.methods[0].title,
        "photos": ", ".join(f"`{picture.id}`" for picture in pictures),
        "rendered": bool(numbers),
    }
    return Drawing(grid.figure, facts, numbers, outcomes(numbers))


def measured(job: Job, picture: Picture, region: Region, values: NDArray[np.float32], kind: str) -> dict[str, float]:
    """AbsRel and delta1 of a map of the region, fitted to the truth of the region alone."""
    truth, mask = cut(picture.depth, region), cut(picture.mask, region)
    scores = score_fitted(fit_image(values, truth, mask, kind=kind, protocol=job.protocol))
    return {name: scores[name] for name in ("abs_rel", "delta1")}


def outcomes(numbers: list[dict[str, Any]]) -> list[Outcome]:
    """Whether the region alone gives the better label, as the paper's figure shows."""
    pairs = [(whole["abs_rel"], local["abs_rel"]) for whole, local in zip(numbers[::2], numbers[1::2], strict=True)]
    paper = "the local depth is the better label of the region"
    return better_on(paper, pairs, things="photos", measure="AbsRel of the region", names="cut out and local")
