"""Rendered scenes as benchmarks: stand-ins with exact depth, for where no real data set is at hand.

Layout: ROOT/rgb/000000.png, ROOT/depth/000000.npy (float32 metres, 0 = none), for driving also ROOT/lidar/000000.npy
(sparse depth), ROOT/checksums.json with the sha256 of each, and ROOT/scenes.json, which the renderer writes last.
"""

import io
from pathlib import Path

import numpy as np

from dad.data.benchmarks.base import Sample
from dad.data.checksums import read_checksums, read_file
from dad.data.photos import decode, reason_of
from dad.errors import UserError
from dad.files import read_json


class _Scenes:
    """One kind of rendered scenes. Depth is exact and dense, where the folder has `lidar` it is that sparse depth."""

    name: str
    kind: str
    min_depth: float = 1e-3
    max_depth: float = 80.0
    align_max_res: int | None = None

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.count, self._seed = self._header()
        self._checksums = read_checksums(self.root)
        self._labels = "lidar" if self.kind == "driving" and (self.root / "lidar").is_dir() else "depth"
        missing, first = self._missing()
        if missing:
            raise UserError(
                f"{missing} of {2 * self.count} files are missing under {self.root}, first {first}: "
                f"render them again with `dad data scenes --kind {self.kind}`"
            )

    def _header(self) -> tuple[int, int]:
        path = self.root / "scenes.json"
        if not path.is_file():
            raise UserError(
                f"no scenes at {self.root} (scenes.json is missing): render some with "
                f"`dad data scenes --out {self.root} --kind {self.kind} --count N --seed S`"
            )
        try:
            header = read_json(path)
            kind, count, seed = header["kind"], header["count"], header["seed"]
            if type(count) is not int or type(seed) is not int or count < 1:
                raise ValueError(f"its count is {count!r}, its seed {seed!r}")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({reason_of(error)}): render the scenes again") from None
        if kind != self.kind:
            raise UserError(
                f"{self.root} holds {kind} scenes, {self.name} needs {self.kind}: take the benchmark scenes-{kind}"
            )
        return count, seed

    def _missing(self) -> tuple[int, str]:
        """How many files are missing, and the first; found by listing folders, whatever count a damaged header has."""
        missing, firsts = 0, []
        for folder, suffix in (("rgb", ".png"), (self._labels, ".npy")):
            there = {path.stem for path in (self.root / folder).glob(f"*{suffix}") if path.is_file()}
            present = sum(stem.isdecimal() and int(stem) < self.count and stem == f"{int(stem):06d}" for stem in there)
            if present < self.count:
                missing += self.count - present
                firsts.append(
                    next((i, f"{folder}/{i:06d}{suffix}") for i in range(self.count) if f"{i:06d}" not in there)
                )
        return missing, min(firsts, key=lambda found: found[0])[1] if firsts else ""

    def _files(self, i: int) -> tuple[str, str]:
        return f"rgb/{i:06d}.png", f"{self._labels}/{i:06d}.npy"

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> str:
        """The id of sample `index`."""
        return self._files(index)[0]

    def paths(self) -> list[Path]:
        """What is read beside images and maps."""
        return [self.root / "scenes.json"]

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        image, labels = self._files(index)
        rgb, depth = self._read(image), self._read(labels)
        if depth.dtype != np.float32 or depth.shape != rgb.shape[:2]:
            raise UserError(
                f"{self.root / labels}: expected float32 {rgb.shape[:2]} like {image}, found {depth.dtype} "
                f"{depth.shape}: render the scenes again"
            )
        mask = (depth > self.min_depth) & (depth < self.max_depth)
        # every scene is drawn from a seed of its own, so each is a group of its own
        return Sample(
            image, f"{self.kind}-{self._seed + index}", rgb, np.where(np.isfinite(depth), depth, np.float32(0)), mask
        )

    def _read(self, name: str) -> np.ndarray:
        try:
            data = read_file(self.root, name, self._checksums)
            return decode(data) if name.endswith(".png") else np.load(io.BytesIO(data), allow_pickle=False)
        except Exception as error:  # numpy and Pillow raise many kinds of errors for damaged data
            raise UserError(
                f"{self.root / name} cannot be read ({reason_of(error)}): render the scenes again"
            ) from None


class IndoorScenes(_Scenes):
    """Rendered rooms; valid depth 1 mm to 10 m."""

    name = "scenes-indoor"
    kind = "indoor"
    max_depth = 10.0


class OutdoorScenes(_Scenes):
    """Rendered landscapes and buildings; valid depth 1 mm to 80 m."""

    name = "scenes-outdoor"
    kind = "outdoor"


class DrivingScenes(_Scenes):
    """Rendered streets with LiDAR-like sparse depth; valid depth 1 mm to 80 m."""

    name = "scenes-driving"
    kind = "driving"


SCENES = {scenes.name: scenes for scenes in (IndoorScenes, OutdoorScenes, DrivingScenes)}
