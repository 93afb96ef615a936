"""Fig. 6 and 11: a row per image, a column per method."""

import numpy as np
from numpy.typing import NDArray

from dad.models.estimator import AnyEstimator
from dad.report.colour import colourise
from dad.report.datasets import benchmark_of
from dad.report.paper_figures.job import Drawing, Job, method_title
from dad.report.paper_figures.pictures import (
    Picture,
    as_disparity,
    benchmark_pictures,
    load_method,
    photo_pictures,
    predict,
    true_disparity,
)
from dad.report.paper_figures.sheet import Sheet, row_heights
from dad.study.figures import Method

PHOTOS = 8
OF_SAMPLES = 4
"""Images of the real RGB-D pairs; of every other benchmark one is shown."""


def draw(job: Job) -> Drawing:
    """Photo, truth where there is one, and the map of every method."""
    pictures = list(pictures_of(job))
    labelled = any(picture.depth is not None for picture in pictures)
    columns = ["photo"] + ["true depth"] * labelled + [method_title(method) for method in job.needs.methods]
    sheet = Sheet(row_heights([picture.rgb.shape for picture in pictures]), columns, title=job.title, tile=1.5, foot=0.38)
    for row, picture in enumerate(pictures):
        sheet.show(row, 0, picture.rgb)
        if picture.depth is not None:
            sheet.show(row, 1, colourise(true_disparity(picture)))
        sheet.row_title(row, picture.source if labelled else f"photo {row + 1}")
    for column, method in enumerate(job.needs.methods, start=1 + labelled):
        estimator = load_method(method, job.root)  # one in memory at a time
        for row, picture in enumerate(pictures):
            sheet.show(row, column, coloured_map(estimator, picture.rgb))
    sheet.colour_key()
    return Drawing(sheet.figure, _notes(job, pictures))


def pictures_of(job: Job) -> list[Picture]:
    """The benchmarks' images, or the photos."""
    if job.needs.manifest:
        return photo_pictures(job.root, job.needs.manifest, PHOTOS)
    found = []
    for dataset in job.needs.datasets:
        benchmark = benchmark_of(job.study, job.root, dataset)
        found += benchmark_pictures(benchmark, OF_SAMPLES if dataset == "samples" else 1)
    return found


def coloured_map(estimator: AnyEstimator, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What an estimator makes of an image, coloured (H,W,3)."""
    return colourise(as_disparity(predict(estimator, rgb), estimator.kind))


def _notes(job: Job, pictures: list[Picture]) -> list[str]:
    ours = job.needs.method("ours")
    where = "the photos in the training set's order" if job.needs.manifest else "each benchmark"
    names = ", ".join(f"{picture.source} `{picture.id}`" for picture in pictures)
    notes = [
        f"Ours is the student of row `{ours.row}` of {ours.table}.",
        f"Images, spread evenly over {where} by their number alone: {names}.",
        "Disparity, each map with its own 2nd and 98th percentile as the ends of the scale, so that scale and shift do not show.",
    ]
    if absent := _absent(job.needs.methods):
        notes.append(f"Not shown, because the study names no model of it: {', '.join(absent)}.")
    rendered = job.needs.manifest and job.study.photos.source == "scenes"
    return [*notes, "The photos are rendered scenes of the training set: this study has no real ones."] if rendered else notes


def _absent(methods: tuple[Method, ...]) -> list[str]:
    names = {"midas": "MiDaS v3.1", "teacher": "Depth Anything v2", "assistant": "GenPercept", "marigold": "Marigold"}
    return [name for role, name in names.items() if role not in {method.role for method in methods}]
