"""`dad run`."""

import argparse
import sys

from dad.cli._options import positive, set_option
from dad.study.folder import default_study

HELP = "make tables, figures or the whole study, with one progress display"
ABOUT = """\
Makes what you name, and everything it is made from, as far as it is not there yet: a table, a figure, the page of the
whole study (without a name: everything). It shows how many jobs are done, what is running and how long it will take,
and at the end the table and where it lies. It is Snakemake that does the work; its own log goes into a file. An
interrupted run continues with the same command.
"""
EXAMPLE = "dad run reports/table1.csv"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad run`."""
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="files to make, e.g. reports/table1.csv (default: the whole study)"
    )
    parser.add_argument("--config", help=f"study file (default: {default_study()})")
    set_option(parser)
    parser.add_argument(
        "--cores", type=positive, help="jobs at a time (default: as many as processors and memory allow)"
    )
    parser.add_argument("--profile", help="a folder of Snakemake settings, e.g. profiles/slurm")
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be made, what it costs and what is missing"
    )
    parser.add_argument("--verbose", action="store_true", help="show what Snakemake says, instead of the progress")


def run(arguments: argparse.Namespace) -> None:
    """Start Snakemake, show its progress and what came of it."""
    from dad.workflow.running import Request, run_workflow

    request = Request(
        targets=tuple(arguments.targets),
        config=arguments.config,
        settings=tuple(arguments.settings),
        cores=arguments.cores,
        profile=arguments.profile,
        dry_run=arguments.dry_run,
        verbose=arguments.verbose,
    )
    code = run_workflow(request)
    if code:
        sys.exit(code)
