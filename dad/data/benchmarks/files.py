"""Where a benchmark's files lie: a folder, or a tar whose members are read in place."""

import os
import tarfile
from pathlib import Path
from typing import Protocol

from dad.data.photos import read_bytes
from dad.errors import UserError


class Files(Protocol):
    """Files by their path under the root, with forward slashes. `problem` says what is wrong with the whole, or is empty."""

    root: Path
    problem: str

    def names(self) -> list[str]:
        """All paths, sorted."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is a file of this path."""
        ...

    def read(self, name: str) -> bytes:
        """A file's bytes; OSError or ValueError when it can not be read whole."""
        ...


class Folder:
    """Files below a folder."""

    problem = ""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """All paths, sorted. Links to folders are followed."""
        found = (Path(folder, name) for folder, _, names in os.walk(self.root, followlinks=True) for name in names)
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def exists(self, name: str) -> bool:
        """Whether there is a file of this path."""
        return (self.root / name).is_file()

    def read(self, name: str) -> bytes:
        """A file's bytes; OSError when it can not be read."""
        return (self.root / name).read_bytes()


class Tar:
    """Members of an uncompressed tar, listed once and read in place. Names are taken without a leading "./".

    Of an archive that was cut short the members before the cut are there, and `problem` says what happened. No handle is
    kept: the object may be pickled or forked.
    """

    def __init__(self, path: Path) -> None:
        self.root = path
        self.problem = ""
        self._members: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(path, "r:") as archive:
                self._list(archive)
                # an archive ends with a block of zeros; tarfile accepts the end of the file in its place
                whole = archive.offset + tarfile.BLOCKSIZE <= path.stat().st_size
        except OSError as error:
            raise UserError(f"{path} can not be read ({error.strerror})") from None
        except tarfile.TarError as error:
            if not self._members:
                raise UserError(
                    f"{path} is not a plain .tar ({error}): a compressed one is unpacked once, as `gunzip` does, because "
                    "nothing in its middle can be read without all that is before it"
                ) from None
            whole = False
        if not whole:
            self.problem = f"{path} is cut short after {len(self._members)} files: copy or download it again"

    def _list(self, archive: tarfile.TarFile) -> None:
        for member in archive:
            if member.isfile():
                self._members[member.name.removeprefix("./")] = (member.offset_data, member.size)
            archive.members = []  # type: ignore[attr-defined]  # tarfile would keep a kilobyte for each

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
    """A folder, a .tar, or a folder in which one of the tars named `archives` lies. UserError if there is none of these."""
    if root.is_file():
        return Tar(root)
    if not root.is_dir():
        raise UserError(f"{root} does not exist: give the folder or the .tar of the data set")
    inside = [root / name for name in archives if (root / name).is_file()]
    return Tar(inside[0]) if inside else Folder(root)
