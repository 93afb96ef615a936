"""Ending a training when it is asked to (SIGTERM): the step is finished and kept, so that the same command goes on from
there.

Schedulers send SIGTERM some seconds before they kill: where a time limit is reached, a job is cancelled, or its machine
is given to another.
"""

import contextlib
import signal
from types import FrameType

from dad.errors import EndedError


class EndRequest:
    """Within it SIGTERM is noted instead of ending the process. What follows it is the loop's to do, between two steps.

    Of several processes that train one student all may be sent the signal; the first one writes the checkpoint and
    ends, and the others are ended by what started them.
    """

    def __init__(self) -> None:
        self.asked = False

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def end(self, step: int) -> None:
        """End, with `step` steps kept."""
        raise EndedError(
            f"ended on request (SIGTERM) after step {step}, which is kept: the same command goes on from there"
        )

    def __enter__(self) -> "EndRequest":
        with contextlib.suppress(ValueError):  # not in the main thread: the signals are somebody else's
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_before"):
            signal.signal(signal.SIGTERM, self._before)
