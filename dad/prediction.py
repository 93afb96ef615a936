"""The verb `predict`: maps for images and folders of images, as numbers, as pictures and as points."""

import errno
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dad.data.photos import OTHER_PICTURES, SUFFIXES, decode, image_size
from dad.data.walk import walk
from dad.errors import UserError
from dad.faults import explain
from dad.files import atomic_path
from dad.models.estimator import AnyEstimator, load
from dad.outputs import check_outputs, identity
from dad.pointcloud import Camera, assumed_camera, relative_to_depth, require_distances, unproject, write_ply
from dad.progress import Progress
from dad.report.colour import colourise

LEVELS = 65535
"""Steps of a 16-bit PNG."""

_OF_ONE_NAME = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ)
# errors of writing that are one image's own; a full disk is everybody's


@dataclass(frozen=True)
class Points:
    """How points are made: a camera (None: assumed by field of view), distances of the nearest and farthest pixel."""

    camera: Camera | None = None
    near: float = 1.0
    far: float = 10.0


@dataclass
class Images:
    """What `find_images` found.

    files: image files by the path, without ending, that their outputs get: a file's stem, or the path below the folder
    that was given. left_out: what is no image that can be predicted, with the reason. other: the remaining files of the
    folders, by ending.
    """

    files: dict[Path, Path] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    other: Counter[str] = field(default_factory=Counter)


def find_images(given: Sequence[str | Path], out: str | Path | None = None) -> Images:
    """The images of files and folders, by the rule of `dad.data.walk`; those of `out`, where it lies in a folder, are
    outputs.

    Raises UserError for paths that do not exist, for nothing found, and for two images whose outputs would have the
    same name.
    """
    images = Images()
    for item in map(Path, given):
        if item.is_dir():
            before = len(images.files) + len(images.left_out)
            _search(item, Path(out) if out is not None else None, images)
            if len(images.files) + len(images.left_out) == before:
                raise UserError(f"{item} holds no images ({', '.join(SUFFIXES)})")
        elif item.is_file():
            _add(Path(item.stem), item, images)
        else:
            raise UserError(f"{item} {'is no regular file' if item.exists() else 'does not exist'}")
    return images


def _search(folder: Path, out: Path | None, images: Images) -> None:
    outputs = out.resolve() if out is not None and out.resolve().is_relative_to(folder.resolve()) else None
    if outputs == folder.resolve():
        raise UserError(
            f"--out {out} is the folder of the images, which maps would replace or join: give another, or one inside it"
        )
    for found in walk(folder):
        file = folder / found.name
        if outputs is not None and file.resolve().is_relative_to(outputs):
            continue
        suffix = file.suffix.lower()
        if found.problem and (suffix in SUFFIXES or not suffix):
            images.left_out[str(file)] = found.problem
        elif suffix in SUFFIXES:
            _add(Path(found.name).with_suffix(""), file, images)
        elif suffix in OTHER_PICTURES:
            images.left_out[str(file)] = f"{suffix} is not read: convert it to JPEG or PNG"
        elif suffix == ".tar":
            images.left_out[str(file)] = "images in a .tar are not predicted: unpack it"
        else:
            images.other[suffix or file.name] += 1


def _add(name: Path, file: Path, images: Images) -> None:
    if images.files.setdefault(name, file) != file:
        raise UserError(
            f"{images.files[name]} and {file} would both be written as {name}.npy: predict them into different folders"
        )


def _require_apart(images: Images, out: Path, endings: Sequence[str]) -> None:
    """Hold every file that will be written against what is read, what is there, and each other.

    Raises UserError where an output would be an input, would replace a file that is no map of ours, or where names of
    two images differ in case only. An image whose outputs cannot have a name of their own is moved to `left_out`.
    """
    folders = [str(file) for file in images.files.values()]
    check_outputs(folders={"--out": out}, read={"an image": folders})
    home = out.resolve()
    inputs = {identity(file): file for file in images.files.values()}
    longest = _longest_name(home)
    owners: dict[str, Path] = {}
    for name in sorted(images.files, key=lambda name: (len(name.name), str(name))):
        file, written = images.files[name], [home / name.with_name(name.name + ending) for ending in endings]
        identities = [identity(path) for path in written]
        for path, one in zip(written, identities, strict=True):
            if one in inputs:
                raise UserError(f"{path}, the map of {file}, would replace the image {inputs[one]}: give another --out")
        if (other := owners.get(identities[0])) is not None:
            raise UserError(
                f"{images.files[other]} and {file} would be one file {name}{endings[0]} where case does not count: "
                "rename one"
            )
        reason = ""
        if taken := [one for one in identities if one in owners]:
            reason = f"its {Path(taken[0]).name} would replace that of {images.files[owners[taken[0]]]}: rename it"
        elif len(os.fsencode(name.name)) + max(map(len, endings)) > longest:
            reason = f"its name is too long: with {max(endings, key=len)} it may have {longest} bytes"
        if reason:
            images.left_out[str(images.files.pop(name))] = reason
            continue
        owners |= dict.fromkeys(identities, name)
        if (foreign := next((path for path in written if path.exists()), None)) is not None and not _is_ours(
            home, name
        ):
            raise UserError(f"{foreign} is there and is no map that `dad predict` wrote: give another --out")


def _longest_name(folder: Path) -> int:
    while not folder.is_dir():
        folder = folder.parent
    return os.pathconf(folder, "PC_NAME_MAX")


def _is_ours(home: Path, name: Path) -> bool:
    """Whether the outputs of this name are of an earlier run: their 16-bit map, which is written first, says so."""
    try:
        with Image.open(home / name.with_name(f"{name.name}.png")) as image:
            return "dad.kind" in image.info
    except Exception:  # Pillow raises many kinds; whatever it is, it is not ours
        return False


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
    """Predict every image and write NAME.npy (float32 (H,W), the estimator's own values), NAME.png (16 bit) and
    NAME_colour.png.

    The 16-bit picture runs linearly from the map's smallest to its largest value, which stand in its text chunks
    `dad.minimum` and `dad.maximum`; near is red in the coloured one. `points` adds NAME.ply. Images of equal size share
    batches. Whatever is wrong with one image is named on stderr, and the others are predicted. Returns how many were
    written, and the problems.

    `out` may lie in a folder of images: what is in it is output and not searched. Raises UserError, before any work,
    where an output would be an input or would replace a file that this function did not write.
    """
    if batch < 1:
        raise UserError(f"batch must be at least 1, got {batch}")
    if points is not None:
        require_distances(points.near, points.far)
    found = find_images(images, out)
    _require_apart(found, Path(out), (".npy", ".png", "_colour.png", *([".ply"] if points else [])))
    problems = [f"{file}: {reason}" for file, reason in found.left_out.items()]
    for problem in problems:
        print(f"skipped {problem}", file=sys.stderr)
    if found.other:
        names = ", ".join(f"{count} {ending}" for ending, count in found.other.most_common(5))
        print(f"no images, passed over: {names}", file=sys.stderr)
    if not found.files:
        return 0, problems
    files = found.files
    estimator = (
        load(model, device=device, short_side=short_side, square=square) if isinstance(model, str | Path) else model
    )
    written = 0
    with Progress("predict", len(files), "image") as progress:
        for names, pixels in _batches(files, batch, problems, progress):
            for name, rgb, prediction in zip(names, pixels, _predictions(estimator, pixels), strict=True):
                if isinstance(prediction, str):
                    _skip(problems, progress, str(files[name]), prediction)
                    continue
                try:
                    _write(Path(out) / name, rgb, prediction, estimator.kind, points)
                except OSError as error:
                    if error.errno not in _OF_ONE_NAME:
                        raise
                    _skip(problems, progress, str(files[name]), f"it cannot be written ({error.strerror})")
                    continue
                written += 1
                progress.advance()
    return written, problems


def _predictions(estimator: AnyEstimator, pixels: list[NDArray[np.uint8]]) -> list[NDArray[np.float32] | str]:
    """The maps (H,W) of images of equal size; the reason for one that has none. A batch that fails is tried singly."""
    try:
        rgb = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
        maps = estimator(rgb).cpu().numpy()[:, 0]
    except Exception as error:  # whatever it is, memory too, may be the matter of one image
        if len(pixels) > 1:
            return [_predictions(estimator, [one])[0] for one in pixels]
        return [str(error) if isinstance(error, UserError) else explain(error)[1]]
    return [one if np.isfinite(one).all() else "the model gave values that are not finite" for one in maps]


def _skip(problems: list[str], progress: Progress, what: str, why: str, count: int = 1) -> None:
    problems.append(f"{what}: {why}")
    print(f"skipped {problems[-1]}", file=sys.stderr)
    progress.advance(count)


def _batches(
    files: dict[Path, Path], batch: int, problems: list[str], progress: Progress
) -> Iterator[tuple[list[Path], list[NDArray[np.uint8]]]]:
    """Names and pixels of up to `batch` images of equal size at a time. Sizes are read first, pixels only in turn."""
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


def _write(
    path: Path, rgb: NDArray[np.uint8], prediction: NDArray[np.float32], kind: str, points: Points | None
) -> None:
    # names may hold dots, so endings are added, never exchanged
    def ending(text: str) -> Path:
        return path.with_name(path.name + text)

    low, high = float(prediction.min()), float(prediction.max())
    scaled = (prediction.astype(np.float64) - low) / (high - low) if high > low else np.zeros(prediction.shape)
    notes = PngInfo()
    for key, value in (("kind", kind), ("minimum", repr(low)), ("maximum", repr(high))):
        notes.add_text(f"dad.{key}", value)
    with atomic_path(ending(".png")) as temporary:
        Image.fromarray(np.rint(scaled * LEVELS).astype(np.uint16)).save(temporary, pnginfo=notes)
    # the map that tells whose it is comes first
    with atomic_path(ending(".npy")) as temporary:
        np.save(temporary, prediction.astype(np.float32))
    with atomic_path(ending("_colour.png")) as temporary:
        Image.fromarray(colourise(prediction if kind == "disparity" else -prediction)).save(temporary)
    if points is not None:
        camera = points.camera or assumed_camera(*prediction.shape)
        depth = relative_to_depth(prediction, kind, near=points.near, far=points.far)
        write_ply(ending(".ply"), unproject(depth, camera), rgb.reshape(-1, 3))
