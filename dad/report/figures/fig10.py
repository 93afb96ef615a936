"""Fig. 10: our student's maps as coloured points, in PLY files and seen from the side."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dad.evaluation.score import score_fitted
from dad.pointcloud import (
    FIELD_OF_VIEW,
    Camera,
    View,
    assumed_camera,
    filled_window,
    read_camera,
    relative_to_depth,
    splat,
    unproject,
    write_glb,
    write_ply,
)
from dad.report.figures.job import Drawing, Job, named
from dad.report.grid import Column, Content, Grid, Tile, map_tile
from dad.report.pictures import (
    SPARSE,
    Picture,
    aligned_depth,
    as_disparity,
    load_method,
    photo_pictures,
    pictures_of,
    predict,
    scene_depth,
)
from dad.study.config import StudyConfig
from dad.study.figures import Needs, all_sets, maps_of, our_method
from dad.study.photos import manifest_name

if TYPE_CHECKING:
    from dad.models.estimator import AnyEstimator

TITLE = "3D reconstruction"
CAPTION = "Point clouds of our student's maps, brought to true depth and unprojected."
TABLES = ("table4", "table5")
NOTES = """\
- Images, spread evenly by their number alone: {{ images }}. The points are in `{{ job.name }}/*.ply` and,
  for 3D viewers, `*.glb`, one file each.
- The paper aligns its maps with those of MoGe, which this project does not have: here scale and shift are fitted to the
  true depth under the protocol {{ job.protocol }}, and points without a truth (sky) are left out; where only a sensor's
  sparse points are known, those far from all of them.
- Where the camera is not known, a lens of {{ "%g" % lens }} degrees across the longer side is assumed. The views turn
  by 22 degrees around the median depth.
{% if assumed %}
- Photos have no truth: their points lie between {{ "%g" % ends[0] }} and {{ "%g" % ends[1] }} units, which is an
  assumption.
{% endif %}
"""
PHOTOS = 3
OF_SAMPLES = 2
"""Images of the real RGB-D pairs; of every other benchmark one is shown."""
NEAR, FAR = 1.0, 5.0
"""Assumed distances of the nearest and farthest point of a photo without truth."""
LEFT, RIGHT = View(-22, 8), View(22, 8)
RENDERED = 640
"""Longest side in pixels of a rendered view."""
SAME_SURFACE = 0.03
"""Relative step in depth between neighbouring pixels up to which they are drawn as one surface."""
LARGEST = 1024
"""Longest side in pixels of the map that points are made of."""
NEARBY = 0.03
"""Where the truth is sparse: how far from it there are points, as a share of the longer side."""


def needs(study: StudyConfig) -> Needs:
    """Our student's weights, images of all benchmarks, and real photos where the study has some."""
    manifest = manifest_name(study.photos) if study.photos.source == "folder" else None
    return maps_of((our_method(study),), datasets=all_sets(study), manifest=manifest)


@dataclass(frozen=True)
class Cloud:
    """A picture's map as points: depth (H,W), which pixels are points, the camera, and the numbers of its caption."""

    picture: Picture
    disparity: NDArray[np.floating]
    depth: NDArray[np.float64]
    mask: NDArray[np.bool_]
    camera: Camera
    numbers: dict[str, Any]

    def of(self, depth: NDArray[np.floating], mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Points (N,3) and colours (N,3) of a depth map (H,W) where the mask is true."""
        chosen = mask.ravel()
        return unproject(depth, self.camera)[chosen], self.picture.rgb.reshape(-1, 3)[chosen]

    @property
    def file(self) -> str:
        """Name of its PLY file."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", f"{self.picture.source}-{Path(self.picture.id).with_suffix('')}") + ".ply"


def draw(job: Job) -> Drawing:
    """Photo, map, two views of its points, one of the truth's; and the PLY and GLB files into OUT/fig10."""
    estimator = load_method(job.needs.method("ours"), job.layout)
    pictures = pictures_of(job.layout, job.needs.datasets, 1, of_samples=OF_SAMPLES)
    if job.needs.manifest:
        pictures += photo_pictures(job.manifest, PHOTOS)
    clouds = [cloud_of(job, picture, estimator) for picture in pictures]
    columns: list[Column] = [
        ("photo", [Tile(cloud.picture.rgb) for cloud in clouds]),
        ("our map", [map_tile(cloud.disparity) for cloud in clouds]),
        ("our points,\nfrom the left", [Tile(_seen(cloud, cloud.depth, cloud.mask, LEFT)) for cloud in clouds]),
        ("our points,\nfrom the right", [Tile(_seen(cloud, cloud.depth, cloud.mask, RIGHT)) for cloud in clouds]),
    ]
    known = [cloud.picture.depth is not None for cloud in clouds]
    if any(known):
        columns.append(("true points,\nfrom the right", [_true_points(cloud) for cloud in clouds]))
    grid = Grid([picture.place for picture in pictures], columns, title=job.title, tile=1.9)
    grid.key()
    facts = {"images": named(pictures), "lens": FIELD_OF_VIEW, "assumed": not all(known), "ends": (NEAR, FAR)}
    return Drawing(grid.figure, facts, write_points(job, clouds))


def _true_points(cloud: Cloud) -> Content:
    if cloud.picture.depth is None:
        return "no truth"
    return Tile(_seen(cloud, cloud.picture.depth, cloud.picture.mask, RIGHT))


def write_points(job: Job, clouds: list[Cloud]) -> list[dict[str, Any]]:
    """The PLY and GLB files of this figure and no others; returns a line of numbers per file."""
    folder = job.out / job.name
    for old in (*folder.glob("*.ply"), *folder.glob("*.glb")):
        old.unlink()  # of other pictures, when the study has changed
    numbers = []
    for cloud in clouds:
        points, colours = cloud.of(cloud.depth, cloud.mask)
        write_ply(folder / cloud.file, points, colours)
        write_glb((folder / cloud.file).with_suffix(".glb"), points, colours)
        ends = {"nearest": float(cloud.depth[cloud.mask].min()), "farthest": float(cloud.depth[cloud.mask].max())}
        numbers.append(
            {"file": cloud.file, "image": cloud.picture.id, **cloud.numbers, "points": str(len(points)), **ends}
        )
    return numbers


def cloud_of(job: Job, picture: Picture, estimator: "AnyEstimator") -> Cloud:
    """A map brought to true depth by the protocol's alignment, or to assumed distances where there is no truth."""
    camera, known = _camera(picture)
    numbers: dict[str, Any] = {"camera": "known" if known else "assumed"}
    if picture.depth is None:
        prediction = predict(estimator, picture.rgb)
        depth = relative_to_depth(prediction, estimator.kind, near=NEAR, far=FAR)
        numbers |= {"scale": "assumed", "abs_rel": float("nan")}
        return Cloud(picture, as_disparity(prediction, estimator.kind), depth, np.isfinite(depth), camera, numbers)
    fitted = picture.fitted(estimator, job.protocol)
    disparity, depth = as_disparity(fitted.prediction, fitted.kind), aligned_depth(fitted)
    numbers |= {"scale": "fitted to the truth", "abs_rel": score_fitted(fitted)["abs_rel"]}
    return _thinned(Cloud(picture, disparity, depth, _solid(picture), camera, numbers))


def _thinned(cloud: Cloud) -> Cloud:
    """Every second, third, ... row and column of a picture that has more than LARGEST of them."""
    step = -(-max(cloud.depth.shape) // LARGEST)
    few = (slice(None, None, step), slice(None, None, step))
    picture = cloud.picture
    picture = replace(picture, rgb=picture.rgb[few], depth=picture.depth[few], mask=picture.mask[few])
    maps = (cloud.disparity[few], cloud.depth[few], cloud.mask[few])
    return Cloud(picture, *maps, cloud.camera.scaled(1 / step), cloud.numbers)


def _solid(picture: Picture) -> NDArray[np.bool_]:
    """Which pixels (H,W) become points: those with a truth or, where it is sparse, near one. Sky never has any."""
    from scipy import ndimage

    if picture.mask.mean() >= SPARSE:
        return picture.mask
    exact = scene_depth(picture)
    if exact is not None:
        return exact > 0
    return ndimage.distance_transform_edt(~picture.mask) <= NEARBY * max(picture.mask.shape)


def _camera(picture: Picture) -> tuple[Camera, bool]:
    """A rendered scene's camera, or an assumed one; and whether it is known."""
    folder, _, name = picture.id.rpartition("rgb/")
    path = picture.root / folder / "camera" / Path(name).with_suffix(".json") if picture.root else None
    if path and name and path.is_file():
        return read_camera(path), True
    return assumed_camera(*picture.rgb.shape[:2]), False


def _seen(cloud: Cloud, depth: NDArray[np.floating], mask: NDArray[np.bool_], view: View) -> NDArray[np.uint8]:
    """A depth map's points from a view, in the photo's shape; ours decide pivot and window for the truth's too."""
    height, width = depth.shape
    factor = RENDERED / max(height, width)
    size = (round(height * factor), round(width * factor))
    pivot = float(np.median(cloud.depth[cloud.mask]))
    window = filled_window(
        cloud.of(cloud.depth, cloud.mask)[0], view, pivot=pivot, focal=cloud.camera.fx * factor, size=size
    )
    if mask.mean() < SPARSE:
        points, colours = cloud.of(depth, mask)
        return splat(points, colours, view, window, pivot=pivot, focal=cloud.camera.fx, thick=4)
    camera = cloud.camera.scaled(factor)
    rgb, mask = (_resized(values, size) for values in (cloud.picture.rgb, mask))
    finer = replace(cloud, picture=replace(cloud.picture, rgb=rgb), camera=camera)
    points, colours = finer.of(_refined(depth.astype(np.float32), size), mask)
    return splat(points, colours, view, window, pivot=pivot, focal=camera.fx)


def _refined(depth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A depth map at (H,W): interpolated on surfaces, nearest at edges, so that no point lies between two surfaces."""
    nearest, smooth = _resized(depth, size), _resized(depth, size, Image.Resampling.BILINEAR)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(smooth / nearest - 1) < SAME_SURFACE, smooth, nearest)


def _resized(values: NDArray, size: tuple[int, int], how: Image.Resampling = Image.Resampling.NEAREST) -> NDArray:
    """A map or picture at (H,W)."""
    return np.asarray(Image.fromarray(values).resize(size[::-1], how))
