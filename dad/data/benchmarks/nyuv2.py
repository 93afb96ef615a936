"""NYU Depth v2: Kinect depth of rooms, 654 labelled test images.

Official: nyu_depth_v2_labeled.mat (HDF5) with splits.mat beside it. prs-eth/Marigold's and aim-uofa/GenPercept's
layout, extracted from it: test/<scene>/rgb_0001.png, depth_0001.png (raw, 0 = none) and filled_0001.png, numbered by
the 1-based index in the .mat file; 16-bit PNG in mm. The raw depth is scored, as upstream does; the in-painted one is
not read. The same images have the same ids in both.
"""

import re
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dad.data.benchmarks.files import Files, Folder
from dad.data.benchmarks.listed import Entry, Listed, Maps, box, decode_png16
from dad.data.benchmarks.nyuv2_mat import NyuMat
from dad.data.photos import reason_of
from dad.errors import UserError

MAT = "nyu_depth_v2_labeled.mat"

CROPS = {"eigen": (slice(45, 471), slice(41, 601)), "none": (slice(None), slice(None))}

_RGB = re.compile(r"(?:.*/)?test/[^/]+/rgb_\d+\.png")


class Nyuv2(Listed):
    """NYUv2's raw depth, scored inside `crop` of 480 x 640 pixels; the network sees the whole image.

    root: a folder or .tar of the extracted images, the .mat file, or a folder in which it lies. Depth from the .mat
    file is not rounded to millimetres.
    """

    name = "nyuv2"
    min_depth = 1e-3
    max_depth = 10.0
    known = 654
    archives = ("nyu_labeled_extracted.tar",)
    layout = f"test/<scene>/rgb_*.png with depth_*.png, or {MAT} with splits.mat"
    advice: ClassVar[str] = (
        "http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat with "
        "http://horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat beside it, or Marigold's "
        "nyu_labeled_extracted.tar"
    )

    def __init__(self, root: Path, *, list_file: Path | None = None, crop: str | None = None) -> None:
        self.crop = crop or "eigen"
        if self.crop not in CROPS:
            raise UserError(f"nyuv2 has no crop {crop!r}, allowed are {', '.join(CROPS)}")
        path = Path(root) if Path(root).suffix == ".mat" else Path(root) / MAT
        self._mat = NyuMat(path) if path.is_file() else None
        super().__init__(root, list_file=list_file)

    @property
    def label(self) -> str:
        """The name, with the crop if it is not the default."""
        return self.name if self.crop == "eigen" else f"{self.name}+crop={self.crop}"

    def scene(self, image: str) -> str:
        """The room."""
        return PurePosixPath(image).parent.name

    def _open(self) -> Files:
        return Folder(self._mat.path.parent) if self._mat else super()._open()

    def _generate(self) -> list[Entry]:
        if self._mat:
            return [Entry(name, (name, name)) for name in self._mat.test_names()]
        images = [path for path in self.files.names() if _RGB.fullmatch(path)]
        return [Entry(path, (path, "/depth_".join(path.rsplit("/rgb_", 1)))) for path in images]

    def _place(self, column: str, path: str) -> str | None:
        if self._mat:
            return path if self._mat.holds(path) else None
        return super()._place(column, path)

    def _decode_depth(self, data: bytes) -> NDArray[np.float32]:
        return decode_png16(data, 1000.0)

    def _read(self, entry: Entry) -> Maps:
        if self._mat:
            try:
                rgb, depth = self._mat.read(entry.id)
            except (OSError, ValueError, KeyError) as error:
                raise UserError(f"image {entry.id}: {self._mat.path} cannot be used ({reason_of(error)})") from None
            mask = self._in_range(depth)
        else:
            rgb, depth, mask = super()._read(entry)
        if depth.shape != (480, 640) and self.crop == "eigen":
            raise UserError(
                f"image {entry.id}: it is {depth.shape[1]} x {depth.shape[0]}, the crop eigen is for 640 x 480 pixels"
            )
        return rgb, depth, mask & box(depth.shape, *CROPS[self.crop])
