"""What other packages bring: objects by `package.module:Name`, and names that installed packages register as entry
points.

The groups are `dad.teachers` (models, see `dad.models.plugins`) and `dad.benchmarks` (labelled sets, see
`dad.data.benchmarks`).
"""

import contextlib
import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from typing import Any

from dad.errors import UserError


def entry_points(group: str) -> dict[str, importlib.metadata.EntryPoint]:
    """What installed packages offer under a group, by name."""
    return {point.name: point for point in importlib.metadata.entry_points(group=group)}


def imported(text: str, what: str) -> Any:
    """The object behind `package.module:Name`, also in a module of the current folder. UserError if there is none."""
    module, _, path = text.partition(":")
    try:
        with current_folder():
            found = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (
        Exception,
        SystemExit,
    ) as error:  # a module of somebody else's may raise anything, and a script ends the process
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{what} {text!r} cannot be imported: {type(error).__name__}: {reason}") from None
    return found


@contextlib.contextmanager
def current_folder() -> Iterator[None]:
    """Modules in the current folder are found: `python -m` has it on the path, an installed command has not."""
    here = "" in sys.path
    if not here:
        sys.path.insert(0, "")
    try:
        yield
    finally:
        if not here:
            sys.path.remove("")
