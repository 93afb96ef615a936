"""NYU Depth v2's official files: nyu_depth_v2_labeled.mat, a MATLAB 7.3 file, which is HDF5, and splits.mat."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dad.data.photos import reason_of
from dad.errors import UserError

_NUMBER = re.compile(r"rgb_(\d+)\.png$")


class NyuMat:
    """The 1449 labelled images. An image's name is that of prs-eth/Marigold's extracted file: test/<scene>/rgb_<1-based
    index>.png.

    h5py sees MATLAB's arrays with reversed axes: `images` (N,3,W,H) uint8, `rawDepths` (N,W,H) float32 metres, 0 where
    the sensor has no value, and `scenes`, references to the scene names as 16-bit characters.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _require_h5py(path)
        try:
            with self._opened() as file:
                self._count = len(file["rawDepths"])
                if file["images"].shape[1] != 3 or len(file["images"]) != self._count:
                    raise ValueError(f"images are {file['images'].shape}, rawDepths {file['rawDepths'].shape}")
                references = np.ravel(file["scenes"][()])
                self._scenes = ["".join(map(chr, np.ravel(file[reference][()]))) for reference in references]
                if len(self._scenes) != self._count:
                    raise ValueError(f"{len(self._scenes)} scenes for {self._count} images")
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(
                f"{path} is not NYUv2's labelled data set ({reason_of(error)}): download it again"
            ) from None

    def _opened(self) -> Any:
        import h5py

        return h5py.File(self.path, "r")

    def test_names(self) -> list[str]:
        """The names of the test images, from splits.mat beside the file (`testNdxs`, 1-based)."""
        from scipy.io import loadmat

        path = self.path.parent / "splits.mat"
        try:
            numbers = sorted(int(number) for number in np.ravel(loadmat(path)["testNdxs"]))
        except Exception as error:  # scipy raises many kinds of errors for damaged files
            raise UserError(
                f"{path} says which images are for testing and cannot be read ({reason_of(error)}): it is at "
                "http://horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat"
            ) from None
        if not numbers or not 1 <= numbers[0] <= numbers[-1] <= self._count:
            raise UserError(
                f"{path} names images outside 1..{self._count} of {self.path}: the files do not belong together"
            )
        return [f"test/{self._scenes[number - 1]}/rgb_{number:04d}.png" for number in numbers]

    def holds(self, name: str) -> bool:
        """Whether an image of this name, as listed, can be read."""
        return self._number(name) is not None

    def _number(self, name: str) -> int | None:
        """The 1-based index in an image's name, or None if there is no such image."""
        found = _NUMBER.search(name)
        return int(found[1]) if found and 1 <= int(found[1]) <= self._count else None

    def read(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """RGB (H,W,3) and raw depth (H,W) in metres of one image; ValueError or OSError when they cannot be read."""
        number = self._number(name)
        if number is None:
            raise ValueError(f"there is no image of this name among {self._count}")
        with self._opened() as file:
            rgb, depth = file["images"][number - 1], file["rawDepths"][number - 1]
        if rgb.dtype != np.uint8 or rgb.shape[1:] != depth.shape:
            raise ValueError(f"images are {rgb.dtype} {rgb.shape}, rawDepths {depth.shape}")
        return np.ascontiguousarray(rgb.transpose(2, 1, 0)), np.ascontiguousarray(depth.T.astype(np.float32))


def _require_h5py(path: Path) -> None:
    if importlib.util.find_spec("h5py") is None:
        raise UserError(f"reading {path} needs the package h5py (`pip install h5py`); extracted PNG files do not")
