"""Folders of rendered scenes: `rgb/`, `depth/`, `lidar/` (driving) and `camera/`.

Once all scenes are there, `checksums.json` and `scenes.json` lie beside these folders.
"""

import concurrent.futures
import functools
import multiprocessing
import shutil
import signal
from pathlib import Path

import numpy as np
from PIL import Image

from dad.data.checksums import damaged, read_checksums, scene_files, write_checksums
from dad.data.scenes.layouts import KINDS
from dad.data.scenes.render import STYLES, VERSIONS, render_scene, require_drawable
from dad.data.scenes.rich.surfaces import Photographs
from dad.errors import UserError
from dad.files import atomic_path, read_json, write_json
from dad.outputs import check_outputs
from dad.progress import Progress

LARGEST = 2**28
"""Rays of a scene, with all samples of a pixel: about a minute and 10 GB."""
BYTES = 5
"""Of disk per pixel: exact depth in 4, and a PNG."""
HANDFUL = 1000
"""So few scenes are just begun: the disk itself says when it is full."""


@functools.cache
def _photographs(folder: str | None) -> Photographs | None:
    return None if folder is None else Photographs(folder)


def _write_one(
    root: Path,
    kind: str,
    seed: int,
    index: int,
    height: int,
    width: int,
    samples: int,
    style: str,
    textures: str | None,
) -> None:
    scene = render_scene(
        kind, seed + index, height=height, width=width, samples=samples, style=style, textures=_photographs(textures)
    )
    name = f"{index:06d}"
    with atomic_path(root / "depth" / f"{name}.npy") as path:
        np.save(path, scene.depth)
    if scene.lidar is not None:
        with atomic_path(root / "lidar" / f"{name}.npy") as path:
            np.save(path, scene.lidar)
    write_json(root / "camera" / f"{name}.json", scene.camera | {"kind": kind, "seed": seed + index})
    # the image comes last: a scene whose image exists is complete, which is what makes a resumed run skip it
    with atomic_path(root / "rgb" / f"{name}.png") as path:
        Image.fromarray(scene.rgb).save(path)


def write_scenes(
    out: str | Path,
    *,
    kind: str,
    count: int,
    seed: int,
    height: int = 192,
    width: int = 256,
    samples: int = 2,
    style: str = "plain",
    textures: str | None = None,
    workers: int = 1,
) -> None:
    """Render scenes `seed` .. `seed + count - 1` into the folder `out`; a second call renders only what is missing or
    damaged.

    `textures` is a folder of photographs for some of the surfaces (not in style `plain`). A folder that holds more
    scenes of the same recipe keeps them. Raises UserError if the folder already holds scenes of another recipe, so that
    two recipes are never mixed.
    """
    if kind not in KINDS:
        raise UserError(f"unknown scene kind {kind!r}; choose one of {', '.join(KINDS)}")
    if style not in STYLES:
        raise UserError(f"unknown scene style {style!r}; choose one of {', '.join(STYLES)}")
    if count < 1 or workers < 1:
        raise UserError(f"count and workers must be at least 1, got count {count}, workers {workers}")
    require_drawable(seed, height, width, samples)
    root = Path(out)
    check_outputs(folders={"--out": root}, searched={"--textures": textures})
    _require_room(root, count, height, width, samples)
    held = 0
    recipe = {
        "kind": kind,
        "seed": seed,
        "height": height,
        "width": width,
        "samples": samples,
        "version": VERSIONS[style],
    }
    if style != "plain":
        recipe = {key: value for key, value in recipe.items() if key != "samples"} | {"style": style}
    if (photographs := _photographs(textures)) is not None:
        recipe["textures"] = photographs.digest()
    for marker in (root / "scenes.json", root / "recipe.json"):
        if marker.exists():
            found = read_json(marker)
            counted = found.pop("count", 0) if isinstance(found, dict) else None
            if type(counted) is not int:
                raise UserError(f"{marker} is damaged: remove {root} and render the scenes again")
            held = max(held, counted)
            if found != recipe:
                raise UserError(
                    f"{root} holds scenes of another recipe ({found}); asked for {recipe}: choose another folder"
                )
    if not any((root / name).exists() for name in ("scenes.json", "recipe.json")) and any((root / "rgb").glob("*")):
        raise UserError(f"{root / 'rgb'} holds files that were not rendered here: choose another folder")
    write_json(root / "recipe.json", recipe)
    known, before = read_checksums(root), range(min(count, held) if (root / "scenes.json").exists() else 0)
    spoiled = set(damaged(root, before, known))
    missing = [i for i in range(count) if i in spoiled or not (root / "rgb" / f"{i:06d}.png").exists()]
    with Progress(f"{kind} scenes", len(missing), "scene") as progress:
        if workers == 1:
            for index in missing:
                _write_one(root, kind, seed, index, height, width, samples, style, textures)
                progress.advance()
        else:
            context = multiprocessing.get_context("spawn")
            # Ctrl-C is the parent's matter: the children would each print where they were
            ignore = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
            with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context, **ignore) as pool:
                jobs = [
                    pool.submit(_write_one, root, kind, seed, i, height, width, samples, style, textures)
                    for i in missing
                ]
                try:
                    for job in concurrent.futures.as_completed(jobs):
                        job.result()
                        progress.advance()
                except BaseException:  # a full disk, or Ctrl-C: do not render the rest first
                    pool.shutdown(cancel_futures=True)
                    raise
    renewed = set(scene_files(root, missing))
    write_checksums(root, max(count, held), {name: digest for name, digest in known.items() if name not in renewed})
    write_json(root / "scenes.json", recipe | {"count": max(count, held)})
    (root / "recipe.json").unlink(missing_ok=True)


def _require_room(root: Path, count: int, height: int, width: int, samples: int) -> None:
    """Refuse what no memory or disk holds: it would be found out after hours."""
    if height * width * samples**2 > LARGEST:
        raise UserError(
            f"a scene of {width} x {height} pixels with {samples} samples is too large: at most {LARGEST} rays"
        )
    existing = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.is_dir())
    rendered = sum(1 for _ in (root / "rgb").glob("*.png"))
    needed, free = (count - rendered) * height * width * BYTES, shutil.disk_usage(existing).free
    if needed > free and count > HANDFUL:
        raise UserError(
            f"{count} scenes need about {needed / 1e9:.1f} GB, {existing} has {free / 1e9:.1f} GB: render fewer"
        )
