"""Training curves as inline SVG, drawn from a run's step log without any library."""

import html
import math
from collections.abc import Mapping, Sequence

import markupsafe

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
    parts = [_axes(low, high, last)]
    for number, points in enumerate(thinned.values()):
        path = " ".join(f"{_x(step, last):.1f},{_y(value, low, high):.1f}" for step, value in points)
        parts.append(f'<polyline class="line line{number}" points="{path}"/>')
    words = "; ".join(f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in thinned.items())
    label = html.escape(f"{title} over {last:,.0f} steps: {words}")
    legend = _legend(list(thinned)) if len(thinned) > 1 else ""
    drawing = f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    caption = f"<figcaption>{html.escape(title)}{legend}</figcaption>"
    return markupsafe.Markup(f'<figure class="panel">{caption}{drawing}</figure>')


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


def _axes(low: float, high: float, last: float) -> str:
    parts = []
    for value in (low, (low + high) / 2, high):
        y = _y(value, low, high)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{value:.3g}</text>')
    for step, anchor in ((0, "start"), (last, "end")):
        parts.append(f'<text class="tick" x="{_x(step, last):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{step:,.0f}</text>')
    return "".join(parts)


def _legend(names: Sequence[str]) -> str:
    keys = "".join(f'<span class="key key{number}">{html.escape(name)}</span>' for number, name in enumerate(names))
    return f' <span class="legend">{keys}</span>'
