"""What a normalization is (paper 3.1): one entry of `NORMALIZATIONS`; arithmetic in `dad.distill.normalization`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Normalization:
    """A map is normalised inside contexts, by their median and mean absolute deviation."""

    segments: tuple[int, ...]
    """Each S of these divides a map into S segments of its values, or into S x S tiles (`loss.groups`); a pixel's loss
    is the mean over them. From coarse to fine each number divides the next. None at all: the maps are compared without
    normalization.
    """
    logarithms: bool = False
    """Whether the maps are compared by the spread of the logarithm of their ratio (`dad.distill.silog`) instead of by
    absolute differences; only without segments.
    """

    def __post_init__(self) -> None:
        nested = all(fine % coarse == 0 for coarse, fine in zip(self.segments, self.segments[1:], strict=False))
        assert nested, f"segments {self.segments} are not nested"
        assert not (self.segments and self.logarithms), "logarithms are compared without segments"


NORMALIZATIONS: dict[str, Normalization] = {
    "global": Normalization((1,)),
    "hybrid": Normalization((1, 2, 4)),
    "local": Normalization((4,)),
    "none": Normalization(()),
    "silog": Normalization((), logarithms=True),
}
"""Eq. 1, 3, 5 and 6 of the paper, and SILog, which it does not have: rows of our own compare with it."""
