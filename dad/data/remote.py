"""Photos that lie behind a URL (http, s3, gs, ...), read through fsspec: headers of tars, and ranges of bytes.

A root is a path or, with `://` in it, a URL; `root_of` makes the one or the other of it. Nothing is copied here: a
manifest knows where in which tar a photo begins, and reading it is one request for its bytes.
"""

import functools
import os
import time
from collections.abc import Iterator
from typing import IO, Any

from dad.data.walk import Found, hidden
from dad.errors import UserError

BLOCK = 2**15
"""Bytes asked for at once where a tar's headers are read: a header is 512 and what follows it is passed over."""
ATTEMPTS = 4
"""How often a range is asked for before its photo counts as unreadable; a pause of 1, 2, 4 seconds lies between."""
_PAUSE = 1.0


class RemoteRoot:
    """A folder or file behind a URL, with as much of a path's manners as photo collections need. It may be pickled."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"RemoteRoot({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteRoot) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __truediv__(self, name: str | os.PathLike[str]) -> "RemoteRoot":
        return RemoteRoot(f"{self.url}/{os.fspath(name)}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def parent(self) -> "RemoteRoot":
        """The folder that it lies in."""
        return RemoteRoot(self.url.rsplit("/", 1)[0])

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return os.path.splitext(self.name)[1]

    def resolve(self) -> "RemoteRoot":
        """Itself: a URL is no shorter way to another one."""
        return self

    def open(self) -> IO[bytes]:
        """The file, seekable, read in small blocks."""
        return _system(self.url).open(self.url, "rb", block_size=BLOCK, cache_type="readahead")

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, in one request; fewer where the file ends before. What may pass, such as a
        broken connection, is tried again. Raises ValueError where the server does not give a part of a file.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                data = _system(self.url).cat_file(self.url, start=offset, end=offset + size)
                break
            except FileNotFoundError:
                raise
            except Exception:  # every protocol has errors of its own
                if attempt == ATTEMPTS:
                    raise
                time.sleep(_PAUSE * 2 ** (attempt - 1))
        if len(data) > size:
            raise ValueError("the server gave the whole file where a part of it was asked for: it knows no ranges")
        return bytes(data)

    def files(self) -> Iterator[Found]:
        """The files below the folder, sorted by name, without hidden ones. Raises UserError if it cannot be listed."""
        system = _system(self.url)
        try:
            found: dict[str, dict[str, Any]] = system.find(self.url, detail=True)
        except Exception as error:
            raise UserError(f"{self.url} cannot be listed ({_reason(error)})") from None
        base = system._strip_protocol(self.url).rstrip("/")
        for path in sorted(found):
            name = path.removeprefix(base).lstrip("/")
            if name and not hidden(name):
                size = found[path].get("size")
                yield Found(name, -1 if size is None else int(size))

    def size(self) -> int:
        """Of the file, in bytes."""
        return int(_system(self.url).size(self.url) or 0)


def is_remote(root: object) -> bool:
    """Whether a root, as a person writes it, is a URL."""
    return isinstance(root, RemoteRoot) or "://" in str(root)


def why_not(url: str) -> str | None:
    """Why URLs of this kind cannot be read here, in a few words; None where they can. Asks nothing of the network."""
    import fsspec

    protocol = url.partition("://")[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError:
        return f"fsspec knows no protocol {protocol!r}"
    except ImportError as error:
        return _reason(error)
    return None


def _system(url: str) -> Any:
    return _system_of(url.partition("://")[0], os.getpid())


@functools.lru_cache(maxsize=8)
def _system_of(protocol: str, _process: int) -> Any:
    """A file system of this process: those of another one's threads may not be used."""
    import fsspec

    try:
        return fsspec.filesystem(protocol)
    except (ValueError, ImportError) as error:
        raise UserError(f"{protocol}:// cannot be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
