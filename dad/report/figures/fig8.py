"""Fig. 8: a student of the diffusion assistant beside a student of the encoder-decoder teacher, with a detail of each."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dad.evaluation.detail import DepthEdges, detail_fitted
from dad.evaluation.score import score_fitted
from dad.report.colour import colourise
from dad.report.figures.job import Drawing, Job, Outcome, better_on, column_title, what_model
from dad.report.figures.methods import Needs, ablation_sets, all_sets, maps_of, method_in
from dad.report.grid import DRAWN, Tile, picture_grid
from dad.report.pictures import Picture, as_disparity, load_method, pictures_of, predict, shrunk, true_disparity
from dad.study.config import StudyConfig

TITLE = "Distilled generative models"
CAPTION = "A student of the diffusion model beside a student of the encoder-decoder teacher."
TABLES = ("table4",)
NOTES = """\
- Teacher: Depth Anything v2 ({{ teacher }}). Assistant: GenPercept ({{ assistant }}). Both students are trained alike but for whose
  maps are the labels.
- Images, spread evenly over each benchmark by their number alone: {{ images }}. The detail lies at one place in all of them, fixed
  beforehand.
- The numbers are of the whole images shown, under the protocol: AbsRel, AbsRel beside depth edges, and F1 of the depth edges. The
  scores over all images are in Table 4.
"""
ROLES = ("teacher-student", "assistant-student")
PICTURES = 2
"""Of each benchmark."""
BOX = (0.35, 0.3, 0.4)
"""The detail: its upper left corner (row, column) as a share of height and width, and its size as a share of both."""


def needs(study: StudyConfig) -> Needs:
    """The two students of Table 4 and images of the ablations' data sets."""
    methods = tuple(method_in(study, role, "table4", supervision=role) for role in ROLES)
    return maps_of(methods, datasets=ablation_sets(study) or all_sets(study))


def detail_box(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The detail of an image of this (H,W,...) shape as x0, y0, x1, y1 pixels."""
    height, width = shape[:2]
    y, x = round(BOX[0] * height), round(BOX[1] * width)
    return x, y, x + round(BOX[2] * width), y + round(BOX[2] * height)


def detail(values: NDArray) -> NDArray:
    """The detail of a map or picture."""
    x0, y0, x1, y1 = detail_box(values.shape)
    return values[y0:y1, x0:x1]


def draw(job: Job) -> Drawing:
    """Photo and both maps whole, then the detail of photo, truth and both maps."""
    pictures = pictures_of(job.study, job.layout, job.needs.datasets, PICTURES)
    boxes = [detail_box(picture.rgb.shape) for picture in pictures]
    wholes = [("photo", [Tile(picture.rgb, box) for picture, box in zip(pictures, boxes, strict=True)])]
    details = [
        ("detail: photo", [Tile(detail(picture.rgb)) for picture in pictures]),
        ("true depth", [Tile(colourise(shrunk(detail(true_disparity(picture)), DRAWN))) for picture in pictures]),
    ]
    numbers: list[dict[str, Any]] = []
    for method in job.needs.methods:
        estimator = load_method(method, job.layout)
        maps = [predict(estimator, picture.rgb) for picture in pictures]
        shown = [as_disparity(one, estimator.kind) for one in maps]
        wholes.append((column_title(method), [Tile(colourise(one), box) for one, box in zip(shown, boxes, strict=True)]))
        details.append((column_title(method), [Tile(colourise(detail(one))) for one in shown]))
        for picture, one in zip(pictures, maps, strict=True):
            numbers.append({"method": method.role, **measured(job, picture, one, estimator.kind)})
    rows = [picture.place for picture in pictures]
    key = "each map and each detail on a scale of its own"
    grid = picture_grid(rows, [*wholes, *details], title=job.title, gaps={3: 0.16}, key=key)
    facts = {
        "teacher": what_model(job.study.teacher),
        "assistant": what_model(job.study.assistant.model),
        "images": ", ".join(f"{picture.place} `{picture.id}`" for picture in pictures),
    }
    return Drawing(grid.figure, facts, numbers, outcomes(numbers))


def outcomes(numbers: list[dict[str, Any]]) -> list[Outcome]:
    """Whether the assistant's student has the finer details, as the paper says of its figure."""
    errors = [[line["edge_abs_rel"] for line in numbers if line["method"] == role] for role in ROLES]
    # an image without a depth edge says nothing about details
    pairs = [pair for pair in zip(*errors, strict=True) if all(map(math.isfinite, pair))]
    paper = "the student of the diffusion model predicts details better than the student of the encoder-decoder teacher"
    names = "of the teacher's student and of the assistant's"
    return better_on(paper, pairs, things="images shown", measure="AbsRel beside depth edges", names=names)


def measured(job: Job, picture: Picture, prediction: NDArray[np.float32], kind: str) -> dict[str, Any]:
    """The numbers of one image: over all of it, beside depth edges, and of the edges themselves."""
    fitted = picture.fit(prediction, kind, job.protocol)
    edges = detail_fitted(fitted, DepthEdges(fitted.depth, fitted.labels))
    return {
        "dataset": picture.source,
        "image": picture.id,
        "abs_rel": score_fitted(fitted)["abs_rel"],
        "edge_abs_rel": edges["edge_abs_rel"],
        "boundary_f1": edges["boundary_f1"],
    }
