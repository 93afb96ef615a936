"""`dad label`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dad.cli._options import cell_options, device, device_option
from dad.errors import UserError

if TYPE_CHECKING:
    from dad.study.config import LabelPlan

HELP = "compute the pseudo-labels that a cell trains on"
ABOUT = """\
Lets a teacher predict the crops that a student will train on, and stores its maps. Students that see the same crops
share them. An interrupted run goes on where it stopped.
"""
EXAMPLE = "dad label --cell shared-hybrid --manifest photos.jsonl --out labels"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad label`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--plan", help="instead of a cell, the id of a label cache of the study, or a label plan as JSON text"
    )
    cell_options(parser, which)
    parser.add_argument(
        "--view", choices=["square", "patches"], help="only this view (default: all the cell's mode needs)"
    )
    parser.add_argument(
        "--role", choices=["teacher", "assistant"], default="teacher", help="whose maps (default: %(default)s)"
    )
    parser.add_argument("--out", required=True, help="folder of the label cache")
    device_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Compute a cell's pseudo-labels."""
    from dad.data.manifest import photo_folder
    from dad.distill.labels import compute_labels
    from dad.outputs import check_outputs
    from dad.study.cells import label_views, load_cell
    from dad.study.settings import with_settings

    manifest = Path(arguments.manifest)
    check_outputs(
        folders={"--out": arguments.out}, read={"--manifest": manifest, "the photos' folder": photo_folder(manifest)}
    )
    views: tuple[str, ...]
    if arguments.plan:
        if arguments.settings:
            raise UserError("--set changes a cell: give --cell, or change the plan itself")
        plan, views = _plan(arguments.plan, arguments.config), ("square", "patches")
    else:
        cell = with_settings(load_cell(arguments.cell, arguments.config), arguments.settings, what="the cell")
        if arguments.role not in cell.label_plans:
            raise UserError(f"cell {arguments.cell} has no {arguments.role}: its labels are the teacher's alone")
        plan, views = cell.label_plans[arguments.role], label_views(cell)
    for view in [arguments.view] if arguments.view else views:
        out = Path(arguments.out) / view
        compute_labels(
            plan, Path(arguments.manifest), view, out, device=device(arguments.device), workers=arguments.workers
        )


def _plan(source: str, study: str) -> "LabelPlan":
    """A label plan from JSON text, or by its cache's id from a study."""
    from dad.reading import parse_mapping
    from dad.study.base import parse_model
    from dad.study.cells import load_study
    from dad.study.config import LabelPlan
    from dad.study.jobs import label_plans

    if source.lstrip().startswith("{"):
        return parse_model(LabelPlan, parse_mapping(source, source="label plan"), source="label plan")
    plans = label_plans(load_study(study))
    if source not in plans:
        raise UserError(f"no label cache {source!r} in {study}; known: {', '.join(plans)}")
    return plans[source]
