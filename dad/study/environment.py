"""What the workflow sets up for the processes that its rules start."""

import os
import sys
from pathlib import Path


def use_this_interpreter(root: str | Path) -> None:
    """Make the rules' `python` the interpreter that runs Snakemake, and let it find the package under `root`, installed or not."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
