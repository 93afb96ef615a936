"""Progress for people and for log files: a bar on a terminal, else a line every few seconds."""

import sys
import time
from types import TracebackType

from tqdm import tqdm


class Progress:
    """Counts work done, as a context manager. On a terminal a tqdm bar, else a plain line with rate and time left."""

    def __init__(self, name: str, total: int, unit: str, *, every: float = 5.0) -> None:
        self.name, self.total, self.unit, self.every = name, total, unit, every
        self.done = 0
        self._begun = self._spoke = time.monotonic()
        self._bar = tqdm(total=total, desc=name, unit=unit) if sys.stderr.isatty() else None

    def advance(self, amount: int = 1) -> None:
        """Count `amount` more as done."""
        self.done += amount
        if self._bar is not None:
            self._bar.update(amount)
            return
        now = time.monotonic()
        if now - self._spoke >= self.every or self.done == self.total:
            self._spoke = now
            rate = self.done / max(now - self._begun, 1e-9)
            left = (self.total - self.done) / rate
            print(
                f"{self.name}: {self.done} of {self.total} {self.unit}s, {rate:.1f}/s, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
