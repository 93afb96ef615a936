"""Fig. 8: a student of the diffusion assistant beside one of the encoder-decoder teacher, with a detail of each."""

import math
from typing import Any

from dad.evaluation.detail import DepthEdges, detail_fitted
from dad.evaluation.fitting import Fitted
from dad.evaluation.score import score_fitted
from dad.report.figures.job import Drawing, Job, Outcome, better_on, named
from dad.report.grid import Grid, Tile, map_tile
from dad.report.pictures import as_disparity, cut, load_method, pictures_of, region_of, true_disparity
from dad.study.config import StudyConfig
from dad.study.figures import Needs, ablation_sets, all_sets, maps_of, method_in, what_model

TITLE = "Distilled generative models"
CAPTION = "A student of the diffusion model beside a student of the encoder-decoder teacher."
TABLES = ("table4",)
NOTES = """\
- Teacher: Depth Anything v2 ({{ teacher }}). Assistant: GenPercept ({{ assistant }}). Both students are trained alike
  but for whose maps are the labels.
- Images, spread evenly over each benchmark by their number alone: {{ images }}. The detail lies at one place in all of
  them, fixed beforehand.
- The numbers are of the whole images shown, under the protocol: AbsRel, AbsRel beside depth edges, and F1 of the depth
  edges. The scores over all images are in Table 4.
"""
ROLES = ("teacher-student", "assistant-student")
PICTURES = 2
"""Of each benchmark."""
DETAIL = ((0.35, 0.3), 0.4)
"""Its upper left corner (row, column) as a share of height and width, and its size as a share of both."""


def needs(study: StudyConfig) -> Needs:
    """The two students of Table 4 and images of the ablations' data sets."""
    methods = tuple(method_in(study, role, "table4", supervision=role) for role in ROLES)
    return maps_of(methods, datasets=ablation_sets(study) or all_sets(study))


def draw(job: Job) -> Drawing:
    """Photo and both maps whole, then the detail of photo, truth and both maps."""
    pictures = pictures_of(job.layout, job.needs.datasets, PICTURES)
    details = [(picture, region_of(picture.rgb.shape, *DETAIL)) for picture in pictures]
    wholes = [("photo", [Tile(picture.rgb, box=region) for picture, region in details])]
    close = [
        ("detail: photo", [Tile(cut(picture.rgb, region)) for picture, region in details]),
        ("true depth", [map_tile(cut(true_disparity(picture), region)) for picture, region in details]),
    ]
    numbers: list[dict[str, Any]] = []
    for method in job.needs.methods:
        estimator = load_method(method, job.layout)
        found = [picture.fitted(estimator, job.protocol) for picture in pictures]
        maps = [as_disparity(fitted.prediction, fitted.kind) for fitted in found]
        shown = [(one, region) for one, (_, region) in zip(maps, details, strict=True)]
        wholes.append((method.heading, [map_tile(one, box=region) for one, region in shown]))
        close.append((method.heading, [map_tile(cut(one, region)) for one, region in shown]))
        for picture, fitted in zip(pictures, found, strict=True):
            numbers.append({"method": method.role, "dataset": picture.source, "image": picture.id, **measured(fitted)})
    grid = Grid([picture.place for picture in pictures], [*wholes, *close], title=job.title, gaps={3: 0.16})
    grid.key("disparity, each map and each detail on a scale of its own")
    facts = {
        "teacher": what_model(job.study.teacher),
        "assistant": what_model(job.study.assistant.model),
        "images": named(pictures),
    }
    return Drawing(grid.figure, facts, numbers, outcomes(numbers))


def measured(fitted: Fitted) -> dict[str, float]:
    """The numbers of one image: over all of it, beside depth edges, and of the edges themselves."""
    edges = detail_fitted(fitted, DepthEdges(fitted.depth, fitted.labels))
    return {
        "abs_rel": score_fitted(fitted)["abs_rel"],
        **{name: edges[name] for name in ("edge_abs_rel", "boundary_f1")},
    }


def outcomes(numbers: list[dict[str, Any]]) -> list[Outcome]:
    """Whether the assistant's student has the finer details, as the paper says of its figure."""
    errors = [[line["edge_abs_rel"] for line in numbers if line["method"] == role] for role in ROLES]
    # an image without a depth edge says nothing about details
    pairs = [pair for pair in zip(*errors, strict=True) if all(map(math.isfinite, pair))]
    paper = "the student of the diffusion model predicts details better than the student of the encoder-decoder teacher"
    names = "of the teacher's student and of the assistant's"
    return better_on(paper, pairs, things="images shown", measure="AbsRel beside depth edges", names=names)
