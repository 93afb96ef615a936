"""Which rendered photos a study needs: nested sets in one folder, so that a small set does not wait for a large one."""

from collections.abc import Iterable

from dad.study.config import Cell, FolderPhotos, ScenePhotos


def of_kind(photos: ScenePhotos, kind: str, count: int) -> int:
    """How many of the first `count` photos are of this kind: photo i is scene i // K of kind i % K."""
    place = photos.kinds.index(kind)
    return max(0, -(-(count - place) // len(photos.kinds)))


def manifest_name(photos: ScenePhotos | FolderPhotos) -> str:
    """File name of the manifest: one for each number of photos, so that an added size leaves the others as they are."""
    return "photos.jsonl" if photos.count is None else f"photos-{photos.count}.jsonl"


def rendered_counts(cells: Iterable[Cell], kind: str) -> list[int]:
    """How many scenes of a kind the sets cells train on have, increasing: each is rendered on top of the one before."""
    sets = {cell.photos.count: cell.photos for cell in cells if isinstance(cell.photos, ScenePhotos)}
    return sorted({of_kind(photos, kind, count) for count, photos in sets.items() if kind in photos.kinds} - {0})
