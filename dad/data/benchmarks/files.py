"""Where a benchmark's files lie: a folder, or a tar whose members are read in place."""

import tarfile
from pathlib import Path
from typing import Protocol

from dad.data.photos import read_bytes
from dad.data.walk import members, walk
from dad.errors import UserError
from dad.files import read_regular


class Files(Protocol):
    """Files by path under the root, with forward slashes. `problem` says what is wrong with the whole, or is empty."""

    root: Path
    problem: str

    def names(self) -> list[str]:
        """All paths, sorted."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is a file of this path."""
        ...

    def read(self, name: str) -> bytes:
        """A file's bytes; OSError or ValueError when it cannot be read whole."""
        ...


class Folder:
    """Files below a folder."""

    problem = ""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """All paths that can be read, sorted; which files that are is the rule of `dad.data.walk`."""
        return sorted(found.name for found in walk(self.root) if not found.problem)

    def exists(self, name: str) -> bool:
        """Whether there is a file of this path."""
        return (self.root / name).is_file()

    def read(self, name: str) -> bytes:
        """A file's bytes; OSError when it cannot be read."""
        return read_regular(self.root / name)


class Tar:
    """Members of an uncompressed tar, listed once and read in place; which those are is the rule of `dad.data.walk`.

    Of an archive that was cut short the members before the cut are there, and `problem` says what happened. No handle
    is kept: the object may be pickled or forked.
    """

    def __init__(self, path: Path) -> None:
        self.root = path
        self.problem = ""
        self._members: dict[str, tuple[int, int]] = {}
        try:
            for found in members(path):
                if not found.problem:
                    self._members[found.name] = (found.offset, found.size)
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror})") from None
        except tarfile.TarError as error:
            if not self._members:
                raise UserError(
                    f"{path} is not a plain .tar ({error}): a compressed one is unpacked once, as `gunzip` does, "
                    "because nothing in its middle can be read without all that is before it"
                ) from None
            self.problem = f"{path} is cut short after {len(self._members)} files ({error}): copy or download it again"

    def names(self) -> list[str]:
        """All paths, sorted."""
        return sorted(self._members)

    def exists(self, name: str) -> bool:
        """Whether there is a member of this path."""
        return name in self._members

    def read(self, name: str) -> bytes:
        """A member's bytes; FileNotFoundError without one, ValueError when the archive ends before it does."""
        if name not in self._members:
            raise FileNotFoundError(name)
        return read_bytes(self.root.parent, self.root.name, *self._members[name])


def open_files(root: Path, archives: tuple[str, ...] = ()) -> Files:
    """A folder, a .tar, or a folder in which one of the tars named `archives` lies. UserError if there is none."""
    if root.is_file():
        return Tar(root)
    if not root.is_dir():
        raise UserError(f"{root} does not exist: give the folder or the .tar of the data set")
    inside = [root / name for name in archives if (root / name).is_file()]
    return Tar(inside[0]) if inside else Folder(root)
