"""`dad figure`."""

import argparse
from pathlib import Path

from dad.cli._options import output_folder, report_options

HELP = "render a figure of the paper: PNG, SVG and caption; or a contact sheet"
ABOUT = """\
Draws one of the paper's figures from the study's results, with its caption and the numbers behind it. With
`contact-sheet`: what a table's students make of some pictures, beside their teacher.
"""
EXAMPLE = "dad figure fig7"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad figure`."""
    parser.add_argument(
        "name", help="fig2, fig4 to fig11, or contact-sheet: what a table's students make of some pictures"
    )
    parser.add_argument("--table", default="table1", help="whose contact sheet (default: %(default)s)")
    report_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Render a figure of the paper, or a table's contact sheet."""
    from dad.study.cells import load_study

    study = load_study(arguments.config)
    results, out = Path(arguments.results), output_folder(arguments, study)
    if arguments.name == "contact-sheet":
        from dad.report.contact_sheet import contact_sheet_of_table

        contact_sheet_of_table(study, arguments.table, results, out)
    else:
        from dad.report.figures import write_paper_figure

        write_paper_figure(study, arguments.name, results, out)
