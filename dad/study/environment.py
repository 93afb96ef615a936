"""What the workflow sets up for the processes that its rules start."""

import contextlib
import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def use_this_interpreter(root: str | Path) -> None:
    """Make the rules' `python` the interpreter that runs Snakemake, and let it find the package, installed or not.

    In a checkout, `root`, the package lies there. Elsewhere it is installed beside other packages, of which an
    environment that conda made for a rule must see none: there the rules get a folder that holds a link to this package
    alone.
    """
    package = root if Path(root, "dad", "__init__.py").is_file() else _alone(Path(".snakemake", "package").resolve())
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))


def _alone(folder: Path) -> Path:
    link = folder / _PACKAGE.name
    if not link.is_symlink() or link.readlink() != _PACKAGE:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        with contextlib.suppress(FileExistsError):  # another run in this folder was faster
            link.symlink_to(_PACKAGE)
    return folder
