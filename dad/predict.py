"""The verb `predict`: maps for images and folders of images, as numbers, as pictures and as points."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dad.data.photos import SUFFIXES, decode, image_size
from dad.errors import UserError
from dad.files import atomic_path
from dad.models.estimator import AnyEstimator, load
from dad.pointcloud import Camera, assumed_camera, relative_to_depth, unproject, write_ply
from dad.progress import Progress
from dad.report.colour import colourise

LEVELS = 65535
"""Steps of a 16-bit PNG."""


@dataclass(frozen=True)
class Points:
    """How points are made: a camera (None: assumed from the field of view) and the distances of the nearest and farthest pixel."""

    camera: Camera | None = None
    near: float = 1.0
    far: float = 10.0


def find_images(given: Sequence[str | Path]) -> dict[Path, Path]:
    """Image files by the path, without ending, that their outputs get: a file's stem, or the path below the folder that was given.

    Raises UserError for paths that do not exist, for nothing found, and for two images whose outputs would have the same name.
    """
    found: dict[Path, Path] = {}
    for item in map(Path, given):
        if item.is_dir():
            files = sorted(file for file in item.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            if not files:
                raise UserError(f"{item} holds no images ({', '.join(SUFFIXES)})")
            pairs = [(file.relative_to(item).with_suffix(""), file) for file in files]
        elif item.is_file():
            pairs = [(Path(item.stem), item)]
        else:
            raise UserError(f"{item} does not exist")
        for name, file in pairs:
            if found.setdefault(name, file) != file:
                raise UserError(
                    f"{found[name]} and {file} would both be written as {name}.npy: predict them into different folders"
                )
    return found


def predict(
    images: Sequence[str | Path],
    model: str | Path | AnyEstimator,
    out: str | Path,
    *,
    device: str = "cpu",
    batch: int = 8,
    short_side: int | None = None,
    square: bool = False,
    points: Points | None = None,
) -> tuple[int, list[str]]:
    """Predict every image and write NAME.npy (float32 (H,W), the estimator's own values), NAME.png (16 bit) and NAME_colour.png.

    The 16-bit picture runs linearly from the map's smallest to its largest value, which stand in its text chunks `dad.minimum` and
    `dad.maximum`; near is red in the coloured one. `points` adds NAME.ply. Images of equal size share batches. An image that can
    not be read or predicted is named on stderr and skipped. Returns how many were written, and the problems.
    """
    files = find_images(images)
    if batch < 1:
        raise UserError(f"batch must be at least 1, got {batch}")
    estimator = load(model, device=device, short_side=short_side, square=square) if isinstance(model, str | Path) else model
    problems: list[str] = []
    written = 0
    with Progress("predict", len(files), "image") as progress:
        for names, pixels in _batches(files, batch, problems, progress):
            try:
                maps = estimator(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255).cpu().numpy()[:, 0]
            except UserError as error:
                _skip(problems, progress, ", ".join(str(files[name]) for name in names), str(error), len(names))
                continue
            for name, rgb, prediction in zip(names, pixels, maps, strict=True):
                if not np.isfinite(prediction).all():
                    _skip(problems, progress, str(files[name]), "the model gave values that are not finite")
                    continue
                _write(Path(out) / name, rgb, prediction, estimator.kind, points)
                written += 1
                progress.advance()
    return written, problems


def _skip(problems: list[str], progress: Progress, what: str, why: str, count: int = 1) -> None:
    problems.append(f"{what}: {why}")
    print(f"skipped {problems[-1]}", file=sys.stderr)
    progress.advance(count)


def _batches(
    files: dict[Path, Path], batch: int, problems: list[str], progress: Progress
) -> Iterator[tuple[list[Path], list[NDArray[np.uint8]]]]:
    """Names and pixels of up to `batch` images of equal size at a time. Sizes are read first, pixels only when their turn comes."""
    sizes: dict[tuple[int, int], list[Path]] = {}
    for name, file in files.items():
        try:
            with Image.open(file) as image:
                sizes.setdefault(image_size(image), []).append(name)
        except Exception as error:  # Pillow raises many kinds for damaged files
            _skip(problems, progress, str(file), _reason(error))
    for names in sizes.values():
        ready: list[Path] = []
        pixels: list[NDArray[np.uint8]] = []
        for name in names:
            try:
                rgb = decode(files[name].read_bytes())
            except Exception as error:  # as above
                _skip(problems, progress, str(files[name]), _reason(error))
                continue
            if pixels and rgb.shape != pixels[0].shape:
                yield [name], [rgb]
                continue
            ready.append(name)
            pixels.append(rgb)
            if len(ready) == batch:
                yield ready, pixels
                ready, pixels = [], []
        if ready:
            yield ready, pixels


def _reason(error: Exception) -> str:
    return f"not a readable image ({str(error).splitlines()[0] if str(error) else type(error).__name__})"


def _write(path: Path, rgb: NDArray[np.uint8], prediction: NDArray[np.float32], kind: str, points: Points | None) -> None:
    # names may hold dots, so endings are added, never exchanged
    def ending(text: str) -> Path:
        return path.with_name(path.name + text)

    with atomic_path(ending(".npy")) as temporary:
        np.save(temporary, prediction.astype(np.float32))
    low, high = float(prediction.min()), float(prediction.max())
    scaled = (prediction.astype(np.float64) - low) / (high - low) if high > low else np.zeros(prediction.shape)
    notes = PngInfo()
    for key, value in (("kind", kind), ("minimum", repr(low)), ("maximum", repr(high))):
        notes.add_text(f"dad.{key}", value)
    with atomic_path(ending(".png")) as temporary:
        Image.fromarray(np.rint(scaled * LEVELS).astype(np.uint16)).save(temporary, pnginfo=notes)
    with atomic_path(ending("_colour.png")) as temporary:
        Image.fromarray(colourise(prediction if kind == "disparity" else -prediction)).save(temporary)
    if points is not None:
        camera = points.camera or assumed_camera(*prediction.shape)
        depth = relative_to_depth(prediction, kind, near=points.near, far=points.far)
        write_ply(ending(".ply"), unproject(depth, camera), rgb.reshape(-1, 3))
