"""How a run can stop on purpose: a user's mistake, a training that is not worth continuing, and being asked to end."""


class UserError(ValueError):
    """A mistake in what the user gave (a key, a value, a file). The command line prints its line and exits with 2."""


class CollapseError(RuntimeError):
    """Training produced a student that cannot recover (dead output, NaN). The message says what was seen and what to
    try.

    `step` is the first step that shows it, where there is one.
    """

    def __init__(self, message: str, *, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step


class EndedError(Exception):
    """A training was asked to end (SIGTERM) and has kept what it had."""
