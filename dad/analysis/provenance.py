"""What was run: what cells were trained with, from their configs, and how it went, from the files that their trainings
wrote.

What is not there says nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from dad.identity import RECORD, read_record
from dad.study.cells import label_views
from dad.study.config import Cell, FolderPhotos, ScenePhotos
from dad.study.layout import Layout
from dad.study.modes import MODES

Provenance = Mapping[str, Any]
Facts = list[tuple[str, str]]
"""(what, value) pairs."""

UNKNOWN = "unknown"
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


def scale_fact(cell: Cell) -> str:
    """Steps, batch and crops, in short."""
    return f"{cell.optim.steps:,} steps × {cell.optim.batch} crops of {cell.crop.size} px"


def _crops(cell: Cell) -> str:
    central = MODES[cell.mode].context == "center"
    side = "the largest central square" if central else f"side of the crop {cell.crop.min_crop} px to the short side"
    patches = f"; {cell.crop.patches} patches" if "patches" in label_views(cell) else ""
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


def shared_facts(cells: Iterable[Cell]) -> Facts:
    """The facts that all cells have in common."""
    cells = list(cells)
    values = {name: {fact(cell) for cell in cells} for name, fact in FACTS.items()}
    return [(name, FACTS[name](cells[0])) for name, found in values.items() if len(found) == 1]


def distinct(cells: Iterable[Cell], fact: Callable[[Cell], str]) -> str:
    """A fact's different values in cell order; words in which all end are said once: `100 / 250 rendered photos`."""
    different = [value.split(" ") for value in dict.fromkeys(map(fact, cells))]
    shortest = min(map(len, different), default=0)
    same = next((n for n in range(shortest - 1, 0, -1) if len({tuple(words[-n:]) for words in different}) == 1), 0)
    if len(different) < 2 or not same:
        return " / ".join(" ".join(words) for words in different)
    heads = [" ".join(words[:-same]) for words in different]
    comma = "," if all(head.endswith(",") for head in heads) else ""
    return f"{' / '.join(head.removesuffix(comma) for head in heads)}{comma} {' '.join(different[0][-same:])}"


def read_run_record(layout: Layout, cell: str) -> dict[str, Any]:
    """What a cell's training wrote of itself; empty without a file. UserError where it, the config or log changed."""
    path = layout.run(cell) / RECORD
    return read_record(path, files=("config.json", "metrics.csv"), cure=f"train {cell} again") if path.is_file() else {}


def run_facts(runs: Sequence[Provenance]) -> Facts:
    """How trainings went: what differs is listed, never averaged; what no file tells is unknown."""
    facts = [
        ("Students' size", f"{numbers(runs, 'parameters')} parameters"),
        (
            "Photos that were read",
            f"used {numbers(runs, 'photos_used')}, too small {numbers(runs, 'photos_too_small')}",
        ),
        ("Hardware", devices(runs)),
        ("Training time", _times(runs)),
        ("Versions", _versions(runs)),
        ("Commit", commits(runs)),
        ("Started", span(run["started"] for run in runs if run.get("started")) or UNKNOWN),
    ]
    if cured := [run["cell"] for run in runs if run.get("dead_head_cured")]:
        facts.append(("Dead heads cured at step 0", ", ".join(f"`{cell}`" for cell in cured)))
    return facts


def numbers(runs: Sequence[Provenance], key: str) -> str:
    """A number of every run, as one value or a range."""
    values = {run.get(key, UNKNOWN) for run in runs}
    known = sorted(value for value in values if value != UNKNOWN)
    if not known:
        return UNKNOWN
    shown = f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"
    return shown + (" (unknown for some cells)" if UNKNOWN in values else "")


def devices(runs: Sequence[Provenance]) -> str:
    """The hardware of all runs."""
    found = list(dict.fromkeys(run.get("device", UNKNOWN) for run in runs))
    return " / ".join(found) if found not in ([UNKNOWN], []) else "hardware unknown"


def total_time(runs: Sequence[Provenance]) -> str:
    """The wall time of all trainings together."""
    seconds = _seconds(runs)
    if not seconds:
        return "an unknown time"
    return duration(sum(seconds)) + (
        "" if len(seconds) == len(runs) else f" (known for {len(seconds)} of {len(runs)} cells)"
    )


def _times(runs: Sequence[Provenance]) -> str:
    if not (seconds := _seconds(runs)):
        return UNKNOWN
    ends = dict.fromkeys((duration(min(seconds)), duration(max(seconds))))
    return f"{total_time(runs)} in all, {' to '.join(ends)} per cell"


def _seconds(runs: Sequence[Provenance]) -> list[float]:
    return [float(run["wall_seconds"]) for run in runs if "wall_seconds" in run]


def span(values: Iterable[Any]) -> str:
    """The first and the last of some moments or numbers; nothing for none."""
    ordered = sorted(values)
    return " to ".join(dict.fromkeys(map(str, (ordered[0], ordered[-1])))) if ordered else ""


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _versions(runs: Sequence[Provenance]) -> str:
    merged: dict[str, set[str]] = {}
    for run in runs:
        for package, version in (run.get("versions") or {}).items():
            merged.setdefault(package, set()).add(str(version))
    return (
        ", ".join(f"{package} {' / '.join(sorted(versions))}" for package, versions in sorted(merged.items()))
        or UNKNOWN
    )


def commits(runs: Sequence[Provenance]) -> str:
    """The code of all runs."""
    shown = []
    for run in runs:
        commit, dirty = run.get("git_commit"), run.get("git_dirty")
        state = "" if dirty is False else " with uncommitted changes" if dirty else " (state of the tree unknown)"
        shown.append(f"`{commit[:12]}`{state}" if commit else UNKNOWN)
    return ", ".join(dict.fromkeys(shown)) or UNKNOWN


def start_remark(run: Provenance) -> str:
    """What was wrong with a training's start or end, in words; empty for a sound one."""
    remarks = []
    if run.get("dead_head_cured"):
        remarks.append("its head was dead at the first step, and its bias was raised")
    if run.get("inverted_start_cured"):
        remarks.append("its maps began inside out, and were turned over")
    agreement = run.get("agreement")
    if isinstance(agreement, int | float) and agreement <= 0:
        remarks.append(f"its maps do not follow its labels at the end (correlation {agreement:+.2f})")
    return "; ".join(remarks)


def starts(layout: Layout, cells: Iterable[str]) -> dict[str, str]:
    """Cell -> `start_remark`, for those that have one."""
    found = {cell: start_remark(read_run_record(layout, cell)) for cell in cells}
    return {cell: remark for cell, remark in found.items() if remark}
