"""`dad mlflow`."""

import argparse

from dad.cli._options import set_option, study_option

HELP = "look at the study's runs in MLflow: starts its server and opens the page of a table"
ABOUT = """\
Starts MLflow's server on the study's store, for this machine only and without telemetry, and opens the page of a table:
a line for each row and seed, with factors and metrics as columns. Prints the addresses of all tables that were
imported. Ctrl-C ends it.
"""
EXAMPLE = "dad mlflow --table table2"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad mlflow`."""
    study_option(parser)
    set_option(parser)
    parser.add_argument("--uri", help="the MLflow store (default: the study's tracking_uri)")
    parser.add_argument(
        "--table", action="append", default=[], help="the table to open (default: the first); may be repeated"
    )
    parser.add_argument("--port", type=int, default=5000, help="of the server on this machine (default: %(default)s)")
    parser.add_argument("--no-browser", action="store_true", help="only print the addresses")


def run(arguments: argparse.Namespace) -> None:
    """Start MLflow's server and open the page of a table."""
    from dad.study.cells import load_study
    from dad.study.settings import with_settings
    from dad.tracking.pages import show_pages

    study = with_settings(load_study(arguments.config), arguments.settings, what=arguments.config)
    uri = arguments.uri or study.tracking_uri
    show_pages(study, uri, tables=arguments.table, port=arguments.port, browser=not arguments.no_browser)
