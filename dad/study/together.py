"""Which students one job trains: those that read the same labels share the photos, the crops and the teacher's pass.

A result belongs to its cell, and the grouping is how it was made: it follows the machine and the call, and no student
is trained again because another call groups otherwise.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dad.study.config import Cell, LabelPlan

Fits = Callable[[list[str]], bool]
"""Whether the students of one job have room in memory."""


@dataclass(frozen=True)
class Lanes:
    """What one call of the workflow has for trainings."""

    gpus: int = 1
    cores: int = 1
    gpu_gib: float | None = None
    """Memory of the smallest GPU; None where none is known."""
    each: int | None = None
    """GPUs of a training, where the call says so; None: what its networks need."""

    def jobs(self, gpus: int) -> int:
        """How many trainings run side by side that ask for so many GPUs each."""
        return max(1, self.gpus // gpus) if gpus else self.cores


def companies(cells: Mapping[str, Cell]) -> list[list[str]]:
    """Cells by id, divided into those that one job could train: of one label plan, and of one assistant at most.

    A company stands where its first cell stands, and its cells are in their order; those without an assistant are with
    the first.
    """
    found: dict[tuple[LabelPlan, str], list[list[str]]] = {}
    for name, cell in cells.items():
        of_labels = found.setdefault((cell.label_plans["teacher"], cell.labels.mode), [])
        for company in of_labels:
            if len(_assistants(cells, [*company, name])) <= 1:
                company.append(name)
                break
        else:
            of_labels.append([name])
    order = {name: number for number, name in enumerate(cells)}
    return sorted(
        (company for of_labels in found.values() for company in of_labels), key=lambda company: order[company[0]]
    )


def groups(cells: Mapping[str, Cell], most: int, fits: Fits | None = None) -> list[list[str]]:
    """Cells by id in groups of up to `most` that `fits` does not refuse; all are in one of them, and the groups of a
    company are of one size or differ by one.
    """
    return [group for company in companies(cells) for group in _divided(company, -(-len(company) // most), fits)]


def largest(sizes: Sequence[int], most: int, jobs: int) -> int:
    """How many students a job has at most where companies of these sizes are trained, so many jobs side by side.

    As few as leave no more jobs than that, for then the longest of them ends soonest; `most` where even that leaves
    more, for then every further job is one more pass of the teacher and nothing ends sooner.
    """
    enough = (size for size in range(1, most + 1) if sum(-(-count // size) for count in sizes) <= jobs)
    return next(enough, most)


def _divided(company: list[str], parts: int, fits: Fits | None) -> list[list[str]]:
    """A company in so many groups of one size, or more if these have no room; a lone student is left to the check."""
    while True:
        small, more = divmod(len(company), parts)
        ends = [0]
        for number in range(parts):
            ends.append(ends[-1] + small + (number < more))
        found = [company[start:end] for start, end in itertools.pairwise(ends)]
        if parts == len(company) or fits is None or all(map(fits, found)):
            return found
        parts += 1


def _assistants(cells: Mapping[str, Cell], names: list[str]) -> set[str]:
    return {of.model for name in names if (of := cells[name].assistant) is not None}
