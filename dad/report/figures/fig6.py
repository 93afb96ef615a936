"""Fig. 6: a row per benchmark image, a column per method."""

from collections.abc import Sequence

from dad.report.figures.job import Drawing, Job, named
from dad.report.grid import Grid, Tile, map_tile
from dad.report.pictures import Picture, load_method, own_map, pictures_of
from dad.study.config import StudyConfig
from dad.study.figures import ESTIMATORS, TITLES, Needs, all_sets, maps_of, other_methods, our_method

TITLE = "Qualitative comparison of relative depth estimations"
CAPTION = "Maps of our student beside those of other methods."
TABLES = ("table4", "table5")
NOTES = """\
- Ours is the student of row `{{ ours.row.name }}` of {{ ours.row.table }}.
- Images, spread evenly over {{ where }} by their number alone: {{ images }}.
- Disparity, each map with its own 2nd and 98th percentile as the ends of the scale, so that scale and shift do not
  show.
{% if absent %}
- Not shown, because the study names no model of it: {{ absent|join(", ") }}.
{% endif %}
{% if rendered %}
- The photos are rendered scenes of the training set: this study has no real ones.
{% endif %}
"""
OF_SAMPLES = 4
"""Images of the real RGB-D pairs; of every other benchmark one is shown."""


def needs(study: StudyConfig) -> Needs:
    """Every method's weights, and images of all benchmarks."""
    return maps_of((*other_methods(study), our_method(study)), datasets=all_sets(study))


def draw(job: Job) -> Drawing:
    """Photo, truth, and the map of every method."""
    pictures = pictures_of(job.layout, job.needs.datasets, 1, of_samples=OF_SAMPLES)
    return strips(job, pictures, "each benchmark")


def strips(job: Job, pictures: Sequence[Picture], where: str) -> Drawing:
    """Pictures, their truth where there is one, and the map of every method of the job; with the facts for NOTES."""
    labelled = pictures[0].depth is not None
    columns = [("photo", [Tile(picture.rgb) for picture in pictures])]
    if labelled:
        columns.append(("true depth", [map_tile(picture.drawn_truth) for picture in pictures]))
    for method in job.needs.methods:
        estimator = load_method(method, job.layout)  # one in memory at a time
        columns.append((method.heading, [own_map(estimator, picture) for picture in pictures]))
    grid = Grid(
        [picture.place if labelled else f"photo {i}" for i, picture in enumerate(pictures, 1)], columns, title=job.title
    )
    grid.key()
    facts = {
        "ours": job.needs.method("ours"),
        "where": where,
        "images": named(pictures),
        "absent": [TITLES[role] for role in ESTIMATORS if job.needs.method(role) is None],
        "rendered": not labelled and job.study.photos.source == "scenes",
    }
    return Drawing(grid.figure, facts)
