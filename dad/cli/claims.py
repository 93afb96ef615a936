"""`dad claims`."""

import argparse
from pathlib import Path

from dad.cli._options import output_folder, report_options

HELP = "the paper's claims on our cells, and the log of its discrepancies"
ABOUT = """\
Holds every statement of the paper against the study's results: held, did not hold or undecided, with the numbers. Also
lists where the paper, its released configurations and upstream code disagree.
"""
EXAMPLE = "dad claims"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad claims`."""
    report_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Hold the paper's claims against a study's results."""
    from dad.report.claims_page import claims_files
    from dad.study.cells import load_study

    study = load_study(arguments.config)
    for path in claims_files(study, Path(arguments.results), output_folder(arguments, study)):
        print(path)
