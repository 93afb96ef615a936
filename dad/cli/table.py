"""`dad table`."""

import argparse
from pathlib import Path

from dad.cli._options import output_folder, report_options

HELP = "render a table: CSV, Markdown with its details, LaTeX and a plot (PNG, SVG)"
ABOUT = """\
Makes one table from the students' scores: as numbers (CSV), as a page (Markdown) and as a plot, ours beside the printed
numbers, with intervals.
"""
EXAMPLE = "dad table table1"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad table`."""
    parser.add_argument("name", help="table1 to table5, or scaling: the numbers behind Fig. 7")
    report_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Render a table."""
    from dad.report.tables import table_files
    from dad.study.cells import load_study

    study = load_study(arguments.config)
    table_files(study, arguments.name, Path(arguments.results), output_folder(arguments, study))
