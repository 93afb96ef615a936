"""ScanNet: Kinect-like depth of rooms.

prs-eth/Marigold's layout: scene0406_02/color/000300.jpg and scene0406_02/depth/000300.png of 480 x 640 pixels. Official
ones: the frames that ScanNet's SensReader exports from a .sens file, <scan>/color/300.jpg at 968 x 1296 and
<scan>/depth/300.png at 480 x 640, below `scans/` or not, and the release `scannet_frames_25k`. Depth is 16-bit PNG in
mm, 0 = none. Colour that is larger than its depth is scaled down to it, because predictions are scored at the depth's
resolution.
"""

import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dad.data.benchmarks.listed import Entry, Listed, Maps, decode_png16, decode_rgb

_RGB = re.compile(r"(?:.*/)?scene\d{4}_\d\d/color/\d+\.(?:jpg|png)")


class Scannet(Listed):
    """ScanNet's validation scans, 800 frames drawn by Marigold."""

    name = "scannet"
    min_depth = 1e-3
    max_depth = 10.0
    known = 800
    archives = ("scannet_val_sampled_800_1.tar",)
    layout = "<scan>/color/*.jpg with <scan>/depth/*.png"
    advice = (
        "the list is data_split/scannet_depth/scannet_val_sampled_list_800_1.txt of prs-eth/Marigold; the frames are "
        "obtained by agreement from http://www.scan-net.org, or in Marigold's scannet_val_sampled_800_1.tar"
    )

    def scene(self, image: str) -> str:
        """The room, of which there can be several scans."""
        return image.split("/")[-3].split("_")[0]

    def _generate(self) -> list[Entry]:
        colours = [path for path in self.files.names() if _RGB.fullmatch(path)]
        return self._limited([Entry(path, (path, _depth_beside(path))) for path in colours])

    def _places(self, column: str, path: str) -> list[str]:
        parts = path.split("/")
        if len(parts) < 3:
            return [path]
        stem, _, suffix = parts[-1].partition(".")
        # the frames of .sens files are numbered without leading zeros
        names = [parts[-1]] + ([f"{int(stem)}.{suffix}", f"{int(stem):06d}.{suffix}"] if stem.isdecimal() else [])
        tails = [f"{parts[-3]}/{parts[-2]}/{name}" for name in names]
        levels = ("", "scans/", "scannet_frames_25k/")
        return list(dict.fromkeys([path, *(level + tail for level in levels for tail in tails)]))

    def _decode_depth(self, data: bytes) -> NDArray[np.float32]:
        return decode_png16(data, 1000.0)

    def _read(self, entry: Entry) -> Maps:
        rgb = self._load(entry, "rgb", decode_rgb)
        depth = self._load(entry, "depth", self._decode_depth)
        height, width = depth.shape
        if rgb.shape[0] > height and rgb.shape[1] > width:
            rgb = np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
        self._require_size(entry, rgb, depth)
        return rgb, depth, self._in_range(depth)


def _depth_beside(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder.removesuffix('color')}depth/{name.rpartition('.')[0]}.png"
