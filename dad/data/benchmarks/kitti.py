"""KITTI's Eigen split with the annotated (accumulated LiDAR) ground truth.

Official layout: <date>/<drive>/image_02/data/*.png of the raw data, and
{train,val}/<drive>/proj_depth/groundtruth/image_02/*.png of data_depth_annotated.zip. prs-eth/Marigold's and
aim-uofa/GenPercept's: the same without the level train or val. Depth is 16-bit PNG in 1/256 m, 0 = none. 45 of the 697
frames of the split have no annotated ground truth and are not scored.
"""

import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dad.data.benchmarks.listed import Entry, Listed, Maps, box, decode_png16
from dad.errors import UserError

HEIGHT, WIDTH = 352, 1216

# prs-eth/Marigold `src/dataset/kitti_dataset.py`: fractions of the cropped frame, rows then columns
CROPS = {
    "eigen": ((0.3324324, 0.91351351), (0.0359477, 0.96405229)),
    "garg": ((0.40810811, 0.99189189), (0.03594771, 0.96405229)),
    "none": ((0.0, 1.0), (0.0, 1.0)),
}

_DEPTH = re.compile(r"(?:.*/)?((\d{4}_\d\d_\d\d)_drive_\d+_sync)/proj_depth/groundtruth/image_02/(\d+\.png)")


class Kitti(Listed):
    """KITTI Eigen: RGB and depth cut to 352 x 1216 (bottom, centre), scored inside `crop` of that frame."""

    name = "kitti"
    min_depth = 1e-5
    max_depth = 80.0
    known = 652
    archives = ("kitti_eigen_split_test.tar",)
    layout = "<date>/<drive>/image_02/data/*.png with <drive>/proj_depth/groundtruth/image_02/*.png"
    advice: ClassVar[str] = (
        "the split is data_split/kitti_depth/eigen_test_files_with_gt.txt of prs-eth/Marigold; images are KITTI's raw "
        "data, depth its data_depth_annotated.zip (https://www.cvlibs.net/datasets/kitti/eval_depth.php), or both in "
        "Marigold's kitti_eigen_split_test.tar (script/depth in its repository says where)"
    )

    def __init__(self, root: Path, *, list_file: Path | None = None, crop: str | None = None) -> None:
        self.crop = crop or "eigen"
        if self.crop not in CROPS:
            raise UserError(f"kitti has no crop {crop!r}, allowed are {', '.join(CROPS)}")
        super().__init__(root, list_file=list_file)

    @property
    def label(self) -> str:
        """The name, with the crop if it is not the default."""
        return self.name if self.crop == "eigen" else f"{self.name}+crop={self.crop}"

    def scene(self, image: str) -> str:
        """The drive."""
        return image.split("/")[-4]

    def _generate(self) -> list[Entry]:
        entries = []
        for path in self.files.names():
            if found := _DEPTH.fullmatch(path):
                drive, date, frame = found.groups()
                rgb = f"{date}/{drive}/image_02/data/{frame}"
                if self._place("rgb", rgb):
                    entries.append(Entry(rgb, (rgb, path)))
        return self._limited(sorted(entries, key=lambda entry: entry.id))

    def _is_unlabelled(self, words: tuple[str, ...]) -> bool:
        return words[1:2] == ("None",)

    def _places(self, column: str, path: str) -> list[str]:
        if column == "rgb":
            return [path, f"raw/{path}"]
        bare = path.removeprefix("train/").removeprefix("val/")
        levels = ("", "train/", "val/", "data_depth_annotated/train/", "data_depth_annotated/val/")
        return list(dict.fromkeys([path, *(level + bare for level in levels)]))

    def _decode_depth(self, data: bytes) -> NDArray[np.float32]:
        return decode_png16(data, 256.0)

    def _read(self, entry: Entry) -> Maps:
        rgb, depth, _ = super()._read(entry)
        height, width = depth.shape
        if height < HEIGHT or width < WIDTH:
            raise UserError(
                f"image {entry.id}: it is {width} x {height}, smaller than the {WIDTH} x {HEIGHT} that KITTI is cut to"
            )
        depth = _bottom_centre(depth)
        rows, columns = (
            slice(int(low * size), int(high * size))
            for (low, high), size in zip(CROPS[self.crop], (HEIGHT, WIDTH), strict=True)
        )
        return _bottom_centre(rgb), depth, self._in_range(depth) & box(depth.shape, rows, columns)


def _bottom_centre(image: NDArray[Any]) -> NDArray[Any]:
    """KITTI's benchmark crop of (H,W) or (H,W,3), applied before inference."""
    top, left = image.shape[0] - HEIGHT, int((image.shape[1] - WIDTH) / 2)
    return image[top:, left : left + WIDTH]
