"""What an estimator may be called with: RGB batches as they are, and single images as people have them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dad.data.photos import decode, upright_rgb
from dad.errors import UserError
from dad.files import read_regular


def check_rgb(rgb: Tensor) -> None:
    """Raise UserError for anything but (B,3,H,W)."""
    if rgb.ndim != 4 or rgb.shape[1] != 3:
        raise UserError(f"an estimator takes RGB of shape (B,3,H,W), got {tuple(rgb.shape)}")


def as_batch(image: Any) -> Tensor:
    """RGB (1,3,H,W) float32 in [0,1] of one image: a path, a PIL image, or a numpy array (H,W,3), uint8 or float in
    [0,1].

    Files are decoded as photos are everywhere (upright, transparency over white); PIL images likewise. Raises UserError
    for anything else.
    """
    if isinstance(image, str | Path):
        pixels: NDArray = _read(Path(image).expanduser())
    elif isinstance(image, Image.Image):
        try:
            pixels = upright_rgb(image)
        except ValueError as error:
            raise UserError(f"the PIL image cannot be taken as RGB: {error}") from None
    elif isinstance(image, np.ndarray):
        pixels = image
    else:
        raise UserError(
            "an estimator takes a tensor (B,3,H,W) in [0,1], or one image as a path, a PIL image or a numpy array "
            f"(H,W,3); got {type(image).__name__}"
        )
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise UserError(f"an image as a numpy array has the shape (H,W,3), got {pixels.shape}")
    if pixels.dtype == np.uint8:
        values = pixels.astype(np.float32) / 255
    elif np.issubdtype(pixels.dtype, np.floating):
        values = pixels.astype(np.float32)
        # `not` refuses NaN too
        if not (values.size and values.min() >= 0 and values.max() <= 1):
            raise UserError("an image of floats has values in [0,1]; divide 8-bit values by 255, or give them as uint8")
    else:
        raise UserError(f"an image as a numpy array is uint8 or float in [0,1], got {pixels.dtype}")
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        data = read_regular(path)
    except (OSError, ValueError) as error:
        raise UserError(f"the image {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        return decode(data)
    except Exception as error:  # Pillow raises many kinds for damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is not a readable image ({reason})") from None


class TakesImages:
    """The call that every estimator has. Subclasses give `predict`: RGB batch in, batch of maps out."""

    name: str
    kind: str
    patch: int

    def predict(self, rgb: Tensor) -> Tensor:
        """RGB (B,3,H,W) in [0,1] -> map (B,1,H,W) float32."""
        raise NotImplementedError

    def __call__(self, image: Any) -> Any:
        """The map of one image or of a batch.

        A tensor (B,3,H,W) in [0,1] gives a tensor (B,1,H,W), float32, on the estimator's device. One image (a path, a
        PIL image, a numpy array (H,W,3) of uint8 or of floats in [0,1]) gives a numpy array (H,W), float32, at the
        image's own size. Values are what `kind` says: "disparity" (larger is nearer) or "depth", relative, of no fixed
        scale. Raises UserError, in one line, for anything else and for sizes that the network cannot take.
        """
        if isinstance(image, Tensor):
            check_rgb(image)
            return self.predict(image)
        return self.predict(as_batch(image))[0, 0].float().cpu().numpy()
