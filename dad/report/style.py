"""The one style of all figures: fonts, colours that the colour-blind tell apart, and PNG files whose bytes repeat."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dad.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito (2008), the darker ones first."""
MARKERS = ("o", "s", "D", "^", "v", "P")
"""Shape repeats what colour says."""

INK, QUIET, HAIRLINE = "#222222", "#666666", "#DDDDDD"
MARK = "#E8000B"
"""What is to be found in a picture or chart: a marked pixel, the line of perfect predictions."""


def look_of(number: int) -> dict[str, str]:
    """Colour and marker of the line or block with this number, counted from 0; beyond the last they begin anew."""
    return {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number % len(MARKERS)]}


GIVEN: dict[str, Any] = {
    "estimator": lambda values: values.iloc[0],
    "errorbar": lambda values: (values.iloc[1:].min(), values.iloc[1:].max()),
}
"""For seaborn: a place's values are a mean and, behind it, the ends of its interval, which are given, not computed."""

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": HAIRLINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "dad",
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's defaults with the project's style on top, whatever the user's own configuration is."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def new_figure(width: float, height: float, *, layout: str | None = "constrained", dpi: float = 100) -> "Figure":
    """A figure of this size in inches, outside pyplot's global state. Call inside `styled`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout, dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def draw_curve(axes: "Axes", lines: "pd.DataFrame", x: str, **look: Any) -> None:
    """A line through `mean` over the column `x`, in a band from `low` to `high`. Other options are seaborn's."""
    import seaborn

    long = lines.melt([x], ["mean", "low", "high"])
    # seaborn would sort the values of a place, too
    seaborn.lineplot(long, x=x, y="value", ax=axes, legend=False, sort=False, **GIVEN, **look)
    axes.set_ylabel("")


def drawable(text: str) -> str:
    """The text with escapes (`\\u7167`) for what the style's font has no sign for, instead of a box and a warning."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont(str(RC["font.family"])))
    signs = (letter.isspace() or font.get_char_index(ord(letter)) for letter in text)
    return "".join(
        letter if sign else letter.encode("unicode_escape").decode() for letter, sign in zip(text, signs, strict=True)
    )


def _escape_what_has_no_sign(figure: "Figure") -> None:
    from matplotlib.text import Text

    for written in figure.findobj(Text):
        if not written.get_text().isascii():
            written.set_text(drawable(written.get_text()))


def save_figure(figure: "Figure", path: Path) -> None:
    """Write the figure as PNG to `path` and as SVG beside it. Call inside `styled`."""
    save_png(figure, path)
    with atomic_path(path.with_suffix(".svg")) as temporary:  # `svg.hashsalt` is in the style: the bytes repeat
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})


def save_png(figure: "Figure", path: Path, *, dpi: int = 200) -> None:
    """Write the figure atomically, without the writer's name or a date in the file. Call inside `styled`."""
    _escape_what_has_no_sign(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})


def log_ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers from `low` to `high` (both positive) that read well on a logarithmic axis."""
    if high / low > 4:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        leads = (1, 1.5, 2, 3, 5, 7) if high / low < 20 else (1, 3) if high / low < 1000 else (1,)
        candidates = [round(lead * 10.0**decade, 9) for decade in decades for lead in leads]
    else:
        magnitude = 10.0 ** math.floor(math.log10((high - low) / 3))
        step = max(lead * magnitude for lead in (1, 2, 2.5, 5) if lead * magnitude <= (high - low) / 3)
        candidates = [round(index * step, 9) for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [tick for tick in candidates if low <= tick <= high]
