"""Whole files or none: everything the package writes goes through a temporary name in the same folder, fsync and
rename.

And the one way in which texts are read: lists, manifests, cameras, configurations and tables all come through
`read_text`.
"""

import contextlib
import csv
import errno
import fcntl
import functools
import hashlib
import io
import json
import math
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dad.errors import UserError

TEXT_LIMIT = 64 * 2**20
"""Bytes of the largest text that is read at once; a manifest, which is read line by line, has no such limit."""

_FOREIGN = 24 * 3600.0  # seconds after which a temporary file of another machine is taken for abandoned
_ROOM = 2**20  # bytes; a disk that does not take so many is full
_TEMPORARY = re.compile(r"\.dad-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}\.tmp(?:\.[^.]*)?")
_MARKS = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it to `path`, on any error remove it.

    The temporary name is hidden and short whatever the name of `path`, and keeps its suffix, because several writers
    (Pillow, numpy) choose the format by it. It tells whose it is: what a killed process leaves is removed by the next
    one that writes into the folder. An error of a writer on a full disk is raised as the OSError that it is, whatever
    the library made of it.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    _sweep_once(str(target.parent.resolve()))
    temporary = target.with_name(_temporary_name(target.suffix if len(os.fsencode(target.suffix)) <= 16 else ""))
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield temporary
        except UserError:
            raise
        except Exception as error:
            if not isinstance(error, OSError) or error.errno is None:  # numpy, torch and others hide the cause
                _require_room(target.parent, error)
            raise
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        _share(temporary)
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        os.close(handle)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success fsync its files and rename it to `path`, on any error remove
    it.

    `path` may be an empty folder, never one with files in it. What a killed process leaves is swept as `atomic_path`'s
    files are.
    """
    target = Path(path).resolve()  # of a link, the folder that it leads to
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(target.parent) as temporary:
        yield temporary
        for file in [file for file in temporary.rglob("*") if file.is_file()]:
            with open(file, "rb") as written:
                os.fsync(written.fileno())
            _share(file)
        _share(temporary)
        os.rename(temporary, target)  # takes the place of an empty folder


@contextlib.contextmanager
def scratch_folder(parent: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """A folder for work, in `parent` or where the system keeps temporary files, removed at the end; what a killed
    process leaves is removed by the next one that makes such a folder there.
    """
    where = Path(tempfile.gettempdir() if parent is None else parent)
    _sweep_once(str(where.resolve()))
    folder = where / _temporary_name()
    folder.mkdir(0o700)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield folder
        except UserError:
            raise
        except Exception as error:
            if not isinstance(error, OSError) or error.errno is None:  # onnx, safetensors and others hide the cause
                _require_room(where, error)
            raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _temporary_name(suffix: str = "") -> str:
    """A name that tells which process of which machine it belongs to; `sweep` reads it."""
    return f".dad-{_machine()}-{os.getpid()}-{_started(os.getpid())}-{secrets.token_hex(4)}.tmp{suffix}"


def _share(path: Path) -> None:
    """What was made for the owner alone is meant to be shared like any other result: the umask decides."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def _require_room(folder: Path, cause: Exception) -> None:
    """Raise the OSError of a disk that is full or not writable; nothing where it can be written."""
    probe = folder / _temporary_name()
    try:
        with open(probe, "wb") as file:
            file.write(b"\0" * _ROOM)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or errno.EIO), str(folder)) from cause
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


@functools.cache
def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _started(process: int) -> int:
    """When a process began, in the kernel's ticks, to tell apart a number that is given out again; 0 where unknown."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _lives(process: int, started: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return _started(process) == started


@functools.cache
def _sweep_once(folder: str) -> None:
    sweep(folder)


def sweep(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files and folders that killed processes left in a folder.

    Only names of `_temporary_name`, whose process is gone and whose file nobody holds; those of another machine, which
    may share the folder, after a day.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if found := _TEMPORARY.fullmatch(entry.name):
                machine, process, started = found[1], int(found[2]), int(found[3])
                with contextlib.suppress(OSError):
                    left = (
                        not _lives(process, started)
                        if machine == _machine()
                        else time.time() - entry.stat(follow_symlinks=False).st_mtime > _FOREIGN
                    )
                    if left and _unheld(entry.path):
                        if entry.is_dir(follow_symlinks=False):
                            shutil.rmtree(entry.path, ignore_errors=True)
                        else:
                            os.unlink(entry.path)


def _unheld(path: str) -> bool:
    """Whether no process has the file locked; one in another container has a number that cannot be looked up."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no locks here
    finally:
        os.close(handle)
    return True


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` atomically, creating its folder."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` (UTF-8) to `path` atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, so that equal values give equal bytes.

    JSON knows neither NaN nor infinity: both become null, which every reader understands as "no number".
    """
    write_text(path, json.dumps(finite(value), indent=2, sort_keys=True, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """The value with null for every number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def read_text(path: str | os.PathLike[str], *, limit: int = TEXT_LIMIT) -> str:
    """The text of a file: UTF-8 with or without a byte order mark, line ends of any system as "\\n".

    Raises UserError for what is not there, is no regular file, has more than `limit` bytes, or another encoding, which
    it names.
    """
    with _opened(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UserError(
            f"{path} has more than {limit // 2**20 or limit} {'MiB' if limit >= 2**20 else 'bytes'}: it is no such file"
        )
    return io.StringIO(_decoded(data, path), newline=None).read()


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """A regular file's bytes; OSError where there is none, ValueError for a pipe or a device, which might never end."""
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError("it is no regular file")
    return Path(path).read_bytes()


def text_lines(path: str | os.PathLike[str]) -> Iterator[str]:
    """The lines of a text of any length, without ends; encodings and errors as `read_text`, as far as it is read."""
    with _opened(path) as file:
        for number, line in enumerate(file):
            text = _decoded(line, path) if number == 0 else _decoded(line, path, f"line {number + 1}")
            yield text.removesuffix("\n").removesuffix("\r")


def _opened(path: str | os.PathLike[str]) -> io.BufferedReader:
    """A regular file, open for reading; not a pipe or a device, which could keep the reader waiting for ever."""
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise UserError(f"{path} is {'a folder' if Path(path).is_dir() else 'no regular file'}: give a text file")
        return open(path, "rb")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name
        raise UserError(f"cannot read {str(path)!r}: {error}") from None


def _decoded(data: bytes, path: str | os.PathLike[str], where: str = "") -> str:
    for mark, name in _MARKS.items():
        if not where and data.startswith(mark):
            raise UserError(f"{path} is encoded in {name}: save it as UTF-8")
    try:
        text = data.decode("utf-8-sig" if not where else "utf-8")
    except UnicodeDecodeError as error:
        lines_before = data[: error.start].count(b"\n")
        place = where or f"line {lines_before + 1}"
        raise UserError(
            f"{path} is not UTF-8 text (byte 0x{data[error.start]:02x} in {place}, as Latin-1 and others have): save "
            "it as UTF-8"
        ) from None
    if "\0" in text:
        raise UserError(f"{path} is no UTF-8 text: it holds NUL bytes, as UTF-16 and binary files do")
    return text


def parse_json(text: str, source: str | os.PathLike[str]) -> Any:
    """The value of a JSON text; UserError naming `source` for no JSON, a key given twice or nesting beyond reason."""
    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise UserError(f"{source} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise UserError(f"{source} is not usable JSON: {reason}") from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object of its (name, value) pairs; ValueError for a name that is given twice, as one would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counted = Counter(name for name, _ in pairs)
        raise ValueError(f"the key {next(name for name in counted if counted[name] > 1)!r} is given twice")
    return found


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; a UserError names the file and what is wrong with it."""
    return parse_json(read_text(path), path)


def write_csv(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]], columns: list[str]) -> None:
    """Write `rows` as CSV with the given columns, atomically. Floats keep their shortest exact form."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hex sha256 of a file's bytes. OSError where there is no regular file: a pipe might never end."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Hex sha256 of the canonical JSON of `value` (sorted keys, no spaces): the identity of a config."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
