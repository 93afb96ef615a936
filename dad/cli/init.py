"""`dad init`."""

import argparse
from pathlib import Path

HELP = "write a study folder that runs anywhere: Snakefile, rules, configurations, profiles"
ABOUT = """\
Writes what a study needs into a folder, new or not, where `dad run` and `snakemake` then work and put their results:
the workflow to read and change, the studies in config/, and the profiles for GPUs and clusters. A file that is there
and differs is never replaced: then nothing is written.
"""
EXAMPLE = "dad init my-study"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad init`."""
    parser.add_argument("folder", metavar="DIR", help="the folder to write into; it is made where it is not there")


def run(arguments: argparse.Namespace) -> None:
    """Write the folder; say what is in it and what comes next."""
    from dad.study.folder import DEFAULT, write_study_folder

    folder = Path(arguments.folder)
    files = write_study_folder(folder)
    print(
        f"{len(files)} files in {folder}: the study is {DEFAULT}, its keys are explained in {DEFAULT.parent}/README.md"
    )
    here = folder.resolve() == Path.cwd()
    print(f"next:{'' if here else f' cd {folder} &&'} dad check && dad run reports/table1.csv")
