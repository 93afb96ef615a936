"""ETH3D's high-resolution multi-view training images with laser depth.

Official layout: <scene>/images/dslr_images/*.JPG (distorted images) and <scene>/ground_truth_depth/dslr_images/*.JPG,
as the archives <scene>_dslr_jpg.7z and <scene>_dslr_depth.7z unpack, into one folder or each into a folder of its own
name. prs-eth/Marigold's: rgb/<scene>/images/... and depth/<scene>_dslr_depth/<scene>/ground_truth_depth/.... A depth
file is raw little-endian float32 without a header, in spite of its name; inf = none. The undistorted images do not fit
the depth.
"""

import math
import re
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dad.data.benchmarks.listed import Entry, Listed, Maps, decode_rgb

_RGB = re.compile(r"(?:.*/)?([^/]+)/images/dslr_images/([^/]+\.(?:jpg|JPG))")


class Eth3d(Listed):
    """ETH3D at full resolution (24 megapixels); alignment sees thinned columns, as `align_max_res` says."""

    name = "eth3d"
    min_depth = 1e-5
    max_depth = math.inf
    align_max_res = 1024
    known = 454
    archives = ("eth3d.tar",)
    layout = "<scene>/images/dslr_images/*.JPG with <scene>/ground_truth_depth/dslr_images/*.JPG"
    advice = (
        "the archives <scene>_dslr_jpg.7z (the distorted images) and <scene>_dslr_depth.7z of the 13 high-resolution "
        "multi-view training scenes at https://www.eth3d.net/datasets, or Marigold's eth3d.tar"
    )
    groups: ClassVar[dict[str, int]] = {
        "facade": 76,
        "electro": 45,
        "delivery_area": 44,
        "terrains": 42,
        "courtyard": 38,
        "playground": 38,
        "relief": 31,
        "relief_2": 31,
        "kicker": 31,
        "office": 26,
        "terrace": 23,
        "meadow": 15,
        "pipes": 14,
    }

    def scene(self, image: str) -> str:
        """The place that was scanned."""
        return image.split("/")[-4]

    def group(self, image: str) -> str:
        """The scene."""
        return self.scene(image)

    def _generate(self) -> list[Entry]:
        entries = []
        for path in self.files.names():
            if found := _RGB.fullmatch(path):
                scene, name = found.groups()
                entries.append(Entry(path, (path, f"{scene}/ground_truth_depth/dslr_images/{name}")))
        return entries

    def _places(self, column: str, path: str) -> list[str]:
        parts = path.split("/")
        if len(parts) < 4:
            return [path]
        tail = "/".join(parts[-4:])
        kind, upstream = ("jpg", "rgb") if column == "rgb" else ("depth", f"depth/{parts[-4]}_dslr_depth")
        levels = ("", f"{parts[-4]}_dslr_{kind}/", f"{upstream}/")
        return list(dict.fromkeys([path, *(level + tail for level in levels)]))

    def _read(self, entry: Entry) -> Maps:
        rgb = self._load(entry, "rgb", decode_rgb)
        height, width, _ = rgb.shape

        def decode(data: bytes) -> NDArray[np.float32]:
            if len(data) != 4 * height * width:
                raise ValueError(
                    f"{len(data)} bytes, but {width} x {height} pixels of float32 are {4 * height * width}"
                )
            depth = np.frombuffer(data, "<f4").astype(np.float32).reshape(height, width)
            depth[~np.isfinite(depth)] = 0
            return depth

        depth = self._load(entry, "depth", decode)
        return rgb, depth, self._in_range(depth)
