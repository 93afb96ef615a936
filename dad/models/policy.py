"""Input policies: which size a network sees an image at, and how its pixels are scaled. Pure numbers, as upstream's."""

from dataclasses import dataclass, replace
from typing import Literal

from dad.errors import UserError
from dad.models.resizing import Fit, network_size, possible_size

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class InputPolicy:
    """How an image becomes a network's input, and the map an image again.

    `size` is in pixels, and `fit` says of what: `lower`: aspect kept, both sides at least `size`; `upper`: both at
    most; `minimal`: the side that needs the least change becomes `size`; `square`: both exactly, aspect lost;
    `longest`: the longest side, the other truncated, 0 = the image's own size; `area`: the longest side, shrunk by
    area. Sides are rounded to `multiple`s. `back` interpolates the map to the image's size.

    Sources: Depth-Anything-V2 `util/transform.py`, MiDaS `transforms.py` and `model_loader.py`, GenPercept
    `image_util.py`, and Depth-Anything-3 `input_processor.py`.
    """

    size: int
    multiple: int
    fit: Fit
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    back: Literal["bilinear", "bicubic"] = "bilinear"

    def resized(self, size: int, *, patch: int, square: bool = False) -> "InputPolicy":
        """The same policy at another size, or with the aspect given up. Raises UserError for one that is no multiple of
        `patch`.

        `patch` is what the network can take at all; upstream's coarser multiple is kept where the size allows it.
        """
        if size < 0 or (size == 0 and self.fit != "longest") or size % patch:
            raise UserError(f"an input size of {size} pixels is not a positive multiple of the patch, {patch}")
        multiple = self.multiple if size % self.multiple == 0 else patch
        return replace(self, size=size, multiple=multiple, fit="square" if square else self.fit)

    def network_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the network's input for an image of this size. Raises UserError if there is none."""
        try:
            return possible_size(height, width, self.size, self.multiple, self.fit)
        except ValueError as error:
            raise UserError(str(error)) from None


def lower_bound_size(height: int, width: int, short_side: int, multiple: int) -> tuple[int, int]:
    """Depth Anything's input size: aspect kept, both sides >= `short_side`, rounded to multiples (never below)."""
    return network_size(height, width, short_side, multiple, "lower")
