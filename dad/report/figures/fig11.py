"""Fig. 11: the strips of Fig. 6 on unlabelled photos."""

from dad.report.figures.fig6 import NOTES as NOTES
from dad.report.figures.fig6 import strips
from dad.report.figures.job import Drawing, Job
from dad.report.pictures import photo_pictures
from dad.study.config import StudyConfig
from dad.study.figures import Needs, maps_of, other_methods, our_method
from dad.study.photos import manifest_name

TITLE = "Additional results on depth estimation in the wild"
CAPTION = "More maps of our student, and of other methods, on unlabelled photos."
TABLES = ("table4", "table5")
PHOTOS = 8


def needs(study: StudyConfig) -> Needs:
    """Every method's weights, and the training photos."""
    return maps_of((*other_methods(study), our_method(study)), manifest=manifest_name(study.photos))


def draw(job: Job) -> Drawing:
    """Photo and the map of every method."""
    return strips(job, photo_pictures(job.manifest, PHOTOS), "the photos in the training set's order")
