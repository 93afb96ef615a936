"""The study folder: Snakefile, rules, configurations and profiles, of a checkout or as they ship with an installed
package.

One rule finds them: what lies in the current folder, else what ships with the package. In a checkout these are the
files at its top; a wheel carries copies of the same files in `dad/study_folder`, which its build puts there (setup.py).
`dad init` writes them into a folder of the user's.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dad.errors import UserError
from dad.files import write_bytes

PARTS = ("Snakefile", "environment.yml", "config", "profiles", "workflow")
"""What a study folder consists of, by its names at the top of a checkout."""
DEFAULT = Path("config", "mini.yaml")
"""The study of verbs that are given none."""

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "study_folder"


def shipped() -> Path:
    """The study folder that ships with the package: of a wheel, or the checkout itself."""
    return _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent


def default_study() -> str:
    """The study of a verb without --config: config/mini.yaml of the current folder, else the package's own."""
    return str(DEFAULT if DEFAULT.is_file() else shipped() / DEFAULT)


def find_snakefile() -> Path:
    """The workflow: of the current folder, else the package's own. Raises UserError where there is none."""
    for folder in (Path(), shipped()):
        for name in ("Snakefile", "workflow/Snakefile"):
            if (folder / name).is_file():
                return folder / name
    raise UserError(
        "there is no Snakefile here: write a study folder with `dad init DIR`, or go to the project's folder"
    )


def study_files(root: Path) -> Iterator[str]:
    """Names of the files of the study folder at `root`, relative to it, with slashes; no hidden ones or caches."""
    for part in PARTS:
        top = root / part
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            name = path.relative_to(root)
            if path.is_file() and not any(piece.startswith((".", "__pycache__")) for piece in name.parts):
                yield name.as_posix()


def write_study_folder(folder: Path) -> list[str]:
    """Write a study folder that runs anywhere; returns the names of the files that it consists of.

    Files that are there and hold the same stay, so that an interrupted call is finished by the next. Raises UserError,
    before anything is written, where a file is there and holds something else. When a file cannot be written, all that
    were are removed.
    """
    source = shipped()
    files = {name: (source / name).read_bytes() for name in study_files(source)}
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder")
    missing = [name for name, data in files.items() if not _holds(folder / name, data)]
    taken = [name for name in missing if _there(folder, name)]
    if taken:
        listed = ", ".join(taken[:3]) + (f" and {len(taken) - 3} more" if len(taken) > 3 else "")
        raise UserError(
            f"{folder} has files of its own where the study folder would be ({listed}): give another folder"
        )
    before = {path for name in missing for path in (folder / name).parents if path.exists()}
    done: list[Path] = []
    try:
        for name in missing:
            write_bytes(folder / name, files[name])
            done.append(folder / name)
    except BaseException:
        for path in done:
            path.unlink(missing_ok=True)
        made = {path for name in missing for path in (folder / name).parents} - before
        for path in sorted(made, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
    return list(files)


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and not path.is_symlink() and path.read_bytes() == data


def _there(folder: Path, name: str) -> bool:
    """Whether something lies at the place of a file, or is no folder where one of its folders would be."""
    path = folder / name
    above = [parent for parent in path.parents if parent.is_relative_to(folder) and parent != folder]
    return path.exists() or path.is_symlink() or any(parent.exists() and not parent.is_dir() for parent in above)
