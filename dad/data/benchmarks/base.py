"""What every labelled evaluation set looks like to the rest of the package."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One labelled image.

    id: the RGB file's path under the benchmark's root, unique in it; a prediction file is this path with the suffix
    .npy. scene: the group of images that are not independent of each other (one room, one drive). rgb: uint8 (H,W,3).
    depth: float32 (H,W), 0 where there is none. mask: bool (H,W), the pixels that the data set calls valid. unit: "m",
    or "relative" when depth is known up to a factor only. aliases: the RGB file's paths in the benchmark's other
    layouts, under which a prediction may be stored as well.
    """

    id: str
    scene: str
    rgb: np.ndarray
    depth: np.ndarray
    mask: np.ndarray
    unit: Literal["m", "relative"] = "m"
    aliases: tuple[str, ...] = ()

    @property
    def usable(self) -> np.ndarray:
        """Valid pixels (H,W) whose depth is a distance: positive and finite. What a mask calls valid is not always."""
        return self.mask & (self.depth > 0) & (self.depth < np.inf)  # NaN is neither


class Benchmark(Protocol):
    """A labelled evaluation set: a sequence of samples that are read when asked for.

    min_depth and max_depth, in metres, are the range of valid depth (max_depth may be inf); align_max_res is the
    longest side at which predictions are aligned, None for full resolution.
    """

    name: str
    min_depth: float
    max_depth: float
    align_max_res: int | None

    def __len__(self) -> int:
        """The number of samples."""
        ...

    def image(self, index: int) -> str:
        """The id of sample `index`, without reading it."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """Read sample `index`; IndexError past the end, UserError naming the file when it cannot be used."""
        ...
