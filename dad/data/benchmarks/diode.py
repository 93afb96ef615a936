"""DIODE's validation set: laser depth, indoors and outdoors.

Official layout: val/{indoors,outdoor}/scene_*/scan_*/ with NAME.png, NAME_depth.npy (float32 (H,W,1) metres) and
NAME_depth_mask.npy (1 = valid). prs-eth/Marigold's is the same without `val/`; aim-uofa/GenPercept's calls the folder
`outdoors`. The mask file alone says what is valid: the depth range only limits predictions. The list diode_meta.json of
the development kit has 612 of the 771 images; it is not used.
"""

import io
import re
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dad.data.benchmarks.listed import Entry, Listed, Maps, decode_rgb

_RGB = re.compile(r"(?:.*/)?(?:indoors|outdoors?)/scene_\d+/scan_\d+/[^/]+\.png")


class Diode(Listed):
    """DIODE's 325 indoor and 446 outdoor validation images."""

    name = "diode"
    min_depth = 0.6
    max_depth = 350.0
    columns = ("rgb", "depth", "mask")
    known = 771
    archives = ("diode_val.tar", "val.tar")
    layout = "{indoors,outdoor}/scene_*/scan_*/*.png with *_depth.npy and *_depth_mask.npy"
    advice = (
        "val.tar.gz (2.6 GB, md5 5c895d09201b88973c8fe4552a67dd85) from https://diode-dataset.org, unpacked or as "
        "val.tar after `gunzip`, or Marigold's diode_val.tar"
    )

    groups: ClassVar[dict[str, int]] = {"indoor": 325, "outdoor": 446}

    def scene(self, image: str) -> str:
        """Indoor or outdoor, and the scene."""
        parts = image.split("/")
        return f"{parts[-4].removesuffix('s')}/{parts[-3]}"

    def group(self, image: str) -> str:
        """Indoor or outdoor."""
        return self.scene(image).partition("/")[0]

    def _generate(self) -> list[Entry]:
        images = [path for path in self.files.names() if _RGB.fullmatch(path) and "train" not in path.split("/")]
        stems = [path.removesuffix(".png") for path in images]
        return [Entry(f"{stem}.png", (f"{stem}.png", f"{stem}_depth.npy", f"{stem}_depth_mask.npy")) for stem in stems]

    def _places(self, column: str, path: str) -> list[str]:
        parts = path.split("/")
        if len(parts) < 4:
            return [path]
        kinds = ("outdoor", "outdoors") if parts[-4].startswith("outdoor") else (parts[-4],)
        tails = ["/".join([kind, *parts[-3:]]) for kind in kinds]
        return list(dict.fromkeys([path, *tails, *(f"val/{tail}" for tail in tails)]))

    def _read(self, entry: Entry) -> Maps:
        rgb = self._load(entry, "rgb", decode_rgb)
        depth = self._load(entry, "depth", self._decode_depth)
        mask = self._load(entry, "mask", _decode_mask)
        self._require_size(entry, rgb, depth)
        self._require_size(entry, rgb, mask, "mask")
        depth[~mask & ~np.isfinite(depth)] = 0.0  # inside the mask it stays, to be named where it is scored
        return rgb, depth, mask

    def _decode_depth(self, data: bytes) -> NDArray[np.float32]:
        depth = _decode_npy(data)
        if depth.dtype != np.float32:
            raise ValueError(f"it holds {depth.dtype}, depth must be float32")
        return depth


def _decode_npy(data: bytes) -> np.ndarray:
    """A (H,W) or (H,W,1) array as (H,W)."""
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2:
        raise ValueError(f"it has the shape {array.shape}, not (H,W) or (H,W,1)")
    return array


def _decode_mask(data: bytes) -> NDArray[np.bool_]:
    return _decode_npy(data).astype(np.bool_)
