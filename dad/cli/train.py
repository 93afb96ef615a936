"""`dad train`."""

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dad.cli._options import cell_options
from dad.errors import UserError

if TYPE_CHECKING:
    from dad.study.config import Cell
    from dad.tracking import LiveTracker

HELP = "train one cell's student, or several that read the same labels"
ABOUT = """\
Trains one student (a cell of the study) on a teacher's maps, or several at once: --cell and --out (and --work) are then
given once for each, and photos, labels and the teacher's pass are shared. The same command continues an interrupted run
from its last checkpoint.
"""
EXAMPLE = "dad train --cell shared-hybrid --manifest photos.jsonl --labels labels --out results/runs/mine"


class _Alone(argparse.Action):
    """An option that needs no other beside it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        setattr(namespace, self.dest, values)
        for action in parser._actions:
            action.required = False


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad train`."""
    cell_options(parser, several=True)
    parser.add_argument("--labels", help="the cell's label cache (labels.mode: cached; shared: what of it there is)")
    parser.add_argument("--assistant-labels", help="the assistant's, where the cell has one")
    parser.add_argument(
        "--out",
        required=True,
        action="append",
        help="run folder: config.json, model.safetensors, metrics.csv, provenance.json; one for each --cell",
    )
    parser.add_argument(
        "--work",
        action="append",
        help="folder of the resumable checkpoint (default: ../../work/CELL beside the run); one for each",
    )
    parser.add_argument("--resume", choices=["auto", "never"], default="auto")
    parser.add_argument(
        "--replay",
        action=_Alone,
        metavar="FILE",
        help="instead: take the steps again that led to a collapse (WORK/collapse.pt)",
    )
    parser.add_argument(
        "--tracking", metavar="URI", help="follow the training in this MLflow store (default: as the study says)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Train students."""
    from dad.data.manifest import photo_folder
    from dad.distill.processes import start_those_asked_for
    from dad.distill.train import Run, cell_as_used, train_together
    from dad.outputs import check_outputs
    from dad.study.cells import cell_id, load_cell
    from dad.study.settings import with_settings

    if arguments.replay:
        from dad.distill.replay import replay

        names = ("cell", "manifest", "labels", "assistant_labels", "out", "work", "tracking", "settings")
        if given := [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name)]:
            raise UserError(f"--replay takes no other option ({', '.join(given)}): the file says what is needed")
        replay(Path(arguments.replay))
        return
    for option, given in (("--out", arguments.out), ("--work", arguments.work)):
        if given and len(given) != len(arguments.cell):
            raise UserError(
                f"{option} is given {len(given)} times for {len(arguments.cell)} cells: give one for each --cell"
            )
    check_outputs(
        folders=_numbered("--out", arguments.out) | _numbered("--work", arguments.work or []),
        read={
            "--manifest": arguments.manifest,
            "--labels": arguments.labels,
            "--assistant-labels": arguments.assistant_labels,
            "the photos' folder": photo_folder(Path(arguments.manifest)),
        },
    )
    start_those_asked_for(sys.argv[1:])
    manifest, runs = Path(arguments.manifest), []
    with contextlib.ExitStack() as stack:
        for number, source in enumerate(arguments.cell):
            named = with_settings(load_cell(source, arguments.config), arguments.settings, what="the cell")
            cell, out = cell_as_used(named, manifest), Path(arguments.out[number])
            work = Path(arguments.work[number]) if arguments.work else out.parent.parent / "work" / cell_id(cell)
            tracker = _tracker(arguments, source, cell) if os.environ.get("RANK", "0") == "0" else None
            runs.append(Run(cell, out, work, (stack.enter_context(tracker),) if tracker else ()))
        train_together(
            runs,
            manifest=manifest,
            labels=Path(arguments.labels) if arguments.labels else None,
            assistant_labels=Path(arguments.assistant_labels) if arguments.assistant_labels else None,
            resume=arguments.resume == "auto",
            workers=arguments.workers,
        )


def _numbered(option: str, given: list[str]) -> dict[str, str]:
    """Folders by the option that names them; of several, with its number."""
    return {option if len(given) == 1 else f"{option} ({number})": path for number, path in enumerate(given, 1)}


def _tracker(arguments: argparse.Namespace, source: str, cell: "Cell") -> "LiveTracker | None":
    """What follows this training in MLflow: asked for here, or by the study that the cell's id is of."""
    from dad.study.cells import cell_id, load_study

    by_id = not source.lstrip().startswith("{") and not Path(source).is_file()
    if not arguments.tracking and not by_id:
        return None
    study = load_study(arguments.config)
    uri = arguments.tracking or (study.tracking_uri if study.live_tracking else None)
    if uri is None:
        return None
    from dad.tracking import LiveTracker, tables_by_cell

    tables = tables_by_cell(study).get(cell_id(cell), ())
    return LiveTracker(uri, cell, study=study.name, tables=tables)
