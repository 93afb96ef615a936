"""`dad label`."""

import argparse
from pathlib import Path

from dad.cli._options import cell_options, device, device_option
from dad.errors import UserError

HELP = "compute the pseudo-labels that a cell trains on"
ABOUT = """\
Lets a teacher predict the crops that a student will train on, and stores its maps. Students that see the same crops share them. An
interrupted run goes on where it stopped.
"""
EXAMPLE = "dad label --cell shared-hybrid --manifest photos.jsonl --out labels"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad label`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--plan", help="JSON text of a label plan, in the place of a cell")
    cell_options(parser, which)
    parser.add_argument("--view", choices=["square", "patches"], help="only this view (default: all the cell's mode needs)")
    parser.add_argument("--role", choices=["teacher", "assistant"], default="teacher", help="whose maps (default: %(default)s)")
    parser.add_argument("--out", required=True, help="folder of the label cache")
    device_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Compute a cell's pseudo-labels."""
    from dad.distill.labels import compute_labels
    from dad.study.base import parse_model
    from dad.study.cells import label_views, load_cell
    from dad.study.config import LabelPlan
    from dad.study.reading import parse_mapping
    from dad.study.settings import with_settings

    if arguments.plan:
        if arguments.settings:
            raise UserError("--set changes a cell: give --cell, or change the plan itself")
        plan = parse_model(LabelPlan, parse_mapping(arguments.plan, source="label plan"), source="label plan")
        views: tuple[str, ...] = ("square", "patches")
    else:
        cell = with_settings(load_cell(arguments.cell, arguments.config), arguments.settings, what="the cell")
        if arguments.role not in cell.label_plans:
            raise UserError(f"cell {arguments.cell} has no {arguments.role}: its labels are the teacher's alone")
        plan, views = cell.label_plans[arguments.role], label_views(cell)
    for view in [arguments.view] if arguments.view else views:
        out = Path(arguments.out) / view
        compute_labels(plan, Path(arguments.manifest), view, out, device=device(arguments.device), workers=arguments.workers)
