"""How a map becomes a picture, everywhere in the project."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NO_VALUE = (190, 190, 190)
"""Colour of pixels that are not finite."""
ENDS = (2, 98)
"""Percentiles of a map at the ends of its colour scale."""


def colourise(disparity: NDArray[np.floating], *, like: NDArray[np.floating] | None = None) -> NDArray[np.uint8]:
    """An affine-invariant disparity map (H,W) as uint8 (H,W,3): red is near, blue is far.

    The map's own 2nd and 98th percentiles are the ends of the scale (`Spectral_r`), so its scale and shift do not show.
    With another map `like` they are those of its finite values, so that equal colours in both maps are equal values. A
    map without spread gets the middle colour, pixels that are not finite are grey. For depth (larger = farther) pass
    its negative.
    """
    disparity = np.asarray(disparity, dtype=np.float64)
    finite = np.isfinite(disparity)
    position = np.full(disparity.shape, np.nan)
    if finite.any():
        given = [] if like is None else like[np.isfinite(like)]
        low, high = np.percentile(given if len(given) else disparity[finite], ENDS)
        position[finite] = (disparity[finite] - low) / (high - low) if high > low else 0.5
    return shaded(position, "Spectral_r")


def shaded(position: NDArray[np.floating], colours: str) -> NDArray[np.uint8]:
    """Positions (H,W) on a colour scale of Matplotlib, 0 and 1 its ends, as uint8 (H,W,3); grey where not finite."""
    import matplotlib

    finite = np.isfinite(position)
    coloured = np.empty((*position.shape, 3), np.uint8)
    coloured[...] = NO_VALUE
    coloured[finite] = matplotlib.colormaps[colours](np.clip(position[finite], 0, 1), bytes=True)[:, :3]
    return coloured


def shrunk(values: NDArray[np.floating], largest: int) -> NDArray[np.float64]:
    """A map (H,W) with its longest side at most `largest`: means over the finite pixels of each block, NaN where there
    is none.

    Sparse truth stays visible this way, and its edges are not mixed with what is not there.
    """
    factor = min(1.0, largest / max(values.shape))
    height, width = (max(1, round(size * factor)) for size in values.shape)
    rows, columns = (np.arange(size) * small // size for size, small in zip(values.shape, (height, width), strict=True))
    finite = np.isfinite(values)
    place = (rows[:, None] * width + columns)[finite]
    with np.errstate(invalid="ignore"):
        means = np.bincount(place, values[finite], height * width) / np.bincount(place, minlength=height * width)
    return means.reshape(height, width)


def smaller(
    pixels: NDArray[np.uint8], largest: int | None, how: Image.Resampling = Image.Resampling.LANCZOS
) -> NDArray[np.uint8]:
    """A picture (H,W,3) with its longest side at most `largest`; itself where it is no longer, or without a limit."""
    if largest is None or max(pixels.shape[:2]) <= largest:
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((largest, largest), how)
    return np.asarray(image)
