"""Options that several verbs share, and what their values mean."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dad.study.folder import default_study

if TYPE_CHECKING:
    from dad.study.config import StudyConfig


def positive(text: str) -> int:
    """A whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def not_negative(text: str) -> int:
    """A whole number of at least 0."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {text}")
    return value


def study_option(parser: argparse.ArgumentParser) -> None:
    """Add --config: the study."""
    parser.add_argument("--config", default=default_study(), help="study file (default: %(default)s)")


def cell_options(
    parser: argparse.ArgumentParser, cell_group: argparse._ActionsContainer | None = None, *, several: bool = False
) -> None:
    """Add what names a cell and the photos it trains on; with `cell_group`, --cell is one of that group's choices; with
    `several` it may be given more than once.
    """
    cell_help = "a cell id (with --config), a run's config.json, or JSON text"
    if several:
        parser.add_argument("--cell", required=True, action="append", help=f"{cell_help}; may be repeated")
    else:
        (cell_group or parser).add_argument("--cell", required=cell_group is None, help=cell_help)
    parser.add_argument(
        "--config", default=default_study(), help="the study that the id belongs to (default: %(default)s)"
    )
    set_option(parser)
    parser.add_argument("--manifest", required=True, help="the photos, as written by `dad data manifest`")
    parser.add_argument("--workers", type=int, default=0, help="loader processes; results do not depend on it")


def set_option(parser: argparse.ArgumentParser) -> None:
    """Add --set, which replaces single values of the study or, with --cell, of the cell."""
    help_text = (
        "replace one value by its dotted name, e.g. loss.local_global=0.25; with --cell it is the cell's; may be "
        "repeated"
    )
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help=help_text)


def device_option(parser: argparse.ArgumentParser) -> None:
    """Add --device, whose value `device()` resolves."""
    parser.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda, cuda:1, ...")


def report_options(parser: argparse.ArgumentParser) -> None:
    """Add a study, its results and where to write."""
    study_option(parser)
    parser.add_argument("--results", default="results", help="where the runs and scores are (default: %(default)s)")
    parser.add_argument(
        "--out", help="where to write (default: reports for the study mini, reports/STUDY for every other)"
    )


def reports_folder(given: str | None, study: "StudyConfig") -> Path:
    """The folder of a study's tables, figures and page: the one given, or its own."""
    from dad.study.layout import Layout

    return Path(given) if given else Layout(study).reports


def output_folder(arguments: argparse.Namespace, study: "StudyConfig") -> Path:
    """Where reports are written, which must not be what they are made from."""
    from dad.outputs import check_outputs

    out, results = reports_folder(arguments.out, study), Path(arguments.results)
    parts = [
        results,
        *(results / study.name / part for part in ("", "runs", "scores", "labels", "photos", "benchmarks")),
    ]
    check_outputs(folders={"--out": out}, read={"--results": parts, "--config": arguments.config})
    return out


def device(name: str) -> str:
    """The device that `--device` names, checked; `auto` is the first GPU, or the CPU where there is none."""
    from dad.devices import chosen_device

    return chosen_device(name)
