"""Fig. 8: a student of the diffusion assistant beside a student of the encoder-decoder teacher, with a detail of each."""

from typing import Any

import numpy as np

from dad.evaluation.detail import DepthEdges, detail_fitted
from dad.evaluation.score import score_fitted
from dad.report.colour import colourise
from dad.report.datasets import benchmark_of
from dad.report.paper_figures.job import Drawing, Job, method_title, model_title
from dad.report.paper_figures.pictures import (
    Picture,
    as_disparity,
    benchmark_pictures,
    load_method,
    predict,
    true_disparity,
)
from dad.report.paper_figures.sheet import Sheet, outline, row_heights

PICTURES = 2
"""Of each benchmark."""
BOX = (0.35, 0.3, 0.4)
"""The detail: its upper left corner (row, column) as a share of height and width, and its size as a share of both."""


def detail_box(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The detail of an image of this (H,W,...) shape as x0, y0, x1, y1 pixels."""
    height, width = shape[:2]
    y, x = round(BOX[0] * height), round(BOX[1] * width)
    return x, y, x + round(BOX[2] * width), y + round(BOX[2] * height)


def draw(job: Job) -> Drawing:
    """Photo and both maps whole, then the detail of photo, truth and both maps."""
    pictures: list[Picture] = []
    for dataset in job.needs.datasets:
        pictures += benchmark_pictures(benchmark_of(job.study, job.root, dataset), PICTURES)
    names = [method_title(method) for method in job.needs.methods]
    columns = ["photo", *names, "detail: photo", "true depth", *names]
    heights = row_heights([picture.rgb.shape for picture in pictures])
    sheet = Sheet(heights, columns, title=job.title, tile=1.5, column_gaps={3: 0.16}, foot=0.38)
    for row, picture in enumerate(pictures):
        x0, y0, x1, y1 = box = detail_box(picture.rgb.shape)
        outline(sheet.show(row, 0, picture.rgb), box)
        sheet.show(row, 3, picture.rgb[y0:y1, x0:x1])
        sheet.show(row, 4, colourise(true_disparity(picture)[y0:y1, x0:x1]))
        sheet.row_title(row, picture.source)
    numbers: list[dict[str, Any]] = []
    for column, method in enumerate(job.needs.methods, start=1):
        estimator = load_method(method, job.root)
        for row, picture in enumerate(pictures):
            x0, y0, x1, y1 = box = detail_box(picture.rgb.shape)
            prediction = predict(estimator, picture.rgb)
            disparity = as_disparity(prediction, estimator.kind)
            outline(sheet.show(row, column, colourise(disparity)), box)
            sheet.show(row, column + 4, colourise(disparity[y0:y1, x0:x1]))
            numbers.append({"method": method.role, **_measured(job, picture, prediction, estimator.kind)})
    sheet.colour_key("each map and each detail on a scale of its own")
    shown = ", ".join(f"{picture.source} `{picture.id}`" for picture in pictures)
    study = job.study
    notes = [
        f"Teacher: {model_title('Depth Anything v2', study.teacher)}. Assistant: "
        f"{model_title('GenPercept', study.assistant.model)}. Both students are trained alike but for whose maps are the labels.",
        f"Images, spread evenly over each benchmark by their number alone: {shown}. The detail lies at one place in all of them, "
        "fixed beforehand.",
        "The numbers are of the whole images shown, under the protocol: AbsRel, AbsRel beside depth edges, and F1 of the depth "
        "edges. The scores over all images are in Table 4.",
    ]
    return Drawing(sheet.figure, notes, numbers)


def _measured(job: Job, picture: Picture, prediction: np.ndarray, kind: str) -> dict[str, Any]:
    fitted = picture.fit(prediction, kind, job.protocol)
    detail = detail_fitted(fitted, DepthEdges(fitted.depth, fitted.labels))
    numbers = {
        "abs_rel": score_fitted(fitted)["abs_rel"],
        "edge_abs_rel": detail["edge_abs_rel"],
        "boundary_f1": detail["boundary_f1"],
    }
    return {"dataset": picture.source, "image": picture.id, **numbers}
