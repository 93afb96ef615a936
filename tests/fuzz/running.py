"""One fuzz case: what it makes, the command, and what must come of it."""

import contextlib
import hashlib
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dad.cli import main

BOUND = 30
"""Seconds after which a command hangs."""


class Hang(BaseException):
    """A command that did not end in time; no `except Exception` of the code under test takes it."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        """The lines that a person is meant to read: the verb's own, without progress."""
        return [line for line in self.err.splitlines() if line.startswith("dad")]


@dataclass(frozen=True)
class Case:
    """A kind of mistake and one instance of it.

    prepare: writes into IN what the case needs (the current folder holds `in`, and gets `out`), and returns the
    command. expect: raises AssertionError where the result is not what must come of it.
    """

    kind: str
    name: str
    prepare: Callable[[np.random.Generator], list[str]]
    expect: Callable[[Result], None]


def run(case: Case, folder: Path) -> None:
    """Run a case in a folder of its own and judge it."""
    (folder / "in").mkdir(parents=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        words = case.prepare(np.random.default_rng(int(hashlib.sha256(case.name.encode()).hexdigest()[:8], 16)))
        held = _contents(Path("in"))
        result = _command(words)
        shown = f"dad {' '.join(words)[:300]}\nexit {result.code}\n{result.out[-500:]}\n{result.err[-1500:]}"
        assert "Traceback" not in result.err, shown
        assert "a mistake in dad" not in result.err, shown
        assert result.code in (0, 2), shown
        assert _contents(Path("in")) == held, f"inputs were changed: {shown}"
        assert {path.name for path in Path().iterdir()} <= {"in", "out"}, f"written outside the output folder: {shown}"
        assert not list(Path().rglob(".dad-*")), f"temporary files are left: {shown}"
        try:
            case.expect(result)
        except (AssertionError, OSError, ValueError) as error:
            raise AssertionError(f"{error}\n{shown}") from None
    finally:
        os.chdir(before)


def _command(words: list[str]) -> Result:
    def late(number: int, frame: object) -> None:
        raise Hang

    out, err = io.StringIO(), io.StringIO()
    signal.signal(signal.SIGALRM, late)
    signal.alarm(BOUND)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    except Hang:
        raise AssertionError(f"dad {' '.join(words)[:300]} did not end within {BOUND} s") from None
    finally:
        signal.alarm(0)
    return Result(code, out.getvalue(), err.getvalue())


def _contents(folder: Path) -> dict[str, str]:
    """Every path below a folder with its bytes' hash; of what is no regular file its kind."""
    found = {}
    for path in sorted(folder.rglob("*")):
        regular = path.is_file() and not path.is_symlink()
        found[os.fsencode(path).hex()] = (
            hashlib.sha256(path.read_bytes()).hexdigest() if regular else str(path.lstat().st_mode)
        )
    return found


def refused(*words: str) -> Callable[[Result], None]:
    """Exit code 2, one line with all the words, and nothing written."""

    def expect(result: Result) -> None:
        assert result.code == 2, "it was accepted"
        assert len(result.said) == 1, "not one line"
        assert all(word in result.said[0] for word in words), f"the line does not say {words}"
        written = [path for path in Path("out").rglob("*") if path.is_file()] if Path("out").is_dir() else []
        assert not written, f"refused, and yet written: {written}"

    return expect


def either(*expectations: Callable[[Result], None]) -> Callable[[Result], None]:
    """One of several outcomes, each of which is checked."""

    def expect(result: Result) -> None:
        problems = []
        for one in expectations:
            try:
                return one(result)
            except (AssertionError, OSError) as error:
                problems.append(str(error))
        raise AssertionError("; ".join(problems))

    return expect
