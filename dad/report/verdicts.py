"""What an interval says about a claim."""

from typing import Literal

from dad.report.statistics import Interval

Verdict = Literal["held", "did not hold", "undecided", "can not be asked"]

ORDER: tuple[Verdict, ...] = ("did not hold", "undecided", "held", "can not be asked")
"""What came out otherwise is told first."""


def judge_better(interval: Interval) -> Verdict:
    """The verdict on `the other is worse` from the interval of how much worse it is."""
    if interval.low > 0:
        return "held"
    return "did not hold" if interval.high < 0 else "undecided"


def judge_close(interval: Interval, margin: float) -> Verdict:
    """The verdict on `the difference is within plus or minus margin`: held when the whole interval is."""
    if interval.low > -margin and interval.high < margin:
        return "held"
    return "did not hold" if interval.low > margin or interval.high < -margin else "undecided"
