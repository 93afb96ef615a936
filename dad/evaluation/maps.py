"""One image's prediction and ground truth, checked; what all protocols need of them is gathered once."""

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dad.errors import UserError
from dad.evaluation import sampling

Vector = NDArray[np.float32]


class Maps:
    """A prediction, its ground truth and its mask, of one size.

    prediction, depth: (H,W), kept as float32. labels: (H,W) bool, the mask as given. image: the image's name, for
    messages. Raises UserError for what cannot be meant: other shapes or types.
    """

    def __init__(self, prediction: ArrayLike, depth: ArrayLike, labels: ArrayLike, image: str = "") -> None:
        self.where = f"image {image}: " if image else ""
        self.prediction, self.depth, self.labels = _checked(prediction, depth, labels, self.where)

    def inside(self, mask: NDArray[np.bool_]) -> tuple[Vector, Vector]:
        """Prediction and truth (n,) where a mask is true, in reading order; to be read only."""
        return self._labelled if mask is self.labels else self._gathered(mask)

    @functools.cached_property
    def _labelled(self) -> tuple[Vector, Vector]:
        return self._gathered(self.labels)

    def _gathered(self, mask: NDArray[np.bool_]) -> tuple[Vector, Vector]:
        prediction, depth = sampling.inside(mask, self.prediction, self.depth)
        return prediction, depth

    @functools.cached_property
    def centre(self) -> "Maps":
        """The central h/2 x w/2 region, as an image of its own."""
        region = tuple(slice(size // 4, size // 4 + size // 2) for size in self.labels.shape)
        return Maps(self.prediction[region], self.depth[region], self.labels[region])


def _checked(
    prediction: ArrayLike, depth: ArrayLike, mask: ArrayLike, where: str
) -> tuple[Vector, Vector, NDArray[np.bool_]]:
    prediction, depth, mask = np.asarray(prediction), np.asarray(depth), np.asarray(mask)
    if depth.ndim != 2 or mask.shape != depth.shape:
        raise UserError(f"{where}ground truth {depth.shape} and mask {mask.shape} must be (H,W) of one size")
    if prediction.shape != depth.shape:
        raise UserError(
            f"{where}the prediction is {prediction.shape}, the ground truth {depth.shape}; "
            "predictions are scored at the ground truth's resolution"
        )
    if mask.dtype != np.bool_:
        raise UserError(f"{where}the mask is {mask.dtype}, not bool")
    for name, values in (("prediction", prediction), ("ground truth", depth)):
        if values.dtype.kind not in "fiu":
            raise UserError(f"{where}the {name} is {values.dtype}, not a real number type")
    return prediction.astype(np.float32, copy=False), depth.astype(np.float32, copy=False), mask
