"""The command line: a verb a module, with its options beside what it does.

Every module of this package whose name does not begin with an underscore is a verb; `data_check` is `dad data check`.
It holds `HELP` (a line), `ABOUT` (sentences), `EXAMPLE`, `options(parser)` and `run(arguments)`, and imports heavy
packages inside `run`.
"""

import argparse
import importlib
import io
import os
import pkgutil
import re
import sys
from collections.abc import Iterable
from types import ModuleType

from dad import __version__, faults

GROUPS = {"data": "scenes, photos and benchmarks", "track": "MLflow as a view of the files"}
"""Verbs of two words, by the first of them."""


class _Parser(argparse.ArgumentParser):
    """argparse, with mistakes in one line and exit code 2."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {_plainer(message)}\n")


def _plainer(message: str) -> str:
    """argparse's line on a word that it does not know, with the nearest that it does."""
    found = re.fullmatch(r"argument (.+): invalid choice: '(.*)' \(choose from (.*)\)", message)
    if found is None:
        return message
    option, given, listed = found.groups()
    known = [word.strip(" '") for word in listed.split(",")]
    what = "unknown verb" if option == "VERB" else f"{option}: unknown value"
    listed = f"; known are {', '.join(known)}"
    return f"{what} {given!r}{_near(given, known) or listed}"


def _near(given: str, known: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def verbs() -> dict[str, ModuleType]:
    """Every verb's module by the verb's name, e.g. `data check`."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return {name.replace("_", " "): importlib.import_module(f"{__name__}.{name}") for name in names}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dad",
        description="Small networks that see depth, taught by large ones: train them, score them, and hold the paper "
        "Distill Any Depth against the results. `dad VERB --help` explains each verb, with an example.",
        epilog="examples:\n"
        "  dad predict photo.jpg --model zoo/vit-large --out maps     depth of your own photo\n"
        "  dad run reports/table1.csv                                 the paper's first table, from nothing\n"
        "  dad check --config config/paper.yaml                       what a study would need here",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dad {__version__}")
    parser.set_defaults(parser=parser)
    top = parser.add_subparsers(dest="verb", metavar="VERB")
    parents = {"": top}
    for name, module in verbs().items():
        group, _, last = name.rpartition(" ")
        if group not in parents:
            holder = top.add_parser(
                group, help=GROUPS[group], description=f"{GROUPS[group]}. `dad {group} VERB --help` explains each."
            )
            holder.set_defaults(parser=holder)
            parents[group] = holder.add_subparsers(dest=f"{group}_verb", metavar="VERB")
        added = parents[group].add_parser(
            last,
            help=module.HELP,
            description=getattr(module, "ABOUT", f"{module.HELP[0].upper()}{module.HELP[1:]}.").strip(),
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.options(added)
        added.set_defaults(run=module.run, parser=added)
    return parser


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The arguments; SystemExit with one line for an option that the verb lacks, with the nearest that it has."""
    parsed, unknown = _parser().parse_known_args(arguments)
    if unknown:
        option = next((word for word in unknown if word.startswith("-")), unknown[0]).partition("=")[0]
        known = parsed.parser._option_string_actions if option.startswith("-") else ()
        what = "unknown option" if option.startswith("-") else "unexpected"
        parsed.parser.error(f"{what} {option}{_near(option, known)}")
    return parsed


def main(arguments: list[str] | None = None) -> int:
    """Run a verb; return its exit code, see `dad.faults`: 0, 2 for a user's mistake, 3 for a collapsed training, ..."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal's encoding lacks is shown by its escapes
            stream.reconfigure(errors="backslashreplace")
    # a command draws into files; a notebook's backend, inherited from its process, may not even be installed here
    os.environ["MPLBACKEND"] = "agg"

    def work() -> None:
        parsed = _parsed(arguments)
        if hasattr(parsed, "run"):
            if (
                "DAD_GPUS" in os.environ
            ):  # a job of the workflow: its devices are chosen before anything of CUDA is imported
                from dad.gpus import take_those_asked_for

                if (code := take_those_asked_for()) is not None:
                    sys.exit(code)
            parsed.run(parsed)
        else:  # no verb, or only the first word of one
            parsed.parser.print_help()

    return faults.run(work)
