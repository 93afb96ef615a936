"""How a disparity map is coloured, everywhere in the project."""

import numpy as np
from numpy.typing import NDArray

NO_VALUE = (190, 190, 190)
"""Colour of pixels that are not finite."""
ENDS = (2, 98)
"""Percentiles of a map at the ends of its colour scale."""


def colourise(disparity: NDArray[np.floating], *, like: NDArray[np.floating] | None = None) -> NDArray[np.uint8]:
    """An affine-invariant disparity map (H,W) as uint8 (H,W,3): red is near, blue is far.

    The map's own 2nd and 98th percentiles are the ends of the scale (`Spectral_r`), so its scale and shift do not show. With
    another map `like` they are those of its finite values, so that equal colours in both maps are equal values. A map without
    spread gets the middle colour, pixels that are not finite are grey. For depth (larger = farther) pass its negative.
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
    """Positions (H,W) on a colour scale of Matplotlib, 0 and 1 being its ends, as uint8 (H,W,3); grey where they are not finite."""
    import matplotlib

    finite = np.isfinite(position)
    coloured = np.empty((*position.shape, 3), np.uint8)
    coloured[...] = NO_VALUE
    coloured[finite] = matplotlib.colormaps[colours](np.clip(position[finite], 0, 1), bytes=True)[:, :3]
    return coloured
