"""A finished folder that is copied, moved or checked out anew is finished.

Snakemake goes by the times of files, and a copy has new ones in any order. So the times of a study's results are noted
beside them, with their checksums, whenever the workflow has ended; a file that holds what was noted gets its time back
before Snakemake looks.
"""

import os
import time

from dad.files import read_json, sha256_file, write_json
from dad.study.layout import Layout

RECORD = "times.json"
"""In results/STUDY."""

Note = tuple[int, int, str]
"""Size, time of change in ns, checksum."""


def note_times(layout: Layout) -> None:
    """Note the size, time and checksum of each result the workflow knows by its time; unchanged ones are not reread."""
    path, (_, before) = layout.root / RECORD, _read(layout)
    now = {}
    for file in layout.timed_files():
        fact, name = file.stat(), layout.relative(file)
        known = before.get(name)
        same = known is not None and known[:2] == (fact.st_size, fact.st_mtime_ns)
        now[name] = known if same else (fact.st_size, fact.st_mtime_ns, sha256_file(file))
    if now and now != before:
        moment = time.time_ns()
        write_json(path, {"noted": moment, "files": now})
        os.utime(path, ns=(moment, moment))


def restore_times(layout: Layout) -> int:
    """In a copy without the times of the original, give every result that still holds what was noted the time it had
    then.

    The record itself says whether this is one: it knows its own time. Returns how many results had another time.
    """
    moment, noted = _read(layout)
    if not noted or (layout.root / RECORD).stat().st_mtime_ns == moment:
        return 0
    restored = 0
    for file in layout.timed_files():
        size, changed, checksum = noted.get(layout.relative(file), (None, None, None))
        fact = file.stat()
        if (
            changed is not None
            and changed != fact.st_mtime_ns
            and size == fact.st_size
            and checksum == sha256_file(file)
        ):
            os.utime(file, ns=(changed, changed))
            restored += 1
    os.utime(layout.root / RECORD, ns=(moment, moment))
    return restored


def _read(layout: Layout) -> tuple[int, dict[str, Note]]:
    """When the record was made and what it says; nothing if it is absent or damaged: times are then what they are."""
    try:
        noted = read_json(layout.root / RECORD)
        files = {
            name: (int(size), int(changed), str(checksum)) for name, (size, changed, checksum) in noted["files"].items()
        }
        return int(noted["noted"]), files
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0, {}
