"""Which pixels take part: thinning before a fit, and ground truth that a protocol takes out of the mask."""

import functools

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def inside(mask: Mask, *maps: NDArray) -> tuple[NDArray, ...]:
    """The values (n,) of maps (H,W) where the mask is true, in reading order; to be read only."""
    if mask.all():
        return tuple(values.ravel() for values in maps)
    # several times faster than indexing by the mask, and one search serves all maps
    places = np.flatnonzero(mask)
    return tuple(values.ravel().take(places) for values in maps)


def thinned(image: NDArray, factor: float, axes: tuple[int, ...]) -> NDArray:
    """The rows and columns of an image (H,W) that `decimated` picks along the given axes."""
    for axis in axes:
        image = image.take(decimated(image.shape[axis], factor), axis=axis)
    return image


def decimated(length: int, factor: float) -> NDArray[np.intp]:
    """Source indices of `torch.nn.Upsample(scale_factor=factor, mode="nearest")` along one axis, factor < 1.

    For float32 maps torch computes the source index as floor(j * (1 / factor)) in float32; so does this.
    """
    picks = np.arange(int(np.floor(length * factor)), dtype=np.float32) * np.float32(1.0 / factor)
    return np.minimum(np.floor(picks).astype(np.intp), length - 1)


def nearest_to_grid(mask: Mask, size: int = 64) -> NDArray[np.intp]:
    """Flat indices of the valid pixels nearest to the cell centres of a size x size grid over the mask (H,W).

    A cell is H/size x W/size pixels large, may be smaller than a pixel, and gives nothing if it holds no valid
    pixel; ties go to the first in reading order. This is the subset that microsoft/MoGe `moge/test/metrics.py` fits
    on (`masked_nearest_resize` of EasternJournalist/utils3d).
    """
    (rows, row_distance), (columns, column_distance) = (_cells(length, size) for length in mask.shape)
    row_starts, column_starts = (np.flatnonzero(np.diff(cells, prepend=-1)) for cells in (rows, columns))
    distance = np.where(mask, row_distance[:, None] + column_distance[None, :], np.float32(np.inf))
    nearest = np.minimum.reduceat(np.minimum.reduceat(distance, row_starts, axis=0), column_starts, axis=1)
    row_counts, column_counts = np.diff(row_starts, append=rows.size), np.diff(column_starts, append=columns.size)
    spread = np.repeat(np.repeat(nearest, row_counts, axis=0), column_counts, axis=1)
    candidates = np.flatnonzero(mask & (distance == spread))
    cell_of = rows[candidates // mask.shape[1]] * size + columns[candidates % mask.shape[1]]
    return candidates[np.unique(cell_of, return_index=True)[1]]


def _cells(length: int, size: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Cell of every pixel of one axis and the squared distance to that cell's centre, in pixels."""
    centres = np.arange(length) + 0.5
    width = length / size
    # a pixel centre on a border belongs to the cell before it
    cells = np.maximum(np.ceil(centres / width - 1e-7).astype(np.intp) - 1, 0)
    return cells, np.square(centres - (cells + 0.5) * width).astype(np.float32)


def occlusion_edges(depth: NDArray[np.floating], mask: Mask, *, thickness: int = 1, tolerance: float = 0.1) -> Mask:
    """Pixels (H,W) at depth discontinuities: both a nearer and a farther side lie within `thickness` pixels.

    A pixel is on the near side if its disparity exceeds the mean over the valid pixels of its (2 * thickness + 1)^2
    window by the factor 1 + tolerance, on the far side if the mean exceeds it likewise. microsoft/MoGe
    `moge/utils/geometry_numpy.py` `depth_occlusion_edge_numpy`.
    """
    disparity = np.divide(1.0, depth, out=np.zeros(depth.shape, np.float32), where=mask)
    valid = mask.astype(np.float32)
    mean = _box_sum(disparity, thickness) / np.maximum(_box_sum(valid, thickness), 1.0)
    near = mask & (disparity > (1.0 + tolerance) * mean)
    far = mask & (mean > (1.0 + tolerance) * disparity)
    return (_box_sum(near, thickness) > 0) & (_box_sum(far, thickness) > 0)


def _box_sum(image: NDArray, radius: int) -> NDArray[np.float32]:
    """Sum over a (2 * radius + 1)^2 window, zero outside the image, as two passes of shifted additions."""
    for axis in (0, 1):
        length = image.shape[axis]
        padding = [(radius, radius) if other == axis else (0, 0) for other in (0, 1)]
        padded = np.moveaxis(np.pad(image.astype(np.float32), padding), axis, 0)
        shifted = [padded[shift : shift + length] for shift in range(2 * radius + 1)]
        image = np.moveaxis(functools.reduce(np.add, shifted), 0, axis)
    return image


def without_outliers(
    depth: NDArray[np.floating],
    mask: Mask,
    *,
    quantile: float,
    factor: float,
    truth: NDArray[np.floating] | None = None,
) -> Mask:
    """The mask without truth deeper than `factor` times its own quantile (microsoft/MoGe
    `moge/test/dataloader.py`). truth: (n,) the depth inside the mask, if it is at hand.
    """
    (values,) = inside(mask, depth) if truth is None else (truth,)
    # no quantile is below the smallest value: where even this one drops nothing, the quantile need not be found
    if values.size == 0 or float(values.max()) <= factor * float(values.min()):
        return mask
    return mask & (depth <= factor * np.quantile(values, quantile))
