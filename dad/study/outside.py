"""What a study reads from outside its results (photos, benchmarks, weights, protocols), as inputs the workflow can
watch.

Each such thing has a record under results/STUDY/inputs: its files by name, with size, time and checksum. The rules that
read the thing have the record as an input, and it is rewritten only when the contents differ. So exchanged photos run
their jobs again, and a folder that was copied, moved or touched does not.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dad.errors import UserError
from dad.files import read_json, sha256_file, write_json

HASHED_BYTES = 2 << 30
"""Up to this size the contents of a thing are read (seconds, once). Beyond it a changed time counts as a change: sizes
and times of terabytes are known at once, their checksums are not.
"""

PACKAGE = Path(__file__).parents[1]

Files = dict[str, list[Any]]
"""Name of a file -> size, time of change in ns, checksum (None: not read), and the time of change that nobody can set
(ctime), by which a file is found that was exchanged for one of equal size and set to its time.
"""


def record(path: Path, sources: Mapping[str, Path], suffixes: Iterable[str] = ()) -> Path:
    """Bring the record at `path` up to date with `sources` (files or folders by a name of their own) and return its
    path. `suffixes` limits folders to the files that count.

    The record is older than any result made from it while the contents stay: new times alone leave its own time as it
    is, and a first record is as old as what it describes. What ships with the package is as old as can be: the time at
    which it was installed says nothing.

    Raises UserError for a source that does not exist or cannot be read.
    """
    try:
        found = {}
        for name, source in sources.items():
            found |= {f"{name}/{inner}".rstrip("/"): file for inner, file in _files(source, tuple(suffixes))}
        facts = {name: file.stat() for name, file in found.items()}
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}") from None
    now: Files = {name: [fact.st_size, fact.st_mtime_ns, None, fact.st_ctime_ns] for name, fact in facts.items()}
    before = _read(path)
    if before is not None and _plain(before) == _plain(now):
        return path
    readable = sum(entry[0] for entry in now.values()) <= HASHED_BYTES
    for name, entry in now.items():
        known = (before or {}).get(name)
        if known is not None and _fact(known) == _fact(entry):
            entry[2] = known[2]
        elif readable:
            entry[2] = sha256_file(found[name])
    if before is None:
        shipped = all(source.resolve().is_relative_to(PACKAGE) for source in sources.values())
        changed = 1 if shipped else min(max((entry[1] for entry in now.values()), default=1), time.time_ns())
    else:
        changed = path.stat().st_mtime_ns if _contents(before) == _contents(now) else time.time_ns()
    write_json(path, {"files": now})
    os.utime(path, ns=(changed, changed))
    return path


def _files(source: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Relative name and path of every regular file that counts and is not hidden; of a file itself, an empty name."""
    if not source.is_dir():
        yield "", source
        return
    for folder, folders, names in os.walk(source, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            wanted = not suffixes or name.lower().endswith(suffixes)
            if wanted and not name.startswith(".") and file.is_file():
                yield file.relative_to(source).as_posix(), file


def _read(path: Path) -> Files | None:
    """The last record; None if there is none or it is damaged, which makes a new one."""
    try:
        files = read_json(path)["files"]
        return {
            name: [int(size), int(changed), checksum, int(since)]
            for name, (size, changed, checksum, since) in files.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _plain(files: Files) -> dict[str, list[Any]]:
    return {name: _fact(entry) for name, entry in files.items()}


def _fact(entry: list[Any]) -> list[Any]:
    """Size and times."""
    return [*entry[:2], entry[3]]


def _contents(files: Files) -> dict[str, Any]:
    """What two records have in common when nothing changed: checksums, or sizes and times where there are none."""
    return {name: checksum or [size, changed] for name, (size, changed, checksum, _) in files.items()}
