"""Which students one job trains: those that read the same labels share the photos, the crops and the teacher's pass."""

from collections.abc import Mapping

from dad.study.config import Cell, LabelPlan


def groups(cells: Mapping[str, Cell], most: int) -> list[list[str]]:
    """Cells by id in groups of up to `most`, each of one label plan and of one assistant at most; all cells are in one of them.

    A group stands where its first cell stands, and its cells are in their order.
    """
    found: list[list[str]] = []
    open_groups: dict[tuple[LabelPlan, str], list[list[str]]] = {}
    for name, cell in cells.items():
        key = (cell.label_plans["teacher"], cell.labels.mode)
        for group in open_groups.setdefault(key, []):
            if len(group) < most and len(_assistants(cells, [*group, name])) <= 1:
                group.append(name)
                break
        else:
            found.append([name])
            open_groups[key].append(found[-1])
    return found


def _assistants(cells: Mapping[str, Cell], names: list[str]) -> set[str]:
    return {of.model for name in names if (of := cells[name].assistant) is not None}
