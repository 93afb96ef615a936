"""Order statistics of many overlapping groups of pixels at once: on a GPU by radix selection, without a loop over images or
groups, on a CPU by numpy's partition.
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

    values: (R,N) float32 or float64, no NaN where a result is used. group: (I,N) int64 in 0..G-1, a partition of the pixels
        of each of I images; row r of the values is a map of image r % I.
    contexts: (K,G) int64 in 0..C-1, K ways ("layers") of joining groups: context c of layer k is the union of the
        groups g with contexts[k,g] = c; the layers' numbers do not overlap, except for a number whose result is not
        used. ranks: (R,C) int64, 0 = smallest. Returns (R,C) int64, the first pixel number that holds the value; 0
        where the context has no pixel or the rank exceeds its size. (Of zeros of both signs a GPU takes the negative ones for
        smaller, a CPU takes all for equal.)
    """
    return (
        _by_partition(values, group, contexts, ranks) if values.device.type == "cpu" else by_radix(values, group, contexts, ranks)
    )


def _by_partition(values: Tensor, group: Tensor, contexts: Tensor, ranks: Tensor) -> Tensor:
    """`select`, image by image: the pixels are put in the order of their groups once, then every context is a few pieces of it."""
    members: dict[tuple[int, ...], list[int]] = {}
    for layer in contexts.tolist():
        for context in dict.fromkeys(layer):
            joined = tuple(number for number, of in enumerate(layer) if of == context)
            if context not in members.setdefault(joined, []):
                members[joined].append(context)
    # numbers below 256 in one byte: numpy counts them instead of comparing
    small = group.to(torch.uint8 if contexts.shape[1] <= 256 else torch.int64).numpy()
    sizes = np.stack([np.count_nonzero(small == number, axis=1) for number in range(contexts.shape[1])], 1).tolist()
    rows, wanted, found = values.detach().numpy(), ranks.tolist(), np.zeros(ranks.shape, dtype=np.int64)
    for image, of_pixel in enumerate(small):
        order = None if max(sizes[image]) == len(of_pixel) else np.argsort(of_pixel, kind="stable")
        pieces = {joined: _pieces(joined, sizes[image]) for joined in members}
        for row in range(image, len(rows), len(small)):
            ordered = rows[row] if order is None else rows[row][order]
            for joined, numbers in members.items():
                count = sum(sizes[image][number] for number in joined)
                used = {number: wanted[row][number] for number in numbers if wanted[row][number] < count}
                if not used:
                    continue
                kept = _joined(ordered, pieces[joined])
                in_place = np.partition(kept, list(used.values()))
                for number, rank in used.items():
                    (hits,) = np.nonzero(kept == in_place[rank])
                    if len(hits):  # NaN, where the result is not used, equals nothing
                        found[row, number] = hits[0] if order is None else _joined(order, pieces[joined])[hits].min()
    return torch.from_numpy(found)


def _pieces(joined: Sequence[int], sizes: Sequence[int]) -> list[slice]:
    """Where the pixels of these groups stand when all are in the order of their groups: as few pieces as there can be."""
    pieces: list[slice] = []
    for number in joined:
        start = sum(sizes[:number])
        if pieces and pieces[-1].stop == start:
            pieces[-1] = slice(pieces[-1].start, start + sizes[number])
        elif sizes[number]:
            pieces.append(slice(start, start + sizes[number]))
    return pieces


def _joined(values: NDArray[Any], pieces: list[slice]) -> NDArray[Any]:
    return values[pieces[0]] if len(pieces) == 1 else np.concatenate([values[piece] for piece in pieces])


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
