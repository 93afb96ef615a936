"""Order statistics of many overlapping groups of pixels at once: on a GPU by radix selection, without a loop over
images or groups, on a CPU by numpy's partition of one after the other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Bits taken per pass: more bits mean fewer passes over the pixels and larger tables. Small images pay for the tables,
# large ones for the passes.
_FEW_PIXELS, _FEW_BITS, _MANY_BITS = 1 << 15, 8, 11


def select(values: Tensor, group: Tensor, contexts: Tensor, ranks: Tensor) -> Tensor:
    """Where, in each row and context, the value of a given rank stands.

    values: (R,N) float32 or float64, no NaN where a result is used. group: (I,N) int64 in 0..G-1, a partition of the
    pixels
        of each of I images; row r of the values is a map of image r % I.
    contexts: (K,G) int64 in 0..C-1, K ways ("layers") of joining groups: context c of layer k is the union of the
        groups g with contexts[k,g] = c; the layers are nested, as in `runs`, and their numbers do not overlap.
    ranks: (R,C) int64, 0 = smallest. Returns (R,C) int64, the first pixel number that holds the value; 0
        where the context has no pixel or the rank exceeds its size. (Of zeros of both signs a GPU takes the negative
        ones for smaller, a CPU takes all for equal.)
    """
    return (
        _by_partition(values, group, contexts, ranks)
        if values.device.type == "cpu"
        else by_radix(values, group, contexts, ranks)
    )


def runs(group: NDArray[Any], contexts: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], list[dict[int, slice]]]:
    """The pixels of an image in an order in which every context is one piece: that order, and each layer's pieces of
    it.

    group: (N,) integers; those from G on are left out. contexts: K rows of G numbers, as in `select`. The layers are
    nested: a context of one lies inside one of the layer before, so groups ordered by their contexts in the first
    layer, then the second, ... do it. Within a group pixels keep their order.
    """
    groups = sorted(range(len(contexts[0])), key=lambda number: [layer[number] for layer in contexts])
    pixels = [np.flatnonzero(group == number) for number in groups]
    stops = np.cumsum([len(of) for of in pixels]).tolist()
    layers = []
    for layer in contexts:
        pieces: dict[int, slice] = {}
        for number, start, stop in zip(groups, [0, *stops], stops, strict=False):
            pieces[layer[number]] = slice(pieces[layer[number]].start if layer[number] in pieces else start, stop)
        layers.append(pieces)
    return np.concatenate(pixels), layers


def _by_partition(values: Tensor, group: Tensor, contexts: Tensor, ranks: Tensor) -> Tensor:
    """`select`, image by image and context by context."""
    rows, wanted, found = values.detach().numpy(), ranks.tolist(), np.zeros(ranks.shape, dtype=np.int64)
    for image, of_pixel in enumerate(group.numpy()):
        order, layers = runs(of_pixel, contexts.tolist())
        for row in range(image, len(rows), len(group)):
            ordered = rows[row].take(order)
            for context, run in (item for layer in layers for item in layer.items()):
                rank, kept = wanted[row][context], ordered[run]
                if rank < len(kept):
                    hits = np.flatnonzero(kept == np.partition(kept, rank)[rank])
                    if len(hits):  # NaN, where the result is not used, equals nothing
                        found[row, context] = order[run][hits].min()
    return torch.from_numpy(found)


def of_ranks(values: Tensor, valid: Tensor, ranks: Tensor) -> Tensor:
    """(R,K) the values of these ranks, (R,K) int64, 0 = smallest, among each row's valid ones; values and valid are
    (R,N). Where there are too few, any of the row's values, or 0.
    """
    if values.device.type != "cpu":
        return of_ranks_by_radix(values, valid, ranks)
    found = torch.zeros_like(ranks, dtype=values.dtype)
    for row, kept, wanted, result in zip(
        values.detach().numpy(), valid.numpy(), ranks.numpy(), found.numpy(), strict=True
    ):
        ordered = np.sort(row[kept])
        if len(ordered):
            result[:] = ordered.take(wanted, mode="clip")
    return found


def of_ranks_by_radix(values: Tensor, valid: Tensor, ranks: Tensor) -> Tensor:
    """`of_ranks`, for any device. Every rank is a layer of its own: group 0, the valid pixels, is its context."""
    layers = ranks.shape[1]
    one_each = torch.arange(layers, device=values.device)
    contexts = torch.stack((one_each, torch.full_like(one_each, layers)), 1)  # of group 1, the others, nothing is used
    places = by_radix(values, (~valid).long(), contexts, torch.nn.functional.pad(ranks, (0, 1)))
    return values.gather(1, places[:, :layers])


def by_radix(values: Tensor, group: Tensor, contexts: Tensor, ranks: Tensor) -> Tensor:
    """`select`, for any device.

    The floats' bits, made to sort like unsigned integers, are read from the top, a digit per pass. A pass counts
    digits for all layers in one table: each group keeps one cell per layer of those pixels that still agree with the
    layer's wanted value (layers that want the same share the cell of the first), and one last cell for those that
    agree with none.
    """
    rows, pixels = values.shape
    group = group.repeat(rows // len(group), 1)
    layers, groups = contexts.shape
    device = values.device
    wide = values.dtype == torch.float64
    raw = values.contiguous().view(torch.int64 if wide else torch.int32)
    keys = torch.where(raw < 0, ~raw, raw ^ torch.iinfo(raw.dtype).min)
    cells = layers + 1
    # a table row is a cell of a group; both the pixels' rows and the layers' wanted rows move with every pass
    first_row = torch.arange(groups, dtype=torch.int32, device=device) * cells
    pixel_row = (group * cells).int()
    wanted = first_row.long().expand(rows, layers, groups)
    number_of_one = torch.ones((), dtype=torch.int32, device=device).expand(rows, pixels)
    joined = contexts.flatten()
    left = 64 if wide else 32
    while left > 0:
        bits = min(_FEW_BITS if pixels < _FEW_PIXELS else _MANY_BITS, left)
        left -= bits
        digits = 1 << bits
        # in place, because fresh memory for every step costs more than the arithmetic
        digit_of_pixel = (keys >> left).bitwise_and_(digits - 1)
        entry = pixel_row.bitwise_left_shift_(bits).bitwise_or_(digit_of_pixel.int()).long()
        table = torch.zeros(rows, groups * cells * digits, dtype=torch.int32, device=device)
        table.scatter_add_(1, entry, number_of_one)
        of_groups = table.unflatten(1, (-1, digits)).gather(1, wanted.flatten(1)[..., None].expand(-1, -1, digits))
        counts = torch.zeros(rows, ranks.shape[1], digits, dtype=torch.int32, device=device)
        counts.index_add_(1, joined, of_groups)
        upto = counts.cumsum(-1)
        digit = (upto <= ranks[..., None]).sum(-1).clamp_(max=digits - 1)
        ranks = ranks - (upto - counts).gather(-1, digit[..., None])[..., 0]
        # the pixels that agree with a layer move to its cell, all others to their group's last one
        chosen = (wanted << bits) | digit[:, contexts]
        next_row = (first_row + layers).repeat_interleave(cells * digits).repeat(rows, 1)
        for layer in reversed(range(layers)):
            next_row.scatter_(1, chosen[:, layer], (first_row + layer).expand(rows, -1))
        wanted = next_row.gather(1, chosen.flatten(1)).unflatten(1, (layers, groups)).long()
        pixel_row = next_row.gather(1, entry)
    number = torch.arange(pixels, device=device).expand(rows, -1)
    first = torch.full((rows, groups * cells), pixels, device=device)
    first.scatter_reduce_(1, pixel_row.long(), number, "amin")
    result = torch.full(ranks.shape, pixels, device=device)
    result.scatter_reduce_(1, joined.expand(rows, -1), first.gather(1, wanted.flatten(1)), "amin")
    return torch.where(result < pixels, result, 0)
