"""What a command says when it cannot go on: one line and an exit code for everything that can happen, never a
traceback.

    0    done                                        2    what was given or where it runs does not allow it; the line
    says what 1    a mistake in dad: the line says so, and      3    the training is not worth continuing
         where the traceback was written             130  interrupted (Ctrl-C)
                                                143  ended on request (SIGTERM); a training has written its checkpoint

With DAD_DEBUG=1 the traceback of every error is printed as well.
"""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from dad.errors import CollapseError, EndedError, UserError

DEBUG = "DAD_DEBUG"

_FULL = (errno.ENOSPC, errno.EDQUOT)
_ADVICE = {
    errno.EACCES: "permission denied: take another place, or change its permissions",
    errno.EPERM: "the system does not permit this: take another place",
    errno.EROFS: "this file system is read-only: take another place",
    errno.EISDIR: "it is a folder where a file is needed",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "it exists already, and is of another kind",
    errno.ENOENT: "it does not exist, or cannot be made there",
    errno.ENAMETOOLONG: "its name is too long for the file system",
    errno.ELOOP: "its links lead back to themselves",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n) or lower --workers",
    errno.ENOMEM: "out of memory",
    errno.EIO: "the device reports an error: look at the disk",
    errno.EFBIG: "the file would be larger than the file system allows",
    errno.ESTALE: "the network file system lost it: mount it again",
}
# words of errors that libraries raise as plain RuntimeErrors or as types of their own
_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "unable to allocate",
    "not enough memory",
    "bad_alloc",
)
_DISK = ("no space left on device", "disk is full", "disk quota exceeded", "failed writing file", "file write failed")
_OUT_OF_MEMORY = "out of memory: take smaller images, --batch or --size, fewer --workers, or a larger machine"
_DISK_FULL = "the disk is full: make room and give the same command again, which continues"


def run(work: Callable[[], None]) -> int:
    """Do the work of a command and return the exit code; what stops it is said on stderr in one line."""
    code = 0
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError:  # `dad matrix | head`
        pass
    except (Exception, KeyboardInterrupt) as error:
        code, line = explain(error)
        if os.environ.get(DEBUG, "") not in ("", "0"):
            traceback.print_exception(error)
        elif code == 1:
            line += _where_written(error)
        print(f"dad: {line}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except (
        OSError
    ):  # nobody reads it, or its disk is full: the interpreter would try again at its end, with a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def explain(error: BaseException) -> tuple[int, str]:
    """The exit code and the one line of an error."""
    text = one_line(error)
    lower = text.lower()
    if isinstance(error, UserError):
        return 2, text
    if isinstance(error, CollapseError):
        return 3, f"training stopped: {text}"
    if isinstance(error, EndedError):
        return 143, text
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted; what was finished is kept, and the same command continues where it can"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(words in lower for words in _MEMORY)):
        return 2, f"{_OUT_OF_MEMORY} ({text[:200]})" if text != "MemoryError" else _OUT_OF_MEMORY
    if isinstance(error, OSError) and error.errno is not None:
        return 2, _system(error)
    if any(words in lower for words in _DISK):
        return 2, f"{_DISK_FULL} ({text[:200]})"
    if isinstance(error, ImportError) and (package := (error.name or "").partition(".")[0]) not in ("", "dad"):
        return 2, f"the package {package} is needed for this and cannot be imported ({text}): pip install {package}"
    if isinstance(error, RecursionError):
        return 2, "what was given is nested too deeply to be read"
    if type(error).__name__ == "BrokenProcessPool":
        return 2, "a worker process was killed, as happens when memory runs out: give fewer --workers"
    if type(error).__module__.partition(".")[0] in ("sqlite3", "sqlalchemy"):
        return 2, f"the database cannot be used: {text}"
    if isinstance(error, UnicodeError):
        return 2, f"a name or text is not valid in its encoding: {text}"
    return 1, f"a mistake in dad, not in what you gave: {type(error).__name__}: {text}"


def _system(error: OSError) -> str:
    """An error of the operating system: which file, what is wrong, what to do."""
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    if path is not None and path.name.startswith(".dad-"):  # a temporary name says nothing to anybody
        path = path.parent
    place = "" if path is None else f"{path}: "
    if error.errno in _FULL:
        return place + _DISK_FULL
    return place + _ADVICE.get(error.errno or 0, f"{error.strerror or error}")


def one_line(error: BaseException) -> str:
    """An error's message in one line; of one that a worker process sent with its traceback, the message alone."""
    text = str(error)
    if "Original Traceback" in text or "Traceback (most recent call last)" in text:
        last = [line for line in text.splitlines() if line.strip()][-1].strip()
        kind, colon, rest = last.partition(": ")
        text = rest if colon and kind.replace(".", "").replace("_", "").isalnum() else last
    return " ".join(text.split()) or type(error).__name__


def _where_written(error: BaseException) -> str:
    """The place of the traceback, written to a temporary file for the report of the mistake."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="dad-traceback-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return f"; set {DEBUG}=1 to see the traceback"
    return f"; its traceback is in {file.name}: please report it"
