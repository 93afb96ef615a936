"""Training curves as inline SVG, drawn from a run's step log without any library."""

import math
from collections.abc import Mapping, Sequence

import markupsafe

from dad.report.templates import environment

WIDTH, HEIGHT = 320, 132
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 20
POINTS = 120
"""At most this many points a line: a step log can have twenty thousand."""


def curve(steps: Sequence[float], lines: Mapping[str, Sequence[float]], title: str) -> markupsafe.Markup:
    """One panel: each line over the steps, thinned to means of equal runs of steps, on a scale that all share.

    lines: name -> values, one per step; NaN where the line has none. With several lines the names stand in a legend. Empty
    where there is no finite value.
    """
    thinned = {name: _thinned(steps, values) for name, values in lines.items()}
    thinned = {name: points for name, points in thinned.items() if points}
    values = [y for points in thinned.values() for _, y in points]
    if not values:
        return markupsafe.Markup("")
    low, high = min(values), max(values)
    if low == high:
        low, high = low - abs(low or 1) / 2, high + abs(high or 1) / 2
    last = max(steps) or 1
    drawn = {
        name: " ".join(f"{_x(step, last):.1f},{_y(value, low, high):.1f}" for step, value in points)
        for name, points in thinned.items()
    }
    return markupsafe.Markup(
        environment()
        .get_template("curve.html")
        .render(
            title=title,
            last=last,
            lines=drawn,
            ends={name: (points[0][1], points[-1][1]) for name, points in thinned.items()},
            ticks=[(value, _y(value, low, high)) for value in (low, (low + high) / 2, high)],
            width=WIDTH,
            height=HEIGHT,
            left=LEFT,
            right=WIDTH - RIGHT,
        )
    )


def _thinned(steps: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Means over equal runs of steps, at most `POINTS` of them; steps without a value count for nothing."""
    size = max(1, math.ceil(len(steps) / POINTS))
    points = []
    for start in range(0, len(steps), size):
        known = [value for value in values[start : start + size] if math.isfinite(value)]
        if known:
            run = steps[start : start + size]
            points.append((sum(run) / len(run), sum(known) / len(known)))
    return points


def _x(step: float, last: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * step / last


def _y(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)
