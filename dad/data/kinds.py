"""Several sets of one kind: `scenes-indoor-b` is a second `scenes-indoor`, `samples-garden` a second `samples`."""

import re

_SUFFIXED = re.compile(r"(scenes-[a-z]+|(?!scenes-)[a-z0-9]+)-[a-z0-9]+")


def kind_of(name: str) -> str:
    """A data set's kind, whose rules hold for all of that kind: its name without the suffix that tells it apart."""
    found = _SUFFIXED.fullmatch(name)
    return found[1] if found else name
