"""What the students in a table's rows were trained with, from their configs: what all share, and where the rows differ."""

from collections.abc import Callable, Sequence
from pathlib import PurePath

from dad.report.results import TableResult
from dad.report.text import markdown_table
from dad.study.config import Cell, FolderPhotos, ScenePhotos

_INIT = {
    "full": "starting from all its weights",
    "encoder": "starting from its encoder with a random head",
    "none": "starting at random",
}


def short_name(model: str) -> str:
    """A model's name as it is; of a checkpoint file only the file's name, as folders belong to one machine."""
    return PurePath(model).name if model.endswith(".safetensors") or PurePath(model).is_absolute() else model


def teacher_fact(cell: Cell) -> str:
    """Whose maps are the labels."""
    text = f"`{short_name(cell.teacher)}`"
    if cell.assistant is None:
        return text
    how = f"selected with probability {cell.assistant.share:g}" if cell.supervision == "select" else "averaged with it"
    return f"{text} and the assistant `{short_name(cell.assistant.model)}`, {how}"


def student_fact(cell: Cell) -> str:
    """The student's network and what it starts from."""
    return f"`{short_name(cell.student.model)}`, {_INIT[cell.student.init]}"


def photos_fact(cell: Cell) -> str:
    """How many photos, and of what."""
    photos = cell.photos
    if isinstance(photos, ScenePhotos):
        return f"{photos.count:,} rendered photos ({', '.join(photos.kinds)}; {photos.width}×{photos.height})"
    assert isinstance(photos, FolderPhotos)
    folder = f"the folder `{PurePath(photos.root).name}`"
    return f"{photos.count:,} photos of {folder}" if photos.count else f"all photos of {folder}"


def _crops(cell: Cell) -> str:
    side = (
        "the largest central square" if cell.mode == "baseline" else f"side of the crop {cell.crop.min_crop} px to the short side"
    )
    patches = f"; {cell.crop.patches} patches" if cell.mode in ("local-global", "cross") else ""
    return f"{cell.crop.size} px squares, {side}{patches}"


def _optimisation(cell: Cell) -> str:
    rates = f"encoder rate {cell.optim.encoder_rate:g}, head rate {cell.optim.head_rate:g}"
    return f"{cell.optim.steps:,} steps × {cell.optim.batch} crops; {rates}"


def _losses(cell: Cell) -> str:
    feature = "" if cell.loss.feature else "; without feature alignment"
    return f"{cell.mode}, {cell.normalization}{feature}"


FACTS: dict[str, Callable[[Cell], str]] = {
    "Teacher": teacher_fact,
    "Student": student_fact,
    "Mode, normalization": _losses,
    "Photos": photos_fact,
    "Crops": _crops,
    "Optimisation": _optimisation,
}
"""Heading -> what a cell has; seeds differ in none of them."""


def shared_facts(result: TableResult) -> list[tuple[str, str]]:
    """(what, value) of the facts that all students of the table have in common."""
    cells = _one_per_row(result)
    values = {name: list(dict.fromkeys(fact(cell) for _, cell in cells)) for name, fact in FACTS.items()}
    return [(name, found[0]) for name, found in values.items() if len(found) == 1]


def differing_facts(result: TableResult) -> list[str]:
    """A Markdown table of the facts that differ, a line per scored row; nothing where the table's own factors say it all."""
    cells, shared = _one_per_row(result), {name for name, _ in shared_facts(result)}
    names = [name for name in FACTS if name not in shared]
    if not cells or not [name for name in names if name not in ("Mode, normalization", "Crops")]:
        return []
    lines = []
    for row in result.scored:
        if row.model:
            lines.append([result.label(row), f"scored as it is: `{short_name(row.model)}`", *[""] * (len(names) - 1)])
        else:
            cell = next(iter(row.cells.values()))
            lines.append([result.label(row), *(FACTS[name](cell) for name in names)])
    return markdown_table(["Row", *names], lines, left=len(names) + 1)


def distinct(result: TableResult, fact: Callable[[Cell], str]) -> str:
    """The different values of a fact over the table's students, in the order of the rows."""
    return _joined([fact(cell) for _, cell in _one_per_row(result)])


def _joined(values: Sequence[str]) -> str:
    """The different values with the words in which they all end said once: `100 / 250 rendered photos`."""
    different = [value.split(" ") for value in dict.fromkeys(values)]
    shortest = min(map(len, different), default=0)
    same = next((n for n in range(shortest - 1, 0, -1) if len({tuple(words[-n:]) for words in different}) == 1), 0)
    if len(different) < 2 or not same:
        return " / ".join(" ".join(words) for words in different)
    heads = [" ".join(words[:-same]) for words in different]
    comma = "," if all(head.endswith(",") for head in heads) else ""
    return f"{' / '.join(head.removesuffix(comma) for head in heads)}{comma} {' '.join(different[0][-same:])}"


def _one_per_row(result: TableResult) -> list[tuple[str, Cell]]:
    """(row, its first seed's cell) of every trained row."""
    return [(row.name, next(iter(row.cells.values()))) for row in result.trained]
