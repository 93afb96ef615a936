"""Which files a folder or a tar holds: one rule for every verb that searches.

Folders are searched to the bottom, in the order of names. Links are followed, in folders and inside tars alike, and
every folder is entered once, so that loops end. Passed over without a word are hidden names (a leading dot: temporary
files, the `._` doubles of macOS) and what other systems leave in every folder (`CLUTTER`). Named, and never opened, are
FIFOs, sockets and devices, links that lead nowhere, folders that cannot be listed, and names that are not UTF-8.
"""

import contextlib
import errno
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

CLUTTER = ("__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN", "System Volume Information")
"""Names of Windows, macOS and storage boxes; .DS_Store is hidden anyway."""

_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
_LINKS = 40  # as many links to links as Linux follows


@dataclass(frozen=True, slots=True)
class Found:
    """A file by path below the root (forward slashes): `size` bytes from `offset`. `problem`: why it is unreadable."""

    name: str
    size: int = 0
    offset: int = 0
    problem: str = ""


def hidden(path: str) -> bool:
    """Whether a path, with forward slashes and relative to what is searched, is passed over."""
    return any(part.startswith(".") or part in CLUTTER for part in path.split("/"))


def walk(root: Path) -> Iterator[Found]:
    """The files below a folder by the rule above. A root that cannot be listed is yielded as a problem called "."."""
    entered: set[tuple[int, int]] = set()
    refused: list[Found] = []

    def denied(error: OSError) -> None:
        refused.append(
            Found(_shown(os.path.relpath(error.filename, root)), problem=f"it cannot be listed ({error.strerror})")
        )

    for folder, folders, files in os.walk(root, followlinks=True, onerror=denied):
        yield from refused
        refused.clear()
        try:
            status = os.stat(folder)
        except OSError as error:  # gone in between
            denied(error)
            continue
        if (status.st_dev, status.st_ino) in entered:  # a link back to a folder that was searched already
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not hidden(name))
        for name in sorted(files):
            if not hidden(name):
                yield _examined(Path(folder, name), root)
    yield from refused


def _examined(path: Path, root: Path) -> Found:
    name = path.relative_to(root).as_posix()
    if _shown(name) != name:
        return Found(_shown(name), problem="its name is not valid UTF-8")
    try:
        status = path.stat()
    except OSError as error:
        lost = path.is_symlink() and isinstance(error, FileNotFoundError)
        return Found(name, problem="the file is not there (a link to nothing)" if lost else str(error.strerror))
    if not stat.S_ISREG(status.st_mode):
        return Found(
            name, problem=f"it is {_KINDS.get(stat.S_IFMT(status.st_mode), 'no regular file')}, which is never opened"
        )
    return Found(name, status.st_size)


class Openable(Protocol):
    """A file that is no path, such as one behind a URL."""

    def open(self) -> IO[bytes]:
        """Its bytes, seekable."""


def _opened(path: Path | Openable) -> IO[bytes]:
    return open(path, "rb") if isinstance(path, Path) else path.open()


def _archive(path: Path | Openable, stack: contextlib.ExitStack) -> tarfile.TarFile:
    return (
        tarfile.open(path, "r:")
        if isinstance(path, Path)
        else tarfile.open(fileobj=stack.enter_context(path.open()), mode="r:")
    )


def members(path: Path | Openable) -> Iterator[Found]:
    """The files of a plain tar by the rule above, read in place: regular members first, then links to them.

    Names are without a leading "./". Raises OSError for a file that cannot be read, and tarfile.TarError, after what is
    sound, for what is no plain tar, or is cut short or damaged.
    """
    whole: dict[str, Found] = {}
    links: list[tuple[str, str]] = []
    failure: tarfile.TarError | None = None
    try:
        with contextlib.ExitStack() as stack:
            archive = stack.enter_context(_archive(path, stack))
            last = -1
            for member in archive:
                if member.size < 0 or archive.offset <= last:  # type: ignore[attr-defined]
                    raise tarfile.ReadError(f"a damaged header before byte {max(last, 0)}")
                last = archive.offset  # type: ignore[attr-defined]
                archive.members = []  # type: ignore[attr-defined]  # tarfile would keep a kilobyte for each
                found = _member(member, links)
                if found is not None:
                    if not found.problem:
                        whole.setdefault(found.name, found)
                    yield found
            failure = _unfinished(path, archive.offset)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno != errno.EINVAL:  # a damaged size, to which no file can be wound
            raise
        failure = tarfile.ReadError("a damaged header")
    except tarfile.TarError as error:
        failure = error
    except Exception as error:  # damaged headers make tarfile raise ValueError, OverflowError and others
        failure = tarfile.ReadError(f"a damaged header ({' '.join(str(error).split()) or type(error).__name__})")
    for name, target in links:
        yield _linked(name, target, dict(links), whole)
    if failure is not None:
        raise failure


def _member(member: tarfile.TarInfo, links: list[tuple[str, str]]) -> Found | None:
    """A member as a file; None for a folder, a hidden name, or a link, which is noted with what it leads to."""
    name = posixpath.normpath(member.name).removeprefix("./")
    if member.isdir() or hidden(name):
        return None
    if _shown(name) != name:
        return Found(_shown(name), problem="its name is not valid UTF-8")
    if member.issym() or member.islnk():
        folder = posixpath.dirname(name) if member.issym() else ""
        links.append((name, posixpath.normpath(posixpath.join(folder, member.linkname))))
        return None
    if not member.isreg() or member.issparse():
        kind = "a sparse file" if member.issparse() else "no regular file"
        return Found(name, problem=f"it is {kind}, which is not read from a tar")
    return Found(name, member.size, member.offset_data)


def _linked(name: str, target: str, links: dict[str, str], whole: dict[str, Found]) -> Found:
    """A link inside a tar: the bytes of the member that it leads to."""
    for _ in range(_LINKS):
        if target in whole:
            return Found(name, whole[target].size, whole[target].offset)
        if target not in links:
            return Found(name, problem=f"it is a link to {_shown(target)}, which is no file of this tar")
        target = links[target]
    return Found(name, problem="its links lead back to themselves")


def _unfinished(path: Path | Openable, end: int) -> tarfile.TarError | None:
    """What is wrong where tarfile stopped: an archive ends with zeros and nothing behind, but it stops at anything."""
    with _opened(path) as file:
        file.seek(end)
        block = file.read(tarfile.BLOCKSIZE)
        if block.strip(b"\0"):
            return tarfile.ReadError(f"what begins at byte {end} is no header: it is damaged")
        if len(block) < tarfile.BLOCKSIZE:
            return tarfile.ReadError("it has no end mark: cut short")
        while chunk := file.read(2**20):  # of a sound archive a few kilobytes of padding
            if chunk.strip(b"\0"):
                return tarfile.ReadError(
                    f"its end at byte {end} is followed by more: damaged, or several archives in one file"
                )
    return None


def _shown(name: str) -> str:
    """A printable form of a name, the name itself where it is valid UTF-8."""
    return name.encode(errors="backslashreplace").decode()
