"""`dad track import`."""

import argparse
import sys
from pathlib import Path

from dad.cli._options import reports_folder
from dad.errors import UserError

HELP = "rebuild MLflow's runs from files: an experiment per table of the study"
ABOUT = """\
Fills MLflow's database from the results on disk: an experiment for each table, a run for each row and seed. It can be
thrown away and made again at any time.
"""
EXAMPLE = "dad track import results --uri sqlite:///mlflow.db --config config/mini.yaml"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad track import`."""
    parser.add_argument("results")
    parser.add_argument("--uri", help="the MLflow store (default: the study's tracking_uri)")
    parser.add_argument("--config", help="the study, which says which tables a cell belongs to")
    parser.add_argument("--reports", help="rendered tables and figures to attach (default: the study's folder)")
    parser.add_argument("--table", action="append", default=[], help="only this table (with --config); may be repeated")


def run(arguments: argparse.Namespace) -> None:
    """Rebuild MLflow from files."""
    from dad.study.cells import load_study
    from dad.tracking import import_results

    study = load_study(arguments.config) if arguments.config else None
    uri = arguments.uri or (study.tracking_uri if study else None)
    if uri is None:
        raise UserError("which MLflow store? Give --uri, such as sqlite:///mlflow.db, or a study with --config")
    reports = None if study is None else reports_folder(arguments.reports, study)
    report = import_results(
        Path(arguments.results), uri, studies=[study] if study else [], reports=reports, tables=arguments.table
    )
    for what, reason in report.skipped.items():
        print(f"warning: {what}: {reason}", file=sys.stderr)
    print(report)
