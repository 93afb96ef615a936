"""`dad train`."""

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dad.cli._options import cell_options

if TYPE_CHECKING:
    from dad.study.config import Cell
    from dad.tracking import LiveTracker

HELP = "train one cell's student"
ABOUT = """\
Trains one student (a cell of the study) on a teacher's stored maps. The same command continues an interrupted run from its last
checkpoint.
"""
EXAMPLE = "dad train --cell shared-hybrid --manifest photos.jsonl --labels labels --out results/runs/mine"


class _Alone(argparse.Action):
    """An option that needs no other beside it."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None) -> None:
        setattr(namespace, self.dest, values)
        for action in parser._actions:
            action.required = False


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad train`."""
    cell_options(parser)
    parser.add_argument("--labels", help="the cell's label cache (labels.mode: cached)")
    parser.add_argument("--assistant-labels", help="the assistant's, where the cell has one")
    parser.add_argument("--out", required=True, help="run folder: config.json, model.safetensors, metrics.csv, provenance.json")
    parser.add_argument("--work", help="folder of the resumable checkpoint (default: ../../work/CELL beside the run)")
    parser.add_argument("--resume", choices=["auto", "never"], default="auto")
    parser.add_argument(
        "--replay", action=_Alone, metavar="FILE", help="instead: take the steps again that led to a collapse (WORK/collapse.pt)"
    )
    parser.add_argument("--tracking", metavar="URI", help="follow the training in this MLflow store (default: as the study says)")


def run(arguments: argparse.Namespace) -> None:
    """Train one cell's student."""
    from dad.data.manifest import photo_folder
    from dad.distill.processes import start_those_asked_for
    from dad.distill.train import cell_as_used
    from dad.distill.train import train as train_cell
    from dad.outputs import check_outputs
    from dad.study.cells import cell_id, load_cell
    from dad.study.settings import with_settings

    if arguments.replay:
        from dad.distill.replay import replay

        replay(Path(arguments.replay))
        return
    check_outputs(
        folders={"--out": arguments.out, "--work": arguments.work},
        read={
            "--manifest": arguments.manifest,
            "--labels": arguments.labels,
            "--assistant-labels": arguments.assistant_labels,
            "the photos' folder": photo_folder(Path(arguments.manifest)),
        },
    )
    start_those_asked_for(sys.argv[1:])
    named = with_settings(load_cell(arguments.cell, arguments.config), arguments.settings, what="the cell")
    cell = cell_as_used(named, Path(arguments.manifest))
    with contextlib.ExitStack() as stack:
        tracker = _tracker(arguments, cell) if os.environ.get("RANK", "0") == "0" else None
        train_cell(
            cell,
            manifest=Path(arguments.manifest),
            labels=Path(arguments.labels) if arguments.labels else None,
            assistant_labels=Path(arguments.assistant_labels) if arguments.assistant_labels else None,
            out=Path(arguments.out),
            work=Path(arguments.work or Path(arguments.out).parent.parent / "work" / cell_id(cell)),
            resume=arguments.resume == "auto",
            workers=arguments.workers,
            listeners=(stack.enter_context(tracker),) if tracker else (),
        )


def _tracker(arguments: argparse.Namespace, cell: "Cell") -> "LiveTracker | None":
    """What follows this training in MLflow: asked for here, or by the study that the cell's id is of."""
    from dad.study.cells import cell_id, load_study

    by_id = not arguments.cell.lstrip().startswith("{") and not Path(arguments.cell).is_file()
    if not arguments.tracking and not by_id:
        return None
    study = load_study(arguments.config)
    uri = arguments.tracking or (study.tracking_uri if study.live_tracking else None)
    if uri is None:
        return None
    from dad.tracking import LiveTracker, tables_by_cell

    tables = tables_by_cell(study).get(cell_id(cell), ())
    return LiveTracker(uri, cell, study=study.name, tables=tables)
