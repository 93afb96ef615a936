"""`dad report`."""

import argparse
from pathlib import Path

from dad.cli._options import output_folder, report_options, reports_folder

HELP = "one HTML page of the whole study, which opens from disk without a network"
ABOUT = """\
Makes one page of the whole study: claims, sortable tables, figures, pictures to compare, each student's configuration
and curves. It opens from disk, without a network.
"""
EXAMPLE = "dad report"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad report`."""
    report_options(parser)
    parser.add_argument("--reports", help="where the tables, figures and claims are (default: the study's folder)")


def run(arguments: argparse.Namespace) -> None:
    """Write the page of the whole study."""
    from dad.report.page import write_page
    from dad.study.cells import load_study

    study = load_study(arguments.config)
    reports, out = reports_folder(arguments.reports, study), output_folder(arguments, study)
    path = write_page(study, Path(arguments.results), reports, out)
    print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
