"""Rendered scenes as benchmarks: stand-ins with exact depth, for where no real data set is at hand.

Layout: ROOT/rgb/000000.png, ROOT/depth/000000.npy (float32 metres, 0 = none), for driving also ROOT/lidar/000000.npy (sparse
depth), and ROOT/scenes.json, which the renderer writes last.
"""

import io
from pathlib import Path

import numpy as np

from dad.data.benchmarks.base import Sample
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
        self._labels = "lidar" if self.kind == "driving" and (self.root / "lidar").is_dir() else "depth"
        missing = [name for i in range(self.count) for name in self._files(i) if not (self.root / name).is_file()]
        if missing:
            raise UserError(
                f"{len(missing)} of {2 * self.count} files are missing under {self.root}, first {missing[0]}: "
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
            kind, count, seed = header["kind"], int(header["count"]), int(header["seed"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({reason_of(error)}): render the scenes again") from None
        if kind != self.kind:
            raise UserError(f"{self.root} holds {kind} scenes, {self.name} needs {self.kind}: take the benchmark scenes-{kind}")
        return count, seed

    def _files(self, i: int) -> tuple[str, str]:
        return f"rgb/{i:06d}.png", f"{self._labels}/{i:06d}.npy"

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> str:
        """The id of sample `index`."""
        return self._files(index)[0]

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(index)
        image, labels = self._files(index)
        rgb, depth = self._read(image), self._read(labels)
        if depth.dtype != np.float32 or depth.shape != rgb.shape[:2]:
            raise UserError(
                f"{self.root / labels}: expected float32 {rgb.shape[:2]} like {image}, found {depth.dtype} {depth.shape}: "
                f"render the scenes again"
            )
        mask = (depth > self.min_depth) & (depth < self.max_depth)
        # every scene is drawn from a seed of its own, so each is a group of its own
        return Sample(image, f"{self.kind}-{self._seed + index}", rgb, np.where(np.isfinite(depth), depth, np.float32(0)), mask)

    def _read(self, name: str) -> np.ndarray:
        try:
            data = (self.root / name).read_bytes()
            return decode(data) if name.endswith(".png") else np.load(io.BytesIO(data), allow_pickle=False)
        except Exception as error:  # numpy and Pillow raise many kinds of errors for damaged data
            raise UserError(f"{self.root / name} can not be read ({reason_of(error)}): render the scenes again") from None


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
