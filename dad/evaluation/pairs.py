"""Pairs of neighbouring valid pixels, and the steps among them: pairs whose one side is farther by a factor."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dad.evaluation.alignment import BLOCK

Places = NDArray[np.intp]
Floats = NDArray[np.floating]
Transform = Callable[[Floats], Floats]

CHUNK = 4 * BLOCK
"""Pixels looked at together. On 24 megapixels the memory of whole temporary maps costs more than the work on them."""

SPARSE = 0.2
"""Up to this share of valid pixels, listing the pairs once and gathering their values beats looking at every pixel."""


def unchanged(values: Floats) -> Floats:
    """The transform of a map that is compared as is."""
    return values


def bands(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """(first row, rows) of the bands of an image (H,W) that fit the cache; the last one can reach past the image."""
    height, width = shape
    rows = max(1, CHUNK // max(width, 1))
    return ((start, rows) for start in range(0, height, rows))


class Pairs:
    """Vertical and horizontal neighbours that are both valid; found once, used for the truth and for every prediction.

    mask: (H,W) bool, valid pixels. Pixels are named by their flat index.
    """

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        self._mask = mask
        self._height, self._width = mask.shape
        self._listed = self._list() if np.count_nonzero(mask) <= SPARSE * mask.size else None

    def _list(self) -> list[Places]:
        """The first pixels of all pairs, one array per axis."""
        found: tuple[list[Places], list[Places]] = ([], [])
        for start, rows in bands(self._mask.shape):
            for axis in (0, 1):
                found[axis].append(self._first(np.flatnonzero(self._both(start, rows, axis)), axis, start))
        return [np.concatenate(places or [np.empty(0, np.intp)]) for places in found]

    def steps(self, image: Floats, factor: float, transform: Transform = unchanged) -> tuple[Places, Places, Floats]:
        """The nearer and the farther pixel of all pairs whose ratio can exceed `factor`, and the ratios; each (n,).

        image: (H,W), brought to what is compared by `transform`, block by block. Pairs whose nearer side is not
        positive are left out; a few whose ratio is just below the factor are not.
        """
        # a little below, so that rounding of the product decides nothing
        threshold = np.float32(factor - 1e-3)
        search = self._in_bands if self._listed is None else self._in_list
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            found = list(search(image, threshold, transform))
            nearer, farther = (np.concatenate([pair[side] for pair in found]) for side in (0, 1))
            near = transform(image.ravel().take(nearer))
            positive = near > 0
            if not positive.all():
                nearer, farther, near = nearer[positive], farther[positive], near[positive]
            return nearer, farther, transform(image.ravel().take(farther)) / near

    def _in_list(self, image: Floats, threshold: np.float32, transform: Transform) -> Iterator[tuple[Places, Places]]:
        """(nearer, farther) of the steps, from the list of all valid pairs."""
        values = image.ravel()
        for axis, listed in enumerate(self._listed or ()):
            for start in range(0, max(listed.size, 1), CHUNK):
                begins = listed[start : start + CHUNK]
                ends = self._second(begins, axis)
                first, second = transform(values.take(begins)), transform(values.take(ends))
                rising, falling = second > first * threshold, first > second * threshold
                yield begins[rising], ends[rising]
                yield ends[falling], begins[falling]

    def _in_bands(self, image: Floats, threshold: np.float32, transform: Transform) -> Iterator[tuple[Places, Places]]:
        """(nearer, farther) of the steps, from bands of rows that fit the cache."""
        for start, rows in bands(self._mask.shape):
            # with the row below, to which the last one has neighbours
            band = transform(image[start : start + rows + 1])
            for axis in (0, 1):
                first, second = _neighbours(band if axis == 0 else band[:rows], axis)
                valid = self._both(start, rows, axis)
                rising = self._first(np.flatnonzero((second > first * threshold) & valid), axis, start)
                falling = self._first(np.flatnonzero((first > second * threshold) & valid), axis, start)
                yield rising, self._second(rising, axis)
                yield self._second(falling, axis), falling

    def _both(self, start: int, rows: int, axis: int) -> NDArray[np.bool_]:
        """Whether both pixels are valid, of all neighbours along an axis that begin in a band of rows."""
        return np.logical_and(*_neighbours(self._mask[start : start + rows + (axis == 0)], axis))

    def _first(self, found: Places, axis: int, row: int = 0) -> Places:
        """The first pixels of pairs, from their place among all pairs along an axis that begin in `row` or below."""
        return (found if axis == 0 else found + found // max(self._width - 1, 1)) + row * self._width

    def _second(self, first: Places, axis: int) -> Places:
        """The second pixels of pairs."""
        return first + (self._width if axis == 0 else 1)


def _neighbours(image: NDArray, axis: int) -> tuple[NDArray, NDArray]:
    """Views of the first and the second of all neighbours along an axis."""
    return (image[:-1], image[1:]) if axis == 0 else (image[:, :-1], image[:, 1:])
