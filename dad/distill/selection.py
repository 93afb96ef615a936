"""Order statistics of many overlapping groups of pixels at once, by radix selection: no sort, no loop over images or
groups."""

import torch
from torch import Tensor

# Bits taken per pass: more bits mean fewer passes over the pixels and larger tables. Small images pay for the tables,
# large ones for the passes.
_FEW_PIXELS, _FEW_BITS, _MANY_BITS = 1 << 15, 8, 11


def select(values: Tensor, group: Tensor, contexts: Tensor, ranks: Tensor) -> Tensor:
    """Where, in each row and context, the value of a given rank stands.

    values: (R,N) float32 or float64, no NaN where a result is used. group: (R,N) int64 in 0..G-1, a partition of each
        row's pixels.
    contexts: (K,G) int64 in 0..C-1, K ways ("layers") of joining groups: context c of layer k is the union of the
        groups g with contexts[k,g] = c; the layers' numbers do not overlap, except for a number whose result is not
        used. ranks: (R,C) int64, 0 = smallest. Returns (R,C) int64, the first pixel number that holds the value; 0
        where the context has no pixel or the rank exceeds its size.

    The floats' bits, made to sort like unsigned integers, are read from the top, a digit per pass. A pass counts
    digits for all layers in one table: each group keeps one cell per layer of those pixels that still agree with the
    layer's wanted value (layers that want the same share the cell of the first), and one last cell for those that
    agree with none.
    """
    rows, pixels = values.shape
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
