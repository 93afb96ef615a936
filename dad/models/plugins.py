"""Models that are classes: those of other packages, `package.module:Class` and names under the entry point group
`dad.teachers`, and the ones of this package that have no weights.

All are called with what `load` was given and the callable has parameters for (`device`, `short_side`, `square`); the
result is an estimator: `name`, `kind`, `patch`, and a call from RGB (B,3,H,W) in [0,1] to maps (B,1,H,W).
"""

import ast
import importlib.util
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dad.errors import UserError
from dad.faults import explain, one_line
from dad.models.config import NETWORKS
from dad.plugins import current_folder, entry_points, imported

if TYPE_CHECKING:
    from dad.models.estimator import AnyEstimator

TEACHERS = "dad.teachers"
NO_SKILL = {"no-skill:constant": "dad.models.no_skill:Constant", "no-skill:gradient": "dad.models.no_skill:Gradient"}
"""Estimators of this package without weights, by name."""
KINDS = ("disparity", "depth")
"""What a model's maps can be: larger is nearer, or larger is farther."""
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_class_name(name: str) -> bool:
    """Whether a model's name is of the form `package.module:Class` (and not `NETWORK:PATH`)."""
    return _CLASS.fullmatch(name) is not None and name.partition(":")[0] not in NETWORKS


def is_plugin(name: str) -> bool:
    """Whether a name stands for a class. Imports nothing."""
    return (
        name in NO_SKILL
        or is_class_name(name)
        or ("/" not in name and name not in NETWORKS and name in entry_points(TEACHERS))
    )


def _class_of(name: str) -> str:
    """`package.module:Class` behind a name of which `is_plugin` holds."""
    if name in NO_SKILL:
        return NO_SKILL[name]
    return name if is_class_name(name) else entry_points(TEACHERS)[name].value


def module_of(name: str) -> tuple[Path | None, str]:
    """The file of a plugin's module, and why it cannot be loaded, in one line; empty if nothing speaks against it.

    The module is read, not run: at most the packages that it lies in are imported.
    """
    module, _, made = _class_of(name).partition(":")
    try:
        with current_folder():
            found = importlib.util.find_spec(module)
    except (Exception, SystemExit) as error:  # a package that is not there, or that raises
        return (
            None,
            f"{name}: the module {module!r} cannot be imported "
            f"({(str(error) or type(error).__name__).splitlines()[0]})",
        )
    if found is None:
        return None, f"{name}: there is no module {module!r} (it is looked for here and among the installed packages)"
    file = Path(found.origin) if found.origin and Path(found.origin).exists() else None
    written_in_python = file is not None and file.suffix == ".py" and name not in NO_SKILL
    return file, _against(name, file, made.split(".")[0]) if written_in_python else ""


def _against(name: str, file: Path, made: str) -> str:
    """What the text of a module says against the model that `made` makes, in one line; empty if nothing."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError) as error:
        return f"{name}: {file} cannot be read as Python ({type(error).__name__}: {one_line(error)})"
    known = {one.name for one in nodes if isinstance(one, ast.ClassDef | ast.FunctionDef)}
    known |= {one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    known |= {(one.asname or one.name).split(".")[0] for one in nodes if isinstance(one, ast.alias)}
    if not known & {made, "*", "__getattr__"}:  # what stands behind these is seen when the module runs
        return f"{name}: {file} has no {made}"
    bodies = [one.body for one in nodes if isinstance(one, ast.ClassDef) and one.name == made]
    for line in (line for body in bodies for line in body if isinstance(line, ast.Assign)):
        says_kind = any(isinstance(to, ast.Name) and to.id == "kind" for to in line.targets)
        if says_kind and isinstance(line.value, ast.Constant) and line.value.value not in KINDS:
            return f"{name}: {file} gives it the kind {line.value.value!r}; an estimator's is {' or '.join(KINDS)}"
    return ""


def plugin(name: str, **options: Any) -> "AnyEstimator | None":
    """The estimator that a class makes, or None if the name is not of one.

    options: `device`, `short_side`, `square`; those are handed on that the callable has parameters for, and one that
    asks for something else than the default is refused where it has none. Raises UserError in one line.
    """
    if not is_plugin(name):
        return None
    made = _call(imported(_class_of(name), "the model"), name, options)
    for attribute, allowed in (("name", None), ("kind", KINDS), ("patch", None)):
        value = getattr(made, attribute, None)
        if value is None or (allowed and value not in allowed):
            said = f" ({' or '.join(allowed)})" if allowed else ""
            raise UserError(f"the model {name} has no {attribute}{said}, which an estimator needs (docs/teachers.md)")
    if not isinstance(made.patch, int) or isinstance(made.patch, bool) or made.patch < 1:
        raise UserError(
            f"the model {name} has the patch {made.patch!r}: a whole number of pixels is needed (docs/teachers.md)"
        )
    if not callable(made):
        raise UserError(f"the model {name} cannot be called with RGB (B,3,H,W) (docs/teachers.md)")
    from dad.models.inputs import TakesImages

    return made if isinstance(made, TakesImages) else _adapted(made)


def _call(make: Callable[..., Any], name: str, options: dict[str, Any]) -> Any:
    if not callable(make):
        raise UserError(f"the model {name} is not a class or a function")
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    any_keyword = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    takes = {parameter.name for parameter in parameters}
    given = {key: value for key, value in options.items() if any_keyword or key in takes}
    # a size is a wish that an estimator with its own pre-processing may ignore; a device or a square input is not
    ignored = [
        key for key, default in (("device", "cpu"), ("square", False)) if key not in given and options[key] != default
    ]
    if ignored:
        raise UserError(f"the model {name} takes no {' and no '.join(ignored)}: its call has no such parameter")
    try:
        return make(**given)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # somebody else's code
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the model {name} cannot be made: {type(error).__name__}: {reason}") from None


def _adapted(made: Any) -> "AnyEstimator":
    """Somebody's estimator, which takes batches, with the calls for single images that ours have."""
    import torch

    from dad.models.inputs import TakesImages

    class Adapted(TakesImages):
        """A batch estimator of another package."""

        def __init__(self) -> None:
            self.name, self.kind, self.patch = str(made.name), made.kind, int(made.patch)

        @torch.inference_mode()
        def predict(self, rgb: torch.Tensor) -> torch.Tensor:
            """Predict; raises UserError for what the other package raises, and for a map that is not (B,1,H,W)."""
            try:
                found = made(rgb)
            except Exception as error:
                if explain(error)[0] != 1:  # memory, disks and what users do are known by themselves
                    raise
                raise UserError(f"the model {self.name} raised {type(error).__name__}: {one_line(error)}") from None
            expected = (len(rgb), 1, *rgb.shape[-2:])
            if not isinstance(found, torch.Tensor) or tuple(found.shape) != expected:
                got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
                raise UserError(f"the model {self.name} gives {got} for RGB {tuple(rgb.shape)}: expected {expected}")
            return found.float()

        def __getattr__(self, attribute: str) -> Any:
            return getattr(made, attribute)

    return Adapted()
