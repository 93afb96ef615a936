"""Depth normalisation within groups of pixels (paper section 3.1, equations 1, 3 and 5; upstream icoz69/HDN
`demo.py`).

A map is normalised inside a *context*: subtract the context's median, divide by its mean absolute deviation from it. A
*level* S divides an image's valid pixels into contexts, always by the target (the pseudo-label), and both maps use the
same contexts:

- `range`: S segments of equal width between the target's smallest and largest valid value,
- `percentile`: S segments between the target's quantiles (linear interpolation),
- `spatial`: S x S tiles of the image plane.

The levels are nested: every context of level 4 lies inside one of level 2. So one integer per pixel (its group at the
finest level) describes all of them; `dad.distill.selection` finds the medians of all contexts by it, and
`dad.distill.context_errors` the order of the pixels in which every context is one piece.

Two variants of the arithmetic:

- `hdn`: upstream's. Scale = sum|d - t| / (n + 1), divisor = scale + 1e-6, and for `range` and `percentile` the
  segments are open above, so the pixels at the top edge (the maximum) are in no context at any level. Upstream adds
  1e-30 to the upper edge of `range`, which float32 rounds away; here it is left out, which differs only where an edge
  is exactly 0.
- `paper`: the equations. Scale = mean|d - t|, the last segment is closed, so every valid pixel is in exactly one
  context per level. A scale of at most 1e-6 (a flat context, where the equation would divide by zero) is replaced by
  1: the context then counts as zeros.

Both use the lower median (of an even number of values the smaller middle one), which torch and upstream use.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dad.distill.selection import of_ranks, select
from dad.errors import UserError
from dad.study.normalizations import NORMALIZATIONS

GROUPS = ("range", "percentile", "spatial")
VARIANTS = ("hdn", "paper")
SMALLEST_SCALE = 1e-6

# Sums and look-ups per context are spread over this many copies of the context's entry (pixel number modulo copies):
# fewer threads of a GPU meet at one address, and a float32 sum over 10^5 pixels keeps its last digits because it is
# built from partial sums.
_COPIES = 64


def check_choices(normalization: str, groups: str, variant: str) -> None:
    """Raise UserError unless the three names are among NORMALIZATIONS, GROUPS and VARIANTS."""
    for key, value, allowed in (
        ("normalization", normalization, NORMALIZATIONS),
        ("groups", groups, GROUPS),
        ("variant", variant, VARIANTS),
    ):
        if value not in allowed:
            raise UserError(f"{key} {value!r} is unknown; choose one of {', '.join(allowed)}")


def check_maps(prediction: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The two maps in one computing type (float64 if one is, else float32) and a mask, all (B,1,H,W).

    Values outside the mask become 0 in both, so that whatever stood there (NaN too) can reach neither the loss nor its
    gradient. The target is cut from the graph. Raises UserError on shapes that differ or are not (B,1,H,W), and on a
    mask that is not boolean.
    """
    if prediction.ndim != 4 or prediction.shape[1] != 1 or prediction.shape != target.shape:
        raise UserError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must have one shape (B,1,H,W)"
        )
    if mask is None:
        mask = torch.ones_like(target, dtype=torch.bool)
    elif mask.shape != target.shape or mask.dtype != torch.bool:
        raise UserError(
            f"mask {tuple(mask.shape)} {mask.dtype} must be boolean with the target's shape {tuple(target.shape)}"
        )
    double = torch.float64 in (prediction.dtype, target.dtype)
    dtype = torch.float64 if double else torch.float32
    return (
        torch.where(mask, prediction.to(dtype), 0.0),
        torch.where(mask, target.detach().to(dtype), 0.0),
        mask,
    )


@dataclass(frozen=True)
class Contexts:
    """Which contexts each pixel belongs to, for R images of N pixels and L nested levels.

    finest: (R,N) uint8 (int64 from 256 groups on), the pixel's group at the finest level; the last number, G, stands
    for "in none". parents: (L,G+1) int64, each group's context, numbered within its level; the level's last number
    stands for "in
        none".
    counts: the number of contexts per level, without that last one.
    """

    finest: Tensor
    parents: Tensor
    counts: tuple[int, ...]

    def inside(self) -> Tensor:
        """(R,N) bool: pixels that are in a context (of every level, since levels are nested)."""
        return self.finest < self.parents.shape[1] - 1

    def level(self, number: int) -> Tensor:
        """(R,N) int64: each pixel's context at the level with this position in the list of levels."""
        finest = self.finest.long()
        return finest if number == len(self.counts) - 1 else self.parents[number].take(finest)


def contexts_of(target: Tensor, mask: Tensor, normalization: str, groups: str, variant: str) -> Contexts:
    """Contexts of a target (B,1,H,W), finite under the mask and outside. A single segment, as of `global`, is one
    context of all valid pixels in both variants."""
    levels = NORMALIZATIONS[normalization].segments
    segments = levels[-1]
    planar = groups == "spatial"
    counts = tuple(level**2 if planar else level for level in levels)
    values, valid = target.flatten(1), mask.flatten(1)
    # one byte a pixel, an eighth of the memory that look-ups need later
    number = torch.uint8 if max(counts) < 256 else torch.int64
    if planar:
        row, column = (_tiles(size, segments, target.device) for size in target.shape[2:])
        finest = (row[:, None] * segments + column).flatten().to(number)
    else:
        finest = torch.zeros_like(values, dtype=number)
    if segments > 1 and not planar:
        edges = _range_edges(values, valid, segments) if groups == "range" else _quantiles(values, valid, segments)
        for lower in range(1, segments):
            finest += values >= edges[:, lower, None]
        if variant == "hdn":
            valid = valid & (values < edges[:, segments, None])
    return Contexts(torch.where(valid, finest, max(counts)), _parents(levels, planar, target.device), counts)


def _parents(levels: Sequence[int], planar: bool, device: torch.device) -> Tensor:
    """(L,G+1) context of each finest group at each level, as `Contexts.parents`."""
    segments = levels[-1]
    group = torch.arange(segments**2 if planar else segments, device=device)
    rows = []
    for level in levels:
        width = segments // level
        parent = group // segments // width * level + group % segments // width if planar else group // width
        rows.append(torch.nn.functional.pad(parent, (0, 1), value=level**2 if planar else level))
    return torch.stack(rows)


def _tiles(size: int, segments: int, device: torch.device) -> Tensor:
    """(size,) tile number of each row or column; tile i begins at int(i * size / segments), as upstream (which knows
    square maps only)."""
    starts = torch.arange(1, segments, device=device) * size // segments
    return (torch.arange(size, device=device)[:, None] >= starts).sum(1)


def _range_edges(values: Tensor, valid: Tensor, segments: int) -> Tensor:
    """(R,segments+1) edges of equal steps between each row's smallest and largest valid value, in upstream's order of
    operations."""
    low = torch.where(valid, values, torch.inf).amin(1, keepdim=True)
    high = torch.where(valid, values, -torch.inf).amax(1, keepdim=True)
    steps = torch.arange(segments + 1, dtype=values.dtype, device=values.device)
    return low + (high - low) * steps / segments


def _quantiles(values: Tensor, valid: Tensor, segments: int) -> Tensor:
    """(R,segments+1) quantiles 0, 1/segments, ..., 1 of each row's valid values, with torch's linear interpolation.

    `torch.nanquantile` refuses more than 16 million values.
    """
    last = valid.sum(1, keepdim=True).clamp(min=1) - 1
    rank = torch.arange(segments + 1, dtype=values.dtype, device=values.device) / segments * last
    found = of_ranks(values, valid, torch.cat((rank.floor(), rank.ceil()), 1).long())
    below, above = found.chunk(2, 1)
    return below.lerp(above, rank - rank.floor())


def group_index(
    target: Tensor,
    mask: Tensor | None = None,
    *,
    normalization: str = "hybrid",
    groups: str = "range",
    variant: str = "hdn",
) -> Tensor:
    """The context of every pixel at every level: (B,L,H,W) int64, -1 where the pixel is in none.

    target: (B,1,H,W) float; mask: (B,1,H,W) bool, all valid if not given. L = 3 levels S = 1, 2, 4 for `hybrid`, S = 4
        for `local`, S = 1 for `global`. Numbers run from small values to large (`range`, `percentile`) or row by row
        over the S x S tiles (`spatial`). Raises UserError on unknown names, on `none` (which has no contexts) and on
        shapes that do not fit.
    """
    _check_normalising(normalization, groups, variant)
    _, values, mask = check_maps(target.detach(), target, mask)
    contexts = contexts_of(values, mask, normalization, groups, variant)
    inside = contexts.inside()
    levels = [torch.where(inside, contexts.level(number), -1) for number in range(len(contexts.counts))]
    return torch.stack(levels, 1).unflatten(2, target.shape[2:])


def normalise(
    depth_map: Tensor,
    target: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    normalization: str = "hybrid",
    groups: str = "range",
    variant: str = "hdn",
) -> Tensor:
    """The normalised map at every level, (B,L,H,W), as the loss compares it (paper Figure 4); 0 where a pixel is in no
    context.

    depth_map: (B,1,H,W) float, differentiable; target: (B,1,H,W), the map that defines the contexts (`depth_map`
        itself if not given); mask, names, levels and errors as in `group_index`. float32, or float64 if an input is.
    """
    _check_normalising(normalization, groups, variant)
    values, target, mask = check_maps(depth_map, depth_map if target is None else target, mask)
    with torch.autocast(values.device.type, enabled=False):
        contexts = contexts_of(target, mask, normalization, groups, variant)
        flat = values.flatten(1)
        levels = [normalise_level(flat, level, level.medians[0], variant) for level in levels_of(contexts, flat)]
        inside = contexts.inside()[:, None]
        return torch.where(inside, torch.stack(levels, 1), 0.0).unflatten(2, depth_map.shape[2:])


def _check_normalising(normalization: str, groups: str, variant: str) -> None:
    check_choices(normalization, groups, variant)
    if not NORMALIZATIONS[normalization].segments:
        others = [name for name, known in NORMALIZATIONS.items() if known.segments]
        raise UserError(
            f"normalization {normalization!r} has no contexts and no normalised map; choose one of {', '.join(others)}"
        )


@dataclass(frozen=True)
class Level:
    """One level's contexts of R images, with what normalising any map by them needs.

    entry: (R,N) int64, the pixel's context spread over `_COPIES` entries; None where the level is one context; inside:
    (R,N)
        bool, the pixels in a context; sizes: (R,C+1) pixels per context; medians: (R,C+1) for each map, the number of
        the first pixel that holds the context's lower median. The last column is for the pixels in no context, and has
        no meaning.
    """

    entry: Tensor | None
    inside: Tensor
    sizes: Tensor
    medians: tuple[Tensor, ...]


def levels_of(contexts: Contexts, *maps: Tensor) -> list[Level]:
    """The levels of R images, with the lower medians of each of the maps, (R,N), in each context; from the coarsest
    level to the finest."""
    widths = [count + 1 for count in contexts.counts]
    offsets = [sum(widths[:number]) for number in range(len(widths))]
    joined = torch.stack([parent + offset for parent, offset in zip(contexts.parents, offsets, strict=True)])
    finest = contexts.finest.long()
    members = torch.zeros(len(finest), joined.shape[1], dtype=torch.int64, device=joined.device)
    members.scatter_add_(1, finest, torch.ones_like(finest))
    sizes = members.new_zeros(len(members), sum(widths))
    sizes.index_add_(1, joined.flatten(), members.repeat(1, len(widths)))
    times = len(maps)
    ranks = (sizes - 1).clamp(min=0) // 2
    medians = select(torch.cat(maps).detach(), finest, joined, ranks.repeat(times, 1))
    copy = torch.arange(finest.shape[1], device=joined.device) % _COPIES
    inside = contexts.inside()
    levels = []
    of_levels = zip(widths, sizes.split(widths, 1), medians.split(widths, 1), strict=True)
    for number, (width, of_size, of_median) in enumerate(of_levels):
        entry = contexts.level(number) + width * copy if width > 2 else None
        levels.append(Level(entry, inside, of_size, of_median.chunk(times)))
    return levels


def normalise_level(values: Tensor, level: Level, medians: Tensor, variant: str) -> Tensor:
    """(R,N) values normalised within the contexts of one level. Gradients flow through median and scale, as upstream.

    medians: the entry of `level.medians` that belongs to these values. At pixels in no context the result is finite
        and has no meaning.
    """
    if level.entry is None:
        centred = values - values.gather(1, medians[:, :1])
        deviation = torch.where(level.inside, centred.abs(), 0.0).sum(1, keepdim=True)
        return centred / _divisor(deviation, level.sizes[:, :1], variant)
    width = level.sizes.shape[1]

    def per_pixel(of: Tensor) -> Tensor:
        return of.repeat(1, _COPIES).gather(1, level.entry)

    centred = values - per_pixel(values.gather(1, medians))
    sums = values.new_zeros(len(values), _COPIES * width).scatter_add(1, level.entry, centred.abs())
    deviation = sums.unflatten(1, (_COPIES, width)).sum(1)
    return centred / per_pixel(_divisor(deviation, level.sizes, variant))


def _divisor(deviation: Tensor, sizes: Tensor, variant: str) -> Tensor:
    """What each context's values are divided by, from the sum of their absolute deviations and their number."""
    if variant == "hdn":
        return deviation / (sizes + 1) + SMALLEST_SCALE
    scale = deviation / sizes.clamp(min=1)
    return torch.where(scale > SMALLEST_SCALE, scale, 1.0)


def divisor_of(deviation: float, size: int, variant: str) -> tuple[float, float]:
    """The same for a single context, which has pixels, and how much the divisor grows with that sum."""
    if variant == "hdn":
        return deviation / (size + 1) + SMALLEST_SCALE, 1 / (size + 1)
    scale = deviation / size
    return (scale, 1 / size) if scale > SMALLEST_SCALE else (1.0, 0.0)
