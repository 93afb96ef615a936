"""How far an error of a region reaches: what it does to the normalised labels of all other pixels (equations 1-6)."""

import numpy as np
import torch
from torch import Tensor

from dad.distill.noise import region
from dad.distill.normalization import GROUPS, normalise
from dad.study.normalizations import NORMALIZATIONS

COMPARED = tuple(name for name, known in NORMALIZATIONS.items() if not known.logarithms)
GROUPED = tuple(
    name for name in COMPARED if len(NORMALIZATIONS[name].segments) > 1 or NORMALIZATIONS[name].segments[:1] > (1,)
)
"""Those that divide a map, and so depend on how (`loss.groups`)."""


def keys(groups: str) -> dict[str, tuple[str, str]]:
    """What is compared: name -> normalization and groups; the study's groups first, others with theirs in brackets."""
    own = {name: (name, groups) for name in COMPARED}
    return own | {f"{name} ({other})": (name, other) for other in GROUPS if other != groups for name in GROUPED}


def leak(
    label: Tensor, strength: float, rng: np.random.Generator, *, groups: str = "range", variant: str = "hdn"
) -> dict[str, float]:
    """Per entry of `keys`: the mean absolute change of the normalised label over the pixels outside a spoiled region.

    label: (1,H,W), a teacher's map. The region (`dad.distill.noise.region`) covers `strength` of it and is wrong in
    scale. A normalised map has a mean absolute deviation of 1 per context; the raw map (`none`) is divided by its own,
    so that all numbers are in the same unit, and changes nowhere outside: 0 by construction. A wrong region also moves
    the borders of contexts, which depend on the label's range or percentiles: those pixels change, too.
    """
    spoiled = region(label, strength, rng)
    outside = spoiled == label
    changes = {}
    for key, (name, divided) in keys(groups).items():
        if not NORMALIZATIONS[name].segments:
            deviation = (label - label.median()).abs().mean().clamp(min=1e-12)
            change = (spoiled - label).abs() / deviation
            changes[key] = change[outside].mean().item()
            continue
        how = {"normalization": name, "groups": divided, "variant": variant}
        before, after = (normalise(of[None], None, None, **how)[0] for of in (label, spoiled))
        changes[key] = (after - before).abs().mean(0, keepdim=True)[outside].mean().item()
    return changes


def leaks(
    labels: dict[str, Tensor], strengths: tuple[float, ...], *, groups: str, variant: str
) -> dict[str, dict[str, list[float]]]:
    """`leak` of every photo's label at every strength: normalization -> strength -> one number per photo, in order.

    Every photo's region is drawn from its id, in the same place for all strengths' first draw and all normalizations.
    """
    found: dict[str, dict[str, list[float]]] = {
        name: {f"{strength:g}": [] for strength in strengths} for name in keys(groups)
    }
    for photo, label in labels.items():
        for strength in strengths:
            rng = np.random.default_rng([ord(letter) for letter in photo][-32:])
            for name, change in leak(label.float(), strength, rng, groups=groups, variant=variant).items():
                found[name][f"{strength:g}"].append(change)
    return found


def square_labels(estimator: object, squares: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The estimator's maps (1,S,S) of squares (3,S,S)."""
    return {photo: estimator(torch.from_numpy(square)[None])[0].float().cpu() for photo, square in squares.items()}  # type: ignore[operator]
