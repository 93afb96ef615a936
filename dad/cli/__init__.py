"""The command line: a verb a module, with its options beside what it does.

Every module of this package whose name does not begin with an underscore is a verb; `data_check` is `dad data check`. It holds
`HELP`, `EXAMPLE`, `options(parser)` and `run(arguments)`, and imports heavy packages inside `run`.
"""

import argparse
import importlib
import io
import os
import pkgutil
import sys
from types import ModuleType

from dad import faults

GROUPS = {"data": "scenes, photos and benchmarks", "track": "MLflow as a view of the files"}
"""Verbs of two words, by the first of them."""


class _Parser(argparse.ArgumentParser):
    """argparse, with mistakes in one line and exit code 2."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message}\n")


def verbs() -> dict[str, ModuleType]:
    """Every verb's module by the verb's name, e.g. `data check`."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return {name.replace("_", " "): importlib.import_module(f"{__name__}.{name}") for name in names}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dad", description="Distill Any Depth: train, label, evaluate and report. `dad VERB --help` explains each verb."
    )
    top = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    parents = {"": top}
    for name, module in verbs().items():
        group, _, last = name.rpartition(" ")
        if group not in parents:
            parents[group] = top.add_parser(group, help=GROUPS[group]).add_subparsers(
                dest=f"{group}_verb", required=True, metavar="VERB"
            )
        added = parents[group].add_parser(
            last,
            help=module.HELP,
            description=module.HELP,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.options(added)
        added.set_defaults(run=module.run)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code as `dad.faults` lists them: 0, 2 for a user's mistake, 3 for a collapsed training, ..."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal's encoding lacks is shown by its escapes
            stream.reconfigure(errors="backslashreplace")
    # a command draws into files; a notebook's backend, inherited from its process, may not even be installed here
    os.environ["MPLBACKEND"] = "agg"

    def work() -> None:
        parsed = _parser().parse_args(arguments)
        parsed.run(parsed)

    return faults.run(work)
