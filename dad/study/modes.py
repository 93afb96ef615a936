"""What a distillation mode is, and what eq. 9 adds up: labels, supervision, the loss and the lists of cells all read it
here.

A mode is one entry of `MODES`, a term of the loss one of `TERMS`.
"""

from dataclasses import dataclass
from typing import Any, Literal

View = Literal["square", "patches"]
"""What of a crop a teacher labels: the whole square, or the patches cut from it."""


@dataclass(frozen=True)
class Term:
    """One term of eq. 9."""

    weight: str | None
    """The key of `loss` that holds its weight; None: the weight is 1."""
    view: View | None
    """The view whose labels it compares with the student's map; None: it compares no labels of its own."""


TERMS: dict[str, Term] = {
    "shared": Term(None, "square"),
    "local_global": Term("local_global", "patches"),
    "feature": Term("feature", None),
    "gradient": Term("gradient", None),
}
"""Paper eq. 9, in its order: L = shared + lambda_1 local_global + lambda_2 feature + lambda_3 gradient."""


@dataclass(frozen=True)
class Mode:
    """How a student's map is compared with the teacher's (paper section 3.2, Table 2)."""

    context: Literal["square", "center"]
    """Which part of a photo the networks see: a random square, or the largest central one."""
    compares: tuple[str, ...]
    """The terms of eq. 9 that compare maps with labels; the others belong to every mode."""
    gradient: View
    """The view whose maps gradient matching compares; the paper does not say which (note D31)."""


MODES: dict[str, Mode] = {
    "baseline": Mode("center", ("shared",), "square"),
    "shared": Mode("square", ("shared",), "square"),
    "local-global": Mode("square", ("local_global",), "patches"),
    "cross": Mode("square", ("shared", "local_global"), "square"),
}


def weights(mode: str, loss: Any) -> dict[str, float]:
    """The terms of eq. 9 that a mode trains with, and their weights; a term of weight 0 is left out.

    loss: anything with the weights as attributes, such as a cell's `loss`.
    """
    of_mode = {name: term for name, term in TERMS.items() if term.view is None or name in MODES[mode].compares}
    found = {name: 1.0 if term.weight is None else float(getattr(loss, term.weight)) for name, term in of_mode.items()}
    return {name: weight for name, weight in found.items() if weight > 0}


def views(mode: str, loss: Any) -> tuple[View, ...]:
    """The views whose labels a mode compares with these weights."""
    return tuple(view for name in weights(mode, loss) if (view := TERMS[name].view) is not None)
