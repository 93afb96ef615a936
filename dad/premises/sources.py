"""Photos to measure premises on: a study's own, rendered with exact depth, its RGB-D pairs, or photos without depth."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dad.data.benchmarks import open_benchmark
from dad.data.manifest import find_photos, inspect_all
from dad.data.photos import Photos
from dad.data.scenes import render_scene
from dad.errors import UserError
from dad.study.config import ScenePhotos, StudyConfig


@dataclass(frozen=True)
class Picture:
    """A photo: id, rgb uint8 (H,W,3), depth float32 (H,W), 0 where there is none; None where nothing is known of it."""

    id: str
    rgb: np.ndarray
    depth: np.ndarray | None


def pictures(study: StudyConfig, count: int) -> Iterator[Picture]:
    """The first `count` photos of a study: rendered as the study renders them, or its pairs with depth and then its
    photos.

    A photo whose short side is below `crop.min_crop` is left out. Raises UserError where none is left.
    """
    found = 0
    for picture in _rendered(study.photos, count) if isinstance(study.photos, ScenePhotos) else _own(study, count):
        if min(picture.rgb.shape[:2]) >= study.crop.min_crop:
            found += 1
            yield picture
            if found == count:
                return
    if not found:
        raise UserError(
            f"no photo of the study {study.name} is large enough for crop.min_crop {study.crop.min_crop}: lower it, or "
            "give others"
        )


def _rendered(photos: ScenePhotos, count: int) -> Iterator[Picture]:
    for number in range(min(count, photos.count)):
        kind, seed = photos.kinds[number % len(photos.kinds)], photos.seed + number // len(photos.kinds)
        scene = render_scene(kind, seed, height=photos.height, width=photos.width, style=photos.style)
        yield Picture(f"{kind}-{seed}", scene.rgb, scene.depth)


def _own(study: StudyConfig, count: int) -> Iterator[Picture]:
    if study.samples is not None:
        pairs = open_benchmark("samples", Path(study.samples))
        for index in range(len(pairs)):
            sample = pairs[index]
            yield Picture(sample.id, sample.rgb, np.where(sample.usable, sample.depth, 0).astype(np.float32))
    assert not isinstance(study.photos, ScenePhotos)
    root = Path(study.photos.root).expanduser()
    if not root.is_dir():
        if study.samples is None:
            raise UserError(
                f"photos.root {study.photos.root} is no folder: give the photos, or a study whose photos are rendered"
            )
        return
    listing = find_photos(root)
    listing.places[:] = listing.places[: 4 * count]  # enough to choose from; the order is that of the names
    records, _ = inspect_all(listing)
    photos = Photos(records, root, seed=study.photos.seed)
    for index in range(len(photos)):
        yield Picture(photos.id(index), photos.read(index), None)
