"""Training curves as inline SVG, drawn from a run's step log without any library."""

import math
from collections.abc import Mapping, Sequence

import markupsafe
import numpy as np
import pandas as pd

from dad.report.templates import environment

WIDTH, HEIGHT = 320, 132
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 20
POINTS = 120
"""At most this many points a line: a step log can have twenty thousand."""


def curve(steps: Sequence[float], lines: Mapping[str, Sequence[float]], title: str) -> markupsafe.Markup:
    """One panel: each line over the steps, thinned to means of equal runs of steps, on a scale that all share.

    lines: name -> values, one per step; NaN where the line has none. With several lines the names stand in a legend.
    Empty where there is no finite value.
    """
    table = pd.DataFrame({"step": steps, **lines}, dtype=float).replace([np.inf, -np.inf], np.nan)
    table = table.groupby(np.arange(len(table)) // max(1, math.ceil(len(table) / POINTS))).mean()
    known = {name: table[["step", name]].dropna().to_numpy() for name in lines}
    known = {name: points for name, points in known.items() if len(points)}
    if not known:
        return markupsafe.Markup("")
    low, high = (float(end([end(points[:, 1]) for points in known.values()])) for end in (min, max))
    if low == high:
        low, high = low - abs(low or 1) / 2, high + abs(high or 1) / 2
    last = max(steps) or 1

    def height(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    def drawn(points: np.ndarray) -> str:
        return " ".join(
            f"{LEFT + (WIDTH - LEFT - RIGHT) * step / last:.1f},{height(value):.1f}" for step, value in points
        )

    facts = {
        "lines": {name: drawn(points) for name, points in known.items()},
        "ends": {name: (points[0, 1], points[-1, 1]) for name, points in known.items()},
        "ticks": [(value, height(value)) for value in (low, (low + high) / 2, high)],
    }
    places = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT}
    return markupsafe.Markup(environment().get_template("curve.html").render(title=title, last=last, **facts, **places))
