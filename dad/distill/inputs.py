"""What labels and students are made from: the photos really used, and the identities that their results belong to."""

import sys
from pathlib import Path
from typing import Any

from dad.data.photos import Photos, root_of
from dad.data.remote import is_remote
from dad.errors import UserError
from dad.files import read_json, sha256_json
from dad.study.base import identity
from dad.study.config import Cell, FolderPhotos, LabelPlan, ScenePhotos
from dad.study.stages import STAGE_VERSION

Identity = dict[str, Any]


def photos_as_used(asked: ScenePhotos | FolderPhotos, photos: Photos) -> ScenePhotos | FolderPhotos:
    """The description of the photos that a manifest really gives: `asked`, where it says the same, else the manifest's
    folder.

    So a cell that was asked for rendered scenes and is given a manifest of photographs becomes another cell, of these
    photographs. Raises UserError where the first `count` photos are asked for in another order than the manifest's.
    """
    if isinstance(asked, ScenePhotos):
        if _rendered_as(asked, photos):
            return asked
        return FolderPhotos(source="folder", root=str(photos.root), seed=photos.seed)
    if asked.count is not None and asked.seed != photos.seed:
        raise UserError(
            f"photos.count takes the first {asked.count} photos of the order with seed {asked.seed}, but the "
            f"manifest's order has seed {photos.seed}: make the manifest again with --seed {asked.seed}, "
            "or set photos.seed"
        )
    here = root_of(asked.root if is_remote(asked.root) else Path(asked.root).expanduser())
    if here.resolve() == photos.root.resolve():
        return asked
    return asked.model_copy(update={"root": str(photos.root), "seed": photos.seed})


def _rendered_as(asked: ScenePhotos, photos: Photos) -> bool:
    """Whether the photos are the scenes `asked` describes: their number, and what the renderer wrote beside them."""
    if len(photos) != asked.count or not isinstance(photos.root, Path):
        return False
    recipes = {}
    for photo in photos.records:
        folder = (photos.root / photo.file).parent.parent
        if folder not in recipes:
            try:
                recipes[folder] = read_json(folder / "scenes.json")
            except UserError:
                return False
    wanted = {"seed": asked.seed, "height": asked.height, "width": asked.width, "style": asked.style}
    return all(
        isinstance(recipe, dict)
        and recipe.get("kind") in asked.kinds
        and {key: ({"style": "plain"} | recipe).get(key) for key in wanted} == wanted
        for recipe in recipes.values()
    )


def say_photos(asked: ScenePhotos | FolderPhotos, used: ScenePhotos | FolderPhotos, manifest: Path) -> None:
    """One line on stderr where the photos used are not those asked for."""
    if asked != used:
        wanted = f"{asked.count} rendered scenes" if isinstance(asked, ScenePhotos) else f"those of {asked.root}"
        print(
            f"the cell asks for {wanted}, {manifest} lists other photos, those of {used.root}: these are used, and the "
            "config that is written (and so the cell's id) says so",
            file=sys.stderr,
        )


def photos_identity(photos: Photos) -> str:
    """Digest of the photos in their order: their ids, from which crops are drawn, and their contents."""
    return sha256_json([[photo.id, photo.sha256] for photo in photos.records])


def label_identity(plan: LabelPlan, photos: Photos, *, weights: str | None) -> Identity:
    """What labels belong to: photos, the estimator's weights, the code version, and how crops are drawn and stored."""
    described = {key: value for key, value in identity(plan).items() if key not in ("teacher", "photos")}
    return {"stage": STAGE_VERSION["label"], "photos": photos_identity(photos), "weights": weights, "plan": described}


def training_identity(
    cell: Cell, photos: Photos, *, weights: dict[str, str | None], labels: dict[str, Any]
) -> Identity:
    """What a student belongs to: its cell without names and paths, and the contents behind these.

    weights: digests of `teacher`, `assistant` and `student` (what it starts from); labels: digests by role and view.
    """
    described = {key: value for key, value in identity(cell).items() if key not in ("teacher", "photos")}
    for role in ("student", "assistant"):
        if described.get(role):
            described[role].pop("model")
    return {
        "stage": STAGE_VERSION["train"],
        "cell": described,
        "photos": photos_identity(photos),
        "weights": weights,
        "labels": labels,
    }
