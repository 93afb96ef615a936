"""What a check finds: one line each, and whether the study can start all the same."""

from dataclasses import dataclass
from typing import Literal

Subject = Literal["study", "weights", "photos", "benchmark", "machine"]


@dataclass(frozen=True)
class Finding:
    """One line: which key, which value, what is allowed, what to do.

    severity: `stop` where the study would fail, `warning` where it would run and somebody should know, `note` for
    estimates. about: `study` for what is wrong on every machine; everything else is a matter of what this machine has.
    """

    severity: Literal["stop", "warning", "note"]
    about: Subject
    line: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.line}"

    @property
    def stops(self) -> bool:
        """Whether the study would fail."""
        return self.severity == "stop"

    @property
    def wrong(self) -> bool:
        """Whether it would fail anywhere, because of what its configuration says."""
        return self.stops and self.about == "study"


def stop(about: Subject, line: str) -> Finding:
    """A finding that stops the study."""
    return Finding("stop", about, " ".join(line.split()))


def warning(about: Subject, line: str) -> Finding:
    """A finding that does not."""
    return Finding("warning", about, " ".join(line.split()))
