"""Depth of photographs with onnxruntime. Needs onnxruntime, numpy and Pillow, nothing else.

python predict_onnx.py photo.jpg            writes photo.npy, float32 (H,W)
"""

import hashlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

SEAL = b"rN\n\ndad.sha256\x12@"
"""What stands before the checksum of everything above it, which ends the file as an entry of its metadata."""
CUBIC = -0.75
LONGEST = 16
"""How many times its shorter side the longer one of an input may have."""


class Depth:
    """`Depth("model.onnx")(image)`: RGB (H,W,3) uint8, PIL image or path -> map (H,W) float32 at the image's size."""

    def __init__(self, model: str | Path = Path(__file__).parent / "model.onnx") -> None:
        stored = Path(model).read_bytes()
        contents, checksum = stored[:-64], stored[-64:]
        if hashlib.sha256(contents.removesuffix(SEAL)).hexdigest().encode() != checksum:
            raise ValueError(f"{model} is damaged: its contents do not fit the checksum at its end; copy it again")
        self.session = onnxruntime.InferenceSession(stored, providers=["CPUExecutionProvider"])
        # size, multiple, fit, mean, std, back: how the network sees an image
        self.policy = json.loads(self.session.get_modelmeta().custom_metadata_map["dad.policy"])

    def __call__(self, image: "np.ndarray | Image.Image | str | Path") -> np.ndarray:
        """Predict one image."""
        if not isinstance(image, np.ndarray):
            opened = image if isinstance(image, Image.Image) else Image.open(image)
            image = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        policy, (height, width) = self.policy, image.shape[:2]
        rows, columns = network_size(height, width, policy["size"], policy["multiple"], policy["fit"])
        if min(rows, columns) < 1 or max(rows, columns) > LONGEST * policy["size"]:
            raise ValueError(f"an image of {height}x{width} pixels is too elongated for this network")
        resized = resample(image.astype(np.float32) / 255, rows, columns, cubic)
        seen = ((resized - np.float32(policy["mean"])) / np.float32(policy["std"])).transpose(2, 0, 1)[None]
        found = self.session.run(None, {"image": np.ascontiguousarray(seen, np.float32)})[0][0, 0]
        return resample(found, height, width, cubic if policy["back"] == "bicubic" else aligned)


def network_size(height: int, width: int, size: int, multiple: int, fit: str) -> tuple[int, int]:
    """The size at which the network sees an image: `fit` says what `size` is of, sides are multiples of `multiple`."""
    if fit == "square":
        return size, size
    by_height, by_width = size / height, size / width
    nearest = by_width if abs(1 - by_width) < abs(1 - by_height) else by_height
    scale = {"lower": max(by_height, by_width), "upper": min(by_height, by_width), "minimal": nearest}[fit]

    def side(pixels: int) -> int:
        rounded = round(scale * pixels / multiple) * multiple
        if fit == "lower" and rounded < size:
            return math.ceil(scale * pixels / multiple) * multiple
        if fit == "upper" and rounded > size:
            return math.floor(scale * pixels / multiple) * multiple
        return rounded

    return side(height), side(width)


def resample(values: np.ndarray, rows: int, columns: int, kernel: Callable[[int, int], np.ndarray]) -> np.ndarray:
    """Values (H,W) or (H,W,C) at another size, without smoothing."""
    if values.shape[:2] == (rows, columns):
        return values
    vertical, horizontal = kernel(values.shape[0], rows), kernel(values.shape[1], columns)
    return np.einsum("yh,hw...,xw->yx...", vertical, values, horizontal, optimize=True).astype(np.float32)


def cubic(before: int, after: int) -> np.ndarray:
    """The matrix (after, before) of bicubic resampling of pixel centres; edges are repeated."""
    centre = (np.arange(after) + 0.5) * before / after - 0.5
    taps = np.floor(centre)[:, None] + np.arange(-1, 3)
    distance = np.abs(centre[:, None] - taps)
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
    return _matrix(taps, np.where(distance <= 1, near, far), before)


def aligned(before: int, after: int) -> np.ndarray:
    """The matrix (after, before) of bilinear resampling with the corner pixels aligned."""
    position = np.linspace(0, before - 1, after) if after > 1 else np.zeros(1)
    base = np.floor(position)
    share = position - base
    return _matrix(base[:, None] + np.arange(2), np.stack([1 - share, share], axis=1), before)


def _matrix(taps: np.ndarray, weights: np.ndarray, before: int) -> np.ndarray:
    matrix = np.zeros((len(taps), before))
    for column in range(taps.shape[1]):
        np.add.at(matrix, (np.arange(len(taps)), taps[:, column].clip(0, before - 1).astype(int)), weights[:, column])
    return matrix


if __name__ == "__main__":
    depth = Depth()
    for path in map(Path, sys.argv[1:]):
        written = path.with_suffix(".npy")
        np.save(written, depth(path))
        print(written)
