"""`dad check`."""

import argparse
import sys

from dad.cli._options import set_option, study_option

HELP = "say everything that would stop a study before anything is spent, in seconds"
ABOUT = """\
Looks at a study before anything is spent: is every name known, do the numbers fit each other, are weights, photos and
benchmarks where the study says, is there room for the results. Lists everything it finds at once, one line each. Exit
code 2 if anything of it would stop the study. Nothing is downloaded.
"""
EXAMPLE = "dad check --config config/paper.yaml"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad check`."""
    study_option(parser)
    set_option(parser)
    parser.add_argument("--results", default="results", help="where results will be (default: %(default)s)")
    parser.add_argument("--reports", default="reports", help="where tables and figures will be (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Print every finding, one a line; exit code 2 if one of them would stop the study."""
    from dad.study.cells import load_study
    from dad.study.check import check
    from dad.study.settings import with_settings

    study = with_settings(load_study(arguments.config), arguments.settings, what=arguments.config)
    findings = check(study, results=arguments.results, reports=arguments.reports)
    for finding in findings:
        print(finding)
    stops = sum(finding.stops for finding in findings)
    print(f"{stops} to mend before this study can run" if stops else "nothing stands in the way of this study")
    if stops:
        sys.exit(2)
