"""Which pseudo-labels of a study lie on disk: all (`labels.mode: cached`), none (`online`), or those that pay
(`shared`).

With `shared` a view's labels are stored where two or more jobs are going to read them, and computed in the loop where
one is: a job of several students is one reader. The students are the same in every case.
"""

from collections import Counter
from collections.abc import Iterable

from dad.errors import UserError
from dad.files import read_json
from dad.study.cells import label_id, label_views
from dad.study.config import Cell
from dad.study.layout import Layout

Views = frozenset[tuple[str, str]]
"""(id of a label cache, view)."""


def read_by_several(jobs: Iterable[Iterable[Cell]]) -> Views:
    """What two or more of these trainings read, of cells with shared labels."""
    readers = Counter(key for cells in jobs for key in {key for cell in cells for key in _reads(cell)})
    return frozenset(key for key, count in readers.items() if count > 1)


def _reads(cell: Cell) -> set[tuple[str, str]]:
    if cell.labels.mode != "shared":
        return set()
    return {(label_id(plan), view) for plan in cell.label_plans.values() for view in label_views(cell)}


def stored_views(cell: Cell, several: Views) -> dict[str, list[str]]:
    """The views whose labels a cell reads from disk, by role; roles that have none are left out."""
    found = {}
    for role, plan in cell.label_plans.items():
        views = [
            view for view in label_views(cell) if cell.labels.mode == "cached" or (label_id(plan), view) in several
        ]
        if views and cell.labels.mode != "online":
            found[role] = views
    return found


class LabelStorage:
    """What the trainings of one call of the workflow read from disk. `jobs`: those that are still to be done.

    A trained student's labels are where its record says they were, so that a table that is added later trains nothing
    again. What lies on disk already is read, however few read it.
    """

    def __init__(self, layout: Layout, jobs: Iterable[Iterable[Cell]]) -> None:
        self._layout = layout
        self._several = read_by_several(jobs)

    def of(self, name: str, cell: Cell) -> dict[str, list[str]]:
        """The views that a cell, called `name`, reads from disk, by role."""
        if cell.labels.mode != "shared":
            return stored_views(cell, frozenset())
        recorded = self._recorded(name)
        if recorded is not None:
            return recorded
        there = {key for key in _reads(cell) if (self._layout.labels(*key) / "index.json").is_file()}
        return stored_views(cell, self._several | there)

    def _recorded(self, name: str) -> dict[str, list[str]] | None:
        """What a finished training says; None where there is none, or its record cannot be read."""
        if not all(path.is_file() for path in self._layout.run_files(name)):
            return None
        try:
            found = read_json(self._layout.run(name) / "provenance.json")["labels_stored"]
            return {str(role): [str(view) for view in views] for role, views in found.items()}
        except (UserError, ValueError, KeyError, TypeError, AttributeError):
            return None
