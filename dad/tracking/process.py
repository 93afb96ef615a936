"""Whose a run is: the process that writes it, whether that has ended, and how it ends when it is asked to."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

import psutil


def this_process() -> str:
    """Value of the tag `dad.process`: host, process id and its start in seconds, which tells reused ids apart."""
    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.0f}"


def has_ended(process: str | None) -> bool:
    """Whether the process of a `dad.process` tag is known to have ended; of another host's nothing is known."""
    host, _, rest = (process or "").partition(" ")
    if host != socket.gethostname():
        return False
    pid, created = rest.split()
    try:
        return f"{psutil.Process(int(pid)).create_time():.0f}" != created
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def exits_on_sigterm() -> Iterator[None]:
    """Within it SIGTERM, which ends Python on the spot, ends it as an exception does, where nobody else handles it.

    The exit status is the one that a shell reports for a process ended by this signal.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
