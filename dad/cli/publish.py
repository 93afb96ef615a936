"""`dad publish`."""

import argparse
from pathlib import Path

from dad.cli._options import study_option

HELP = "copy a study's reports, premises and per-image scores into a folder to be published"
ABOUT = """\
Copies what was rendered of a study (tables, figures, claims) and its premises into a folder, with every per-image score
of the tables in one compressed file, so that anyone can compute the intervals again, and a README that says when and by
which code.
"""
EXAMPLE = "dad publish --config config/small.yaml --out docs/results/small"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad publish`."""
    study_option(parser)
    parser.add_argument("--results", default="results", help="folder of results (default: %(default)s)")
    parser.add_argument("--reports", help="folder of the study's reports (default: reports, or reports/STUDY)")
    parser.add_argument("--out", help="folder to write into (default: docs/results/STUDY)")


def run(arguments: argparse.Namespace) -> None:
    """Copy, and say what lies where."""
    from dad.outputs import check_outputs
    from dad.report.publish import publish
    from dad.study.cells import load_study
    from dad.study.layout import Layout

    study = load_study(arguments.config)
    reports = Path(arguments.reports) if arguments.reports else Layout(study).reports
    out = Path(arguments.out) if arguments.out else Path("docs/results") / study.name
    check_outputs(folders={"--out": out}, searched={"--results": arguments.results}, read={"--reports": reports})
    written = publish(study, Path(arguments.results), reports, out)
    print(f"{len(written)} files in {out}, scores of every image in {written[-2]}")
