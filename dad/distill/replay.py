"""A collapse, seen again: the state before it and its batch's photos are kept, and the same steps taken once more."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dad.distill.monitor import StepLog
from dad.errors import CollapseError, UserError
from dad.files import atomic_path, scratch_folder
from dad.identity import seal_file, seal_problem
from dad.study.base import parse_model
from dad.study.config import Cell

if TYPE_CHECKING:
    from dad.distill.train import Training


def keep_collapse(work: Path, training: "Training", error: CollapseError) -> Path:
    """Write WORK/collapse.pt: the last checkpoint (none before the first), the cell, where its inputs lie, what was
    seen, and the photos of the step that shows it. Returns its path.
    """
    checkpoint = work / "last.pt"
    step = 0 if error.step is None else error.step
    kept = {
        "message": str(error),
        "step": step,
        "photos": training.photo_ids(step),
        "cell": training.cell.model_dump(mode="json"),
        "places": {name: None if place is None else str(place.resolve()) for name, place in training.places.items()},
        "checkpoint": torch.frombuffer(bytearray(checkpoint.read_bytes()), dtype=torch.uint8)
        if checkpoint.exists()
        else None,
    }
    with atomic_path(work / "collapse.pt") as temporary:
        torch.save(kept, temporary)
        seal_file(temporary)
    return work / "collapse.pt"


_KEPT = {"message": str, "step": int, "photos": list, "cell": dict, "places": dict, "checkpoint": torch.Tensor | None}


class _Seen(Exception):
    """The step that was asked for has been taken."""


def replay(path: Path) -> list[dict[str, float]]:
    """Take the steps from the last checkpoint to the collapse again; prints every step, and returns their rows of the
    log.

    Writes nothing. Raises UserError if the file is damaged, or if photos, labels or weights are no longer those of the
    training.
    """
    from dad.distill.train import Training

    problem = seal_problem(path)
    if problem:
        raise UserError(f"{path} cannot be replayed: {problem}")
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        whole = all(isinstance(kept[name], kind) for name, kind in _KEPT.items())
    except Exception:  # torch raises many kinds for files of other programs
        whole = False
    if not whole:
        raise UserError(
            f"{path} cannot be replayed: it is no WORK/collapse.pt, which `dad train` writes when a training collapses"
        )
    places = {name: None if place is None else Path(place) for name, place in kept["places"].items()}
    training = Training(parse_model(Cell, kept["cell"], source=str(path)), **places)
    print(f"then: {kept['message']}\nstep {kept['step']} has the photos {', '.join(kept['photos'])}")
    rows: list[dict[str, float]] = []

    def look(new: list[dict[str, Any]]) -> None:
        for row in new:
            rows.append(row)
            print("  ".join(f"{name} {value:.6g}" for name, value in row.items()))
            if row["step"] >= kept["step"]:
                raise _Seen

    with scratch_folder() as folder:
        if kept["checkpoint"] is not None:
            (folder / "last.pt").write_bytes(kept["checkpoint"].numpy().tobytes())
        with contextlib.suppress(_Seen):
            training.fit(folder, StepLog(folder / "metrics.csv", flush_every=1, listeners=(look,)))
    return rows
